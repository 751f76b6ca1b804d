"""Ways to sign in, as what a request needs: headers, and a certificate of one's own.

Invariants:
- a secret is in no error, no repr and no file;
- a token is renewed before it ends, and once when the service says that it has ended.
"""

import base64
import ssl
import time
from pathlib import Path
from typing import Any, Final, Protocol

import httpx
import truststore

from kifabrik.connectors.sap.plan import BasicSignIn, CertificateSignIn, NoSignIn, OAuthSignIn
from kifabrik.connectors.sap.secrets import SecretStore
from kifabrik.errors import SignInError, UnavailableError, UsageError

_EARLY_S: Final = 30.0
"""A token is renewed so long before its end, or at half its life if that is later."""
_LIFE_S: Final = 300.0
"""Of a token that does not say."""
_TIMEOUT: Final = httpx.Timeout(30, connect=10)


class Credentials(Protocol):
    """What lets a request in."""

    def headers(self) -> dict[str, str]:
        """Headers to send now."""

    def renew(self) -> bool:
        """Get fresh ones after a refusal; False if that cannot help."""


class Open:
    """No headers: the service asks for none, or the certificate says it all."""

    def headers(self) -> dict[str, str]:
        """See `Credentials`."""
        return {}

    def renew(self) -> bool:
        """See `Credentials`."""
        return False


class Basic:
    """User and password (RFC 7617)."""

    def __init__(self, sign_in: BasicSignIn, store: SecretStore | None = None) -> None:
        pair = f"{sign_in.user}:{sign_in.password.read(store)}".encode()
        self._header = f"Basic {base64.b64encode(pair).decode()}"

    def headers(self) -> dict[str, str]:
        """See `Credentials`."""
        return {"authorization": self._header}

    def renew(self) -> bool:
        """See `Credentials`."""
        return False


class ClientCredentials:
    """Bearer tokens from a sign-in service (RFC 6749, section 4.4; RFC 6750)."""

    def __init__(self, sign_in: OAuthSignIn, trust: ssl.SSLContext, store: SecretStore | None = None) -> None:
        self._sign_in = sign_in
        self._secret: str = sign_in.client_secret.read(store)
        self._trust = trust
        self._token = ""
        self._renew_at = 0.0

    def headers(self) -> dict[str, str]:
        """See `Credentials`.

        Raises:
            SignInError: The sign-in service refuses.
            UnavailableError: It cannot be reached.
        """
        if time.monotonic() >= self._renew_at:
            self.renew()
        return {"authorization": f"Bearer {self._token}"}

    def renew(self) -> bool:
        """See `Credentials`."""
        form = {"grant_type": "client_credentials"}
        if self._sign_in.scope:
            form["scope"] = self._sign_in.scope
        pair = (self._sign_in.client_id, self._secret)
        asked = time.monotonic()
        try:
            with httpx.Client(verify=self._trust, timeout=_TIMEOUT) as client:
                answer = client.post(self._sign_in.token_url, data=form, auth=pair)
        except httpx.HTTPError as error:
            raise UnavailableError(
                f"the sign-in service {self._sign_in.token_url} does not answer: {type(error).__name__}",
                hint="Check token_url in the plan, and the network.",
            ) from None
        self._token, life_s = _token(answer, self._sign_in)
        self._renew_at = asked + max(life_s - _EARLY_S, life_s / 2)
        return True


def _token(answer: httpx.Response, sign_in: OAuthSignIn) -> tuple[str, float]:
    body = _object(answer)
    if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
        raise UnavailableError(f"the sign-in service {sign_in.token_url} answers {answer.status_code}")
    if answer.status_code != httpx.codes.OK:
        reason = str(body.get("error", answer.status_code))[:80]
        raise SignInError(
            f"the sign-in service refuses the client {sign_in.client_id!r}: {reason}",
            hint="Check client_id, client_secret and scope in the plan.",
        )
    token, life = body.get("access_token"), body.get("expires_in", _LIFE_S)
    if not isinstance(token, str) or not token or str(body.get("token_type", "")).lower() != "bearer":
        raise SignInError(f"the sign-in service {sign_in.token_url} gives no bearer token")
    return token, float(life) if isinstance(life, int | float) and life > 0 else _LIFE_S


def _object(answer: httpx.Response) -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def trust_of(
    ca: Path | None, certificate: CertificateSignIn | None, store: SecretStore | None = None
) -> ssl.SSLContext:
    """Return whom to trust: the system's authorities or the company's own, and the certificate to show.

    Raises:
        UsageError: A file is missing, or is not what it should be.
    """
    context: ssl.SSLContext = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if ca is not None:
            context = ssl.create_default_context(cafile=str(ca))
        if certificate is not None:
            phrase = certificate.passphrase.read(store) if certificate.passphrase is not None else ""
            # A function, so that a key that wants a passphrase never asks on the terminal.
            context.load_cert_chain(certificate.certificate, certificate.key, lambda: phrase)
    except FileNotFoundError as error:
        missing = error.filename or ca or (certificate and f"{certificate.certificate} or {certificate.key}")
        raise UsageError(f"there is no file {missing}", hint="Check the paths in the plan.") from None
    except (ssl.SSLError, OSError) as error:
        raise UsageError(
            f"certificate or key cannot be used: {error.strerror or type(error).__name__}",
            hint="Both must be PEM, belong together, and the passphrase must fit.",
        ) from None
    return context


def credentials_of(
    sign_in: BasicSignIn | OAuthSignIn | CertificateSignIn | NoSignIn,
    trust: ssl.SSLContext,
    store: SecretStore | None = None,
) -> Credentials:
    """Return what lets requests in.

    Raises:
        SignInError: A secret is not where the plan says.
    """
    match sign_in:
        case BasicSignIn():
            return Basic(sign_in, store)
        case OAuthSignIn():
            return ClientCredentials(sign_in, trust, store)
        case _:
            return Open()
