"""The operator's settings: `factory.toml` in the factory's home folder."""

import tomllib
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from kifabrik.errors import KifabrikError, UsageError
from kifabrik.values import parse_size

FILE: Final = "factory.toml"
PORT: Final = 8470


def _size(value: object) -> object:
    try:
        return parse_size(value) if isinstance(value, str) else value
    except KifabrikError as error:
        raise ValueError(error.message) from None


Size = Annotated[int, BeforeValidator(_size)]


class FactoryConfig(BaseModel):
    """Settings of a factory.

    Args:
        host: Address to listen on.
        port: Port to listen on; 0 for any free one.
        public_url: How customers reach it, if not as `host` and `port` say.
        database: SQLAlchemy URL; empty for `factory.db` in the home folder.
        tls_cert: PEM file with the certificate chain; empty for plain HTTP.
        tls_key: PEM file with its key.
        prices: Price list, relative to the home folder.
        quota: Most bytes of sealed objects per tenant.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = PORT
    public_url: str = ""
    database: str = ""
    tls_cert: str = ""
    tls_key: str = ""
    prices: str = "prices.toml"
    quota: Size = 10**12


def read_config(home: Path) -> FactoryConfig:
    """Read the settings of a factory.

    Raises:
        UsageError: There is no factory in this folder, or a setting is wrong.
    """
    file = home / FILE
    try:
        values: dict[str, Any] = tomllib.loads(file.read_text())
        return FactoryConfig.model_validate(values)
    except FileNotFoundError:
        raise UsageError(f"there is no factory in {home}", hint="Start one with 'kifabrik up'.") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{file} is not TOML: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UsageError(
            f"{file}: {where}: {first['msg']}", hint="docs/operations.md lists all settings."
        ) from None


TEMPLATE: Final = """\
# Settings of this factory; docs/operations.md explains them all.
host = "127.0.0.1"
port = {port}
quota = "1TB"
"""
