"""How to sign in when there is no plan yet: named by environment variables."""

import os
from pathlib import Path
from typing import Any, Final

from kifabrik.connectors.sap.faults import first_fault
from kifabrik.connectors.sap.plan import Part, SignIn

PREFIX: Final = "KIFABRIK_SAP_"
VARIABLES: Final = {
    "USER": "user of basic sign-in",
    "PASSWORD": "its password",
    "TOKEN_URL": "where OAuth 2.0 tokens are given out",
    "CLIENT_ID": "OAuth 2.0 client",
    "CLIENT_SECRET": "its secret",
    "SCOPE": "OAuth 2.0 scope, if one is needed",
    "CERTIFICATE": "file with a client certificate, PEM",
    "KEY": "file with its key, PEM",
}
"""What each variable holds."""


class _Named(Part):
    sign_in: SignIn
    ca: Path | None = None


def sign_in_from_environment() -> Any:
    """Return the sign-in that the variables `KIFABRIK_SAP_...` describe; none if there are none.

    Raises:
        UsageError: They do not go together.
    """
    from pydantic import ValidationError  # noqa: PLC0415 - as the rest of it

    found = {name: os.environ[PREFIX + name] for name in VARIABLES if os.environ.get(PREFIX + name)}
    body: dict[str, Any] = {"kind": "none"}
    if "TOKEN_URL" in found:
        body = {"kind": "oauth2", "token_url": found["TOKEN_URL"], "scope": found.get("SCOPE", "")}
        body |= {"client_id": found.get("CLIENT_ID", ""), "client_secret": {"env": f"{PREFIX}CLIENT_SECRET"}}
    elif "CERTIFICATE" in found:
        body = {"kind": "mtls", "certificate": found["CERTIFICATE"], "key": found.get("KEY", found["CERTIFICATE"])}
    elif "USER" in found:
        body = {"kind": "basic", "user": found["USER"], "password": {"env": f"{PREFIX}PASSWORD"}}
    try:
        return _Named.model_validate({"sign_in": body}).sign_in
    except ValidationError as error:
        raise first_fault(error, _Named, f"environment ({PREFIX}...)") from None
