"""Where a secret is: never in a plan or among the words of a command, where others could read it."""

import os
from typing import Annotated, Any, Final

from pydantic import BeforeValidator

from kifabrik.errors import SignInError

_ENVIRONMENT: Final = "env"


class SecretPlace:
    """A named place that holds a secret.

    Args:
        variable: Name of the environment variable.
    """

    def __init__(self, variable: str) -> None:
        self._variable = variable

    def __repr__(self) -> str:
        return f"SecretPlace({self._variable!r})"

    def read(self) -> str:
        """Return the secret.

        Raises:
            SignInError: The place is empty.
        """
        value = os.environ.get(self._variable, "")
        if not value:
            raise SignInError(
                f"the environment variable {self._variable} is not set",
                hint=f"Set it without leaving it in your shell's history: read -rs {self._variable}; "
                f"export {self._variable}",
            )
        return value


def _place(value: Any) -> SecretPlace:
    if isinstance(value, SecretPlace):
        return value
    if isinstance(value, dict) and list(value) == [_ENVIRONMENT]:
        name = value[_ENVIRONMENT]
        if isinstance(name, str) and name.isidentifier():
            return SecretPlace(name)
    raise ValueError("a secret stands elsewhere: write {env: NAME} for the environment variable NAME")


Secret = Annotated[Any, BeforeValidator(_place)]
"""A `SecretPlace` once read."""
