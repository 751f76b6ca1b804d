"""Ask an OData service: signed in, at a bounded rate, patiently, and never anybody else.

Invariants:
- every request goes to the origin and below the path of the service the plan names, whatever a link says:
  of a link only path and query are used, so credentials never leave for another host;
- what can be repeated is repeated with growing pauses; `Retry-After` is respected;
- an answer is read whole before it counts: a broken line never passes for the end of a page;
- no answer is larger than `LARGEST_ANSWER`.
"""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote, unquote, urljoin, urlsplit

import httpx

from kifabrik.connectors.sap.plan import CertificateSignIn, Plan, PushPlan, SignIn
from kifabrik.connectors.sap.secrets import SecretStore
from kifabrik.connectors.sap.sign_in import Credentials, credentials_of, trust_of
from kifabrik.errors import (
    CapacityError,
    ConflictError,
    IntegrityError,
    KifabrikError,
    NotFoundError,
    RefusedError,
    SignInError,
    UnavailableError,
    UsageError,
)

LARGEST_ANSWER: Final = 256 * 2**20
_TIMEOUT: Final = httpx.Timeout(300, connect=15)
_AGAIN: Final = frozenset({429, 500, 502, 503, 504})
_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 60.0
_LONGEST_WAIT_S: Final = 900.0
"""What a service may ask for with `Retry-After`; more is for a person to decide."""
_SAFE: Final = "/:?&=$!'(),;@*%+-._~"
"""What stands as it is in an address; `%` too, for links come quoted."""


@dataclass(frozen=True)
class Answer:
    """What came back, whole."""

    status: int
    body: bytes
    headers: Mapping[str, str]
    address: str


class GoneError(NotFoundError):
    """A link that was good once is no longer: a delta link the service has forgotten."""


_STATE: Final = (ConflictError, "{} is in another state", "Look at it again.")
_LATER: Final = (
    UnavailableError,
    "the service cannot answer {} now",
    "Repeat the command later; it goes on where it stopped.",
)
_UNTAKEN: Final = (UsageError, "the service does not take {}", "Check the plan.")
_FAULTS: Final[Mapping[int, tuple[type[KifabrikError], str, str]]] = {
    401: (SignInError, "the service does not let us in to {}", "Check sign_in in the plan, and the secret."),
    403: (RefusedError, "the service refuses {}", "Ask for the authorisation."),
    404: (NotFoundError, "there is no {}", "Check service and entity set."),
    409: _STATE,
    410: (GoneError, "{} is gone", "Pull all of it."),
    412: _STATE,
    428: _STATE,
    **dict.fromkeys(_AGAIN, _LATER),
}


@dataclass(frozen=True)
class Patience:
    """How hard to try.

    Args:
        tries: Of each request.
        requests_per_second: At most.
        sleep: Waits so many seconds.
    """

    tries: int = 6
    requests_per_second: float = 10.0
    sleep: Callable[[float], None] = time.sleep


class Caller:
    """A signed-in connection to one service; a context manager.

    Args:
        service: Its URL, without a slash at the end.
        credentials: What lets requests in.
        trust: Whom to trust, and the certificate to show.
        patience: How hard to try.
    """

    def __init__(
        self, service: str, credentials: Credentials, trust: Any, patience: Patience | None = None
    ) -> None:
        self.service = service
        parts = urlsplit(service)
        self._origin = f"{parts.scheme}://{parts.netloc}"
        self._root = f"{parts.path.rstrip('/')}/"
        self._credentials = credentials
        self._patience = patience or Patience()
        self._free_at = 0.0
        self._turn = Lock()
        self._client = httpx.Client(verify=trust, timeout=_TIMEOUT, follow_redirects=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def address(self, link: str) -> str:
        """Return where a link of the service leads, on our origin.

        Raises:
            IntegrityError: It leads out of the service.
        """
        try:
            parts = urlsplit(urljoin(f"{self._origin}{self._root}", link))
            query = f"?{parts.query}" if parts.query else ""
            address = quote(f"{parts.path}{query}", safe=_SAFE)
        except ValueError:  # no address at all, or letters that are none
            raise IntegrityError(
                "the service sends a link that is none", hint="Report it to whoever runs the service."
            ) from None
        # Servers take dots that are quoted, and backslashes, for steps too.
        steps = unquote(parts.path).replace("\\", "/").split("/")
        if not parts.path.startswith(self._root) or ".." in steps:
            raise IntegrityError(
                f"the service sends a link that leads out of it, to {parts.netloc}{parts.path[:80]!r}",
                hint="Name the service's own address in the plan, as it stands in its links.",
            )
        return self._origin + address

    def get(self, link: str, headers: Mapping[str, str] | None = None) -> Answer:
        """Fetch what a link of the service leads to.

        Raises:
            KifabrikError: By the status; see `fault_of`.
            UnavailableError: It did not answer, or not to its end, as often as it was tried.
        """
        return self.send("GET", link, headers=headers)

    def send(
        self,
        method: str,
        link: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        again: bool = True,
    ) -> Answer:
        """Send a request.

        Args:
            method: Of HTTP.
            link: Relative to the service, or absolute.
            headers: Beside those that let it in.
            body: To send.
            again: Whether it does no harm twice.
        """
        address = self.address(link)
        renewed = False
        turn = 0
        while True:
            turn += 1
            outcome = self._once(method, address, headers or {}, body)
            if isinstance(outcome, Answer) and outcome.status < httpx.codes.MULTIPLE_CHOICES:
                return outcome
            if isinstance(outcome, Answer) and outcome.status == httpx.codes.UNAUTHORIZED and not renewed:
                renewed = True
                if self._credentials.renew():
                    continue
            last = turn >= self._patience.tries or not again
            if isinstance(outcome, KifabrikError):
                if last:
                    raise outcome
                wait_s = _pause_s(turn)
            else:
                if outcome.status not in _AGAIN or last:
                    raise fault_of(outcome)
                wait_s = _asked_pause_s(outcome.headers.get("retry-after", "")) or _pause_s(turn)
                if wait_s > _LONGEST_WAIT_S:
                    raise UnavailableError(
                        f"the service asks to be left alone for {wait_s / 60:.0f} minutes",
                        hint="Repeat the command then; it goes on where it stopped.",
                    )
            self._patience.sleep(wait_s)

    def _once(
        self, method: str, address: str, headers: Mapping[str, str], body: bytes | None
    ) -> Answer | UnavailableError:
        self._keep_rate()
        head = {**headers, **self._credentials.headers()}
        try:
            with self._client.stream(method, address, headers=head, content=body) as answer:
                pieces, size = [], 0
                for piece in answer.iter_bytes():
                    size += len(piece)
                    if size > LARGEST_ANSWER:
                        raise CapacityError(
                            f"an answer of the service is larger than {LARGEST_ANSWER // 2**20} MiB",
                            hint="Set a smaller page_rows, or fewer fields, in the plan.",
                        )
                    pieces.append(piece)
                return Answer(answer.status_code, b"".join(pieces), answer.headers, address)
        except httpx.InvalidURL:
            raise IntegrityError(
                "the service sends a link that is too long", hint="Report it to whoever runs the service."
            ) from None
        except httpx.DecodingError:
            return UnavailableError("the service's answer cannot be unpacked", hint="Repeat the command.")
        except httpx.HTTPError as error:
            return UnavailableError(
                f"{self._origin} does not answer to the end: {_reason(error)}",
                hint="Check the address and the network; a pull that is repeated goes on where it stopped.",
            )

    def _keep_rate(self) -> None:
        with self._turn:
            now = time.monotonic()
            wait_s = self._free_at - now
            self._free_at = max(now, self._free_at) + 1 / self._patience.requests_per_second
        if wait_s > 0:
            self._patience.sleep(wait_s)


def caller_of(plan: Plan | PushPlan, store: SecretStore | None = None) -> Caller:
    """Return a connection to the service of a plan."""
    patience = Patience(plan.limits.tries, plan.limits.requests_per_second)
    return connect(plan.service, plan.sign_in, ca=plan.ca, patience=patience, store=store)


def connect(
    service: str,
    sign_in: SignIn,
    *,
    ca: Path | None = None,
    patience: Patience | None = None,
    store: SecretStore | None = None,
) -> Caller:
    """Return a connection to a service.

    Args:
        service: Its URL.
        sign_in: How.
        ca: File with its certificate authority, if it is the company's own.
        patience: How hard to try.
        store: The keyholder's secrets, for a sign-in that names one.

    Raises:
        SignInError: A secret is not where it should be.
        UsageError: A certificate cannot be used.
    """
    certificate = sign_in if isinstance(sign_in, CertificateSignIn) else None
    trust = trust_of(ca, certificate, store)
    return Caller(service, credentials_of(sign_in, trust, store), trust, patience)


def fault_of(answer: Answer) -> KifabrikError:
    """Return the error for a status; what the service says of it is quoted, and nothing else of the answer."""
    where = urlsplit(answer.address).path
    said = _said(answer.body)
    status = answer.status
    if httpx.codes.is_redirect(status):
        return UsageError(
            f"{where} has moved to {answer.headers.get('location', '?')[:200]}",
            hint="If you know that address, name it in the plan; a page to sign in means other credentials.",
        )
    kind, sentence, hint = _FAULTS.get(status, _UNTAKEN)
    return kind(f"{sentence.format(where)} ({status}){said}", hint=hint)


def _said(body: bytes) -> str:
    import json  # noqa: PLC0415 - only needed on failure

    try:
        error = json.loads(body)["error"]
        message = error["message"]
        text = message["value"] if isinstance(message, dict) else message
        return f": {str(text)[:300]}".encode(errors="replace").decode()
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""


def _reason(error: httpx.HTTPError) -> str:
    return f"{type(error).__name__}" + (f" ({str(error)[:120]})" if str(error) else "")


def _pause_s(turn: int) -> float:
    longest: float = min(_FIRST_PAUSE_S * 2 ** (turn - 1), _LONGEST_PAUSE_S)
    return longest * random.uniform(0.5, 1)  # noqa: S311 - spreads clients in time


def _asked_pause_s(text: str) -> float:
    """Seconds of a `Retry-After` (RFC 9110, section 10.2.3); 0 if there is none."""
    if text.isdecimal():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return 0.0
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
