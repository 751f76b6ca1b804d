"""The base of all bodies, and what several of them carry."""

import base64
import binascii
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Number = Annotated[int, Field(ge=0, le=2**53)]
"""Of an entry or a letter: what JSON readers and databases agree on (RFC 8785, section 3.2.2.3)."""
Text = Annotated[str, Field(max_length=1_000_000)]
"""A DSSE envelope as JSON text."""
NodesText = Annotated[str, Field(max_length=32_000_000)]
"""The same where every node of a large run has a part in it: a request for keys holds 600 bytes for each."""


_MOST_UNKNOWN: Final = 20


def _from_base64(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return base64.b64decode(value, validate=True)
    except binascii.Error:
        raise ValueError("not base64") from None


Binary = Annotated[
    bytes,
    BeforeValidator(_from_base64),
    PlainSerializer(lambda data: base64.b64encode(data).decode(), return_type=str, when_used="json"),
]
"""Bytes in Python, standard base64 with padding in JSON."""


class Body(BaseModel):
    """Base of all bodies; a command uses few of them, so each is built when it is first used."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    @model_validator(mode="before")
    @classmethod
    def _few_fields(cls, data: Any) -> Any:
        """Name one fault of what has very many unknown fields: naming each of them takes seconds."""
        if isinstance(data, dict) and len(data) > len(cls.model_fields) + _MOST_UNKNOWN:
            raise ValueError("there are far too many fields")
        return data


class Problem(Body):
    """Any error: `code` is the one of an error class in `kifabrik.errors`."""

    code: str
    message: str
    hint: str = ""


class Detail(Body):
    """Names that belong to a ledger entry, sealed to the catalogue recipient; the entry holds `sha256`.

    `sha256` is over the plaintext: canonical JSON that includes a random `salt`.
    """

    sha256: Sha256
    sealed: Binary
