"""The plan of a pull or a push: what a person writes and confirms, parsed into types.

Invariants:
- nothing is pulled that is not named: service, entity sets, fields; every set has a limit of rows;
- a person is named who confirms that the interface is published for this use, and for which purpose;
- no secret stands in a plan: it names where a secret is.
"""

import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from kifabrik.connectors.sap.faults import first_fault
from kifabrik.connectors.sap.secrets import Secret
from kifabrik.datasets.names import check_name
from kifabrik.errors import NotFoundError, UsageError
from kifabrik.jobs.plain_yaml import parse_plain

MOST_ROWS: Final = 100_000_000
_LARGEST_BYTES: Final = 256 * 1024
_IDENTIFIER: Final = r"^[^\W\d]\w{0,127}$"
_LOOPBACK: Final = re.compile(r"http://(?:127\.0\.0\.1|localhost|\[::1\])(?::\d{1,5})?(?:/.*)?")

Identifier = Annotated[str, Field(pattern=_IDENTIFIER)]
Sentence = Annotated[str, Field(min_length=1, max_length=500)]


def _url(value: Any) -> str:
    text = str(value)
    if not (re.fullmatch(r"https://[^/@?#\s]+(?:/[^?#\s]*)?", text) or _LOOPBACK.fullmatch(text)) or "?" in text:
        raise ValueError(
            "must begin with https:// (http:// only for this machine), without user, password, query or fragment"
        )
    return text.rstrip("/")


T = TypeVar("T", bound="Part")
Url = Annotated[str, BeforeValidator(_url)]


def _dataset_name(value: str) -> str:
    try:
        return check_name(value)
    except UsageError as error:
        raise ValueError(f"{error.message}: {error.hint}") from None


DatasetName = Annotated[str, AfterValidator(_dataset_name)]
Purpose = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]


def check_url(text: str) -> str:
    """Return the URL of a service as it is used.

    Raises:
        UsageError: It is none, or would send secrets in the clear.
    """
    try:
        return _url(text)
    except ValueError as error:
        raise UsageError(f"{text!r} {error}") from None


class Part(BaseModel):
    """Keys nobody knows are errors, and nothing is changed after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class BasicSignIn(Part):
    """User and password."""

    kind: Literal["basic"]
    user: str
    password: Secret


class OAuthSignIn(Part):
    """OAuth 2.0 client credentials (RFC 6749, section 4.4)."""

    kind: Literal["oauth2"]
    token_url: Url
    client_id: str
    client_secret: Secret
    scope: str = ""


class CertificateSignIn(Part):
    """A client certificate of one's own (mutual TLS); both files in PEM."""

    kind: Literal["mtls"]
    certificate: Path
    key: Path
    passphrase: Secret | None = None


class NoSignIn(Part):
    """The service asks for nothing."""

    kind: Literal["none"] = "none"


SignIn = Annotated[BasicSignIn | OAuthSignIn | CertificateSignIn | NoSignIn, Field(discriminator="kind")]


class Confirmed(Part):
    """Who answers for it that the interface may be used like this.

    SAP's API policy allows interfaces that are published for the use, and neither large extraction outside
    the endorsed ways nor software that plans calls by itself. So a person says so, by name.
    """

    by: Sentence
    on: date
    because: Sentence

    @field_validator("on", mode="before")
    @classmethod
    def _day(cls, value: Any) -> Any:
        return date.fromisoformat(value) if isinstance(value, str) else value


class Expand(Part):
    """Children of an entity, which become a table of their own.

    Args:
        fields: Which fields, always with the keys.
        rows: The most children there may be in all.
        as_text: Fields to keep as the service writes them.
    """

    fields: Annotated[tuple[Identifier, ...], Field(min_length=1, max_length=500)]
    rows: Annotated[int, Field(ge=1, le=MOST_ROWS)] = 1_000_000
    as_text: tuple[Identifier, ...] = ()


class Wanted(Part):
    """An entity set to pull.

    Args:
        entity_set: Its name.
        fields: Which fields, always with the keys.
        rows: The most rows it may have; a set that has more is refused before a row is asked for.
        filter: `$filter`, as OData writes it.
        expand: Children by the navigation property that leads to them.
        changes: Whether to pull only changes the next time, where the service can.
        as_text: Fields to keep as the service writes them.
        page_rows: Rows to ask for at a time; a service may give fewer.
        ordered: Whether to ask for rows in the order of their keys; some services cannot sort.
    """

    entity_set: Identifier
    fields: Annotated[tuple[Identifier, ...], Field(min_length=1, max_length=500)]
    rows: Annotated[int, Field(ge=1, le=MOST_ROWS)]
    filter: Annotated[str, Field(max_length=4000)] = ""
    expand: Mapping[Identifier, Expand] = {}
    changes: bool = False
    as_text: tuple[Identifier, ...] = ()
    page_rows: Annotated[int, Field(ge=1, le=100_000)] = 5000
    ordered: bool = True

    @model_validator(mode="after")
    def _check(self) -> "Wanted":
        if len(set(self.fields)) != len(self.fields):
            raise ValueError(f"{self.entity_set}: a field stands twice")
        if self.changes and self.expand:
            raise ValueError(
                f"{self.entity_set}: changes cannot be followed through expand; pull the children's own set instead"
            )
        return self


class Limits(Part):
    """What the service must be able to bear.

    Args:
        requests_per_second: At most.
        tries: How often a request is made before the pull gives up, to be taken up later.
        batch: Whether several requests may go in one round trip (`$batch`), which counts as one.
    """

    requests_per_second: Annotated[float, Field(gt=0, le=1000)] = 10.0
    tries: Annotated[int, Field(ge=1, le=20)] = 6
    batch: bool = True


class Plan(Part):
    """A declared, bounded pull; docs/sap.md shows one.

    Args:
        service: URL of the service, without `$metadata`.
        dataset: Name of the dataset to seal a version of.
        purpose: What for, as in grants.
        confirmed: Who says that it may be pulled.
        pull: What.
        sign_in: How.
        ca: File with the certificate authority of the service, in PEM, if it is the company's own.
        limits: How fast.
    """

    service: Url
    dataset: DatasetName
    purpose: Purpose
    confirmed: Confirmed
    pull: Annotated[tuple[Wanted, ...], Field(min_length=1, max_length=200)]
    sign_in: SignIn = NoSignIn()
    ca: Path | None = None
    limits: Limits = Limits()

    @model_validator(mode="after")
    def _check(self) -> "Plan":
        names = [one.entity_set for one in self.pull]
        if len(set(names)) != len(names):
            raise ValueError("an entity set stands twice under pull")
        # Folders of tables may be opened where capital letters make no difference.
        known = {name.casefold() for name in names}
        for one in self.pull:
            for navigation in one.expand:
                table = f"{one.entity_set}_{navigation}"
                if table.casefold() in known:
                    raise ValueError(
                        f"{one.entity_set} with expand {navigation} and another set or expand "
                        f"would both become a table {table}; take one of them"
                    )
                known.add(table.casefold())
        return self


class Push(Part):
    """Where results go.

    Args:
        entity_set: Its name.
        fields: Field of the entity to column of the results; all keys among them.
        rows: The most rows that may change at once.
        create: Whether rows may be added.
        filter: `$filter` for the rows to compare with, where the set is large.
        largest_change: The most a number may change, as a share of what it was (0.5: by half).
    """

    entity_set: Identifier
    fields: Mapping[Identifier, Annotated[str, Field(min_length=1, max_length=200)]]
    rows: Annotated[int, Field(ge=1, le=100_000)]
    create: bool = False
    filter: Annotated[str, Field(max_length=4000)] = ""
    largest_change: Annotated[float, Field(gt=0)] | None = None


class PushPlan(Part):
    """Results to write to a service; docs/sap.md shows one.

    Args:
        service: URL of the service, without `$metadata`.
        purpose: What for, as in grants.
        confirmed: Who says that it may be written to.
        push: What goes where.
        sign_in: How.
        ca: File with the certificate authority of the service, in PEM, if it is the company's own.
        limits: How fast.
    """

    service: Url
    purpose: Purpose
    confirmed: Confirmed
    push: Push
    sign_in: SignIn = NoSignIn()
    ca: Path | None = None
    limits: Limits = Limits()


def read_push_plan(path: Path) -> PushPlan:
    """Read the plan of a push.

    Raises:
        NotFoundError: There is no such file.
        UsageError: It is no plan; names the key.
    """
    return parse(PushPlan, plan_text(path), str(path))


def read_plan(path: Path) -> Plan:
    """Read the plan of a pull.

    Raises:
        NotFoundError: There is no such file.
        UsageError: It is no plan; names the key.
    """
    return parse(Plan, plan_text(path), str(path))


def plan_text(path: Path) -> str:
    """Return the text of a plan.

    Raises:
        NotFoundError: There is no such file.
        UsageError: It cannot be a plan.
    """
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            raise UsageError(f"{path} is larger than a plan can be ({_LARGEST_BYTES // 1024} kB)")
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NotFoundError(f"there is no plan {path}", hint="docs/sap.md has one to begin with.") from None
    except IsADirectoryError:
        raise UsageError(f"{path} is a folder, not a plan") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not UTF-8 text") from None


def parse(kind: type[T], text: str, where: str) -> T:
    """Parse a plan of one kind.

    Raises:
        UsageError: It is no such plan; names the key.
    """
    body = parse_plain(text, where)
    if not isinstance(body, Mapping):
        raise UsageError(f"{where} is no plan: it must be keys and values", hint="docs/sap.md has one.")
    try:
        return kind.model_validate(body)
    except ValidationError as error:
        raise first_fault(error, kind, where) from None
