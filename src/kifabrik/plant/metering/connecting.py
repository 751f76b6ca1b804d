"""The file of meters that are watched: what each measures, and where it is asked or heard."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from kifabrik.errors import UsageError
from kifabrik.plant.metering.kinds import Kind, Meter

Port = Annotated[int, Field(ge=1, le=65_535)]
Factor = Annotated[float, Field(allow_inf_nan=False)]


class Part(BaseModel):
    """Any part: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Modbus(Part):
    """Registers of a meter that is asked by Modbus TCP; `scale` multiplies what they hold."""

    host: str
    port: Port = 502
    device: int = Field(default=1, ge=0, le=255)
    register_at: int = Field(alias="register", ge=0, le=65_535)
    table: Literal["holding", "input"] = "holding"
    type: Literal["uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64"] = "float32"
    words: Literal["big", "little"] = "big"
    scale: Factor = 1.0


class Mqtt(Part):
    """A topic, without wildcards, on which a meter tells its value: a number, or JSON with it under `key`."""

    host: str
    port: Port = 1883
    topic: str = Field(min_length=1, pattern=r"^[^#+]+$")
    key: str = ""
    user: str = ""
    password_file: Path | None = None
    tls: bool = False
    scale: Factor = 1.0


class Watched(Part):
    """A meter and where it is; one of `modbus` and `mqtt`."""

    name: str
    kind: Kind
    unit: str
    field: str = ""
    modbus: Modbus | None = None
    mqtt: Mqtt | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.modbus is None) == (self.mqtt is None):
            message = f"{self.name} needs one of modbus and mqtt"
            raise ValueError(message)
        return self

    @property
    def meter(self) -> Meter:
        """What it measures."""
        return Meter(name=self.name, kind=self.kind, unit=self.unit, field=self.field)


class Connections(Part):
    """All meters, and how often those are asked that are asked; seconds."""

    every: float = Field(default=60.0, ge=0.1, le=86_400)
    meters: tuple[Watched, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [one.name for one in self.meters]
        double = next((name for name in names if names.count(name) > 1), None)
        if double:
            message = f"two meters are called {double}"
            raise ValueError(message)
        return self


def read_connections(path: Path) -> Connections:
    """Read the file of meters.

    Raises:
        UsageError: It cannot be read or is wrong; the message names the key.
    """
    try:
        document: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.", hint="Check its name.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid YAML: {error}.", hint="docs/plant.md shows one.") from None
    try:
        found = Connections.model_validate(document)
    except ValidationError as error:
        told = "\n".join(f"{path}: {'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise UsageError(told, hint="docs/plant.md shows one.") from None
    for one in found.meters:
        _ = one.meter  # its unit must go with its kind
    return found
