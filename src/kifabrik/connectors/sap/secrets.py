"""Where a secret is: never in a plan or among the words of a command, where others could read it."""

import os
import re
from dataclasses import dataclass
from typing import Annotated, Any, Final, Protocol

from pydantic import BeforeValidator

from kifabrik.errors import SignInError

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


class SecretStore(Protocol):
    """A place with secrets by name."""

    def get(self, name: str) -> str:
        """Return a secret.

        Raises:
            KifabrikError: There is none of the name, or the place does not open.
        """


@dataclass(frozen=True)
class SecretPlace:
    """Names a secret, and is none.

    Args:
        variable: Of the environment; '' if it is elsewhere.
        name: In the keyholder's store; '' if it is elsewhere.
    """

    variable: str = ""
    name: str = ""

    def read(self, store: SecretStore | None = None) -> str:
        """Return the secret.

        Args:
            store: The keyholder's.

        Raises:
            SignInError: The place is empty, or there is no store at hand.
        """
        if self.name:
            if store is None:
                raise SignInError(
                    f"the secret {self.name!r} is in the keyholder's store, which is not at hand here"
                )
            return store.get(self.name)
        value = os.environ.get(self.variable, "")
        if not value:
            raise SignInError(
                f"the environment variable {self.variable} is not set",
                hint=f"Set it without leaving it in your shell's history: read -rs {self.variable}; "
                f"export {self.variable}",
            )
        return value


def check_secret_name(text: str) -> str:
    """Return a name a secret may have in the keyholder's store.

    Raises:
        ValueError: It is none.
    """
    if _NAME.fullmatch(text) is None:
        raise ValueError("a secret's name has 1 to 64 lower-case letters, digits, '.', '_' and '-'")
    return text


def _place(value: Any) -> SecretPlace:
    if isinstance(value, SecretPlace):
        return value
    if isinstance(value, dict) and len(value) == 1:
        ((place, name),) = value.items()
        if place == "env" and isinstance(name, str) and name.isidentifier():
            return SecretPlace(variable=name)
        if place == "keyholder" and isinstance(name, str):
            return SecretPlace(name=check_secret_name(name))
    raise ValueError(
        "a secret stands elsewhere: write {env: NAME} for the environment variable NAME, "
        "or {keyholder: NAME} for what `kifabrik sap secret NAME` keeps"
    )


Secret = Annotated[Any, BeforeValidator(_place)]
"""A `SecretPlace` once read."""
