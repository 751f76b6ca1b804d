"""Small values every room uses: ids, times, sizes, durations, money.

Invariants:
- an id is one lower-case letter, a hyphen and random base32; the letter names the kind;
- the run of a sweep's task is the sweep's own id, a hyphen and the task's number from 1;
- a time is an aware UTC datetime, written as RFC 3339 with seconds and `Z`;
- money is a whole number of micro-euro, so sums are exact;
- a size is a whole number of bytes; `GB` is 10^9 and `GiB` is 2^30.
"""

import base64
import hashlib
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final

from kifabrik.errors import UsageError

MOST_TASKS: Final = 10_000
"""Tasks of one sweep: as many as a tenant may have runs that have not ended, if the operator says nothing else."""

_ID_BYTES: Final = 10
_TASK: Final = re.compile(r"(?P<sweep>r-[a-z2-7]{16,32})-(?P<number>[1-9][0-9]{0,4})")
_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}Z")
_SIZE_UNITS: Final = {
    "": 1,
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
    "tib": 2**40,
}
_DURATION_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
MOST_NODES: Final = 3000
"""Of one run: each of them signs its request for keys, whose log entry names each within 65,535 bytes."""
MICRO_PER_EUR: Final = 1_000_000
_PLACES: Final = ((2, Decimal("0.1")), (4, Decimal("0.001")))
"""Decimal places to write, from which amount on in euros."""


class Kind(StrEnum):
    """First letter of an id."""

    TENANT = "t"
    MEMBER = "m"
    DATASET = "d"
    RUN = "r"
    ATTEMPT = "a"
    LEASE = "l"
    GRANT = "g"
    NODE = "n"
    INVITATION = "i"


def new_id(kind: Kind) -> str:
    """Return a fresh random id such as `r-k3v6…` (80 random bits)."""
    return f"{kind.value}-{base64.b32encode(secrets.token_bytes(_ID_BYTES)).decode().lower()}"


def is_id(text: str, kind: Kind) -> bool:
    """Whether `text` has the shape of an id of this kind."""
    return re.fullmatch(rf"{kind.value}-[a-z2-7]{{16,32}}", text) is not None


def task_run(sweep: str, number: int) -> str:
    """Return the id of the run that is a sweep's task `number`, from 1, such as `r-k3v6…-17`."""
    return f"{sweep}-{number}"


def sweep_of(run: str) -> str:
    """Return the id of the sweep a task's run belongs to; empty if `run` is not the id of a task."""
    match = _TASK.fullmatch(run)
    return match["sweep"] if match else ""


def task_number(run: str) -> int:
    """Return the number of the task a run is, from 1; 0 if it is none."""
    match = _TASK.fullmatch(run)
    return int(match["number"]) if match else 0


def is_run(text: str) -> bool:
    """Whether `text` has the shape of a run's id: that of an order, or that of one task of a sweep."""
    return is_id(text, Kind.RUN) or 1 <= task_number(text) <= MOST_TASKS


def sha256_hex(data: bytes) -> str:
    """Return the SHA-256 digest of `data` as 64 lower-case hex digits."""
    return hashlib.sha256(data).hexdigest()


def now_utc() -> datetime:
    """Return the present moment, aware and without microseconds."""
    return datetime.now(UTC).replace(microsecond=0)


def format_time(moment: datetime) -> str:
    """Write a moment as RFC 3339 in UTC with whole seconds, such as `2026-11-23T08:00:00Z`."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def parse_time(text: str) -> datetime:
    """Read what `format_time` wrote.

    Raises:
        UsageError: The text is not such a time.
    """
    # One moment has one spelling. Reading it this way takes a tenth of the time of `strptime`.
    with suppress(ValueError):
        if _TIME.fullmatch(text):
            return datetime.fromisoformat(text)
    raise UsageError(f"not a UTC time: {text!r}", hint="Write it like 2026-11-23T08:00:00Z.")


def parse_size(text: str | int) -> int:
    """Read a size such as `16GB`, `512MiB` or `1000` and return bytes.

    Raises:
        UsageError: The text is not a size.
    """
    match = re.fullmatch(r"\s*([0-9]{1,18}(?:\.[0-9]{1,9})?)\s*([a-zA-Z]*)\s*", str(text))
    if match is None or match[2].lower() not in _SIZE_UNITS:
        raise UsageError(f"not a size: {text!r}", hint="Write it like 16GB, 512MiB or 1000.")
    return int(Decimal(match[1]) * _SIZE_UNITS[match[2].lower()])


def format_size(size: float) -> str:
    """Write bytes for people, with three significant digits: `1.23 GB`."""
    if abs(size) < 999.5:  # noqa: PLR2004 - what would be written as 1000
        return f"{size:.0f} B"
    for unit in ("kB", "MB", "GB", "TB", "PB"):
        size /= 1000
        if abs(size) < 999.5:  # noqa: PLR2004 - what would be written as 1000
            return f"{size:.3g} {unit}"
    return f"{size:.0f} PB"


_LONGEST_S: Final = 10**12
"""Longer than anybody waits; what is written as plain seconds has as many digits."""


def parse_duration(text: str | int) -> int:
    """Read a duration such as `90s`, `2h` or `1h30m` and return seconds.

    Raises:
        UsageError: The text is not a duration.
    """
    compact = str(text).replace(" ", "").lower()
    if re.fullmatch(r"[0-9]{1,12}", compact):
        return int(compact)
    parts = re.findall(r"([0-9]{1,12})([smhdw])", compact)
    seconds = sum(int(number) * _DURATION_UNITS[unit] for number, unit in parts)
    if "".join(map("".join, parts)) != compact or not parts or seconds > _LONGEST_S:
        raise UsageError(f"not a duration: {text!r}", hint="Write it like 90s, 45m, 2h or 1h30m.")
    return seconds


def format_duration(seconds: float) -> str:
    """Write seconds for people: `0.4s`, `12s`, `3m 05s`, `2h 10m`."""
    if seconds < 9.95:  # noqa: PLR2004 - below ten seconds, rounded, the tenth matters
        return f"{seconds:.1f}s"
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h {minutes:02d}m"
    return f"{minutes}m {rest:02d}s" if minutes else f"{rest}s"


_TWO_WAYS: Final = re.compile(r"\s*[1-9][0-9]{0,2}[.,][0-9]{3}\s*(EUR|eur|€)")
"""Thousands grouped as in German or English, or three decimals; programs write no unit."""
_DECIMAL_COMMA: Final = re.compile(r"^(\s*[0-9]{1,9}),([0-9]{1,2})(?![0-9,.])")


@dataclass(frozen=True, order=True)
class Money:
    """An exact amount in micro-euro."""

    micro_eur: int = 0

    @classmethod
    def from_text(cls, text: str | float) -> "Money":
        """Read `25 EUR`, `0.50`, `0,50` or `3.20€`.

        Raises:
            UsageError: The text is not an amount in euros, or it may be two, as `20.000 EUR` is.
        """
        if isinstance(text, str) and _TWO_WAYS.match(text):
            raise UsageError(
                f"{text.strip()!r} can be read in two ways", hint="Write 20000 EUR or 20.00 EUR, without groups."
            )
        plain = _DECIMAL_COMMA.sub(r"\1.\2", str(text))
        match = re.fullmatch(r"\s*([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*(EUR|eur|€)?\s*", plain)
        if match is None:
            raise UsageError(f"not an amount in euros: {text!r}", hint="Write it like '25 EUR' or 0.50.")
        return cls.from_eur(match[1])

    @classmethod
    def from_eur(cls, amount: str | Decimal) -> "Money":
        """Round an amount in euros to whole micro-euro.

        Raises:
            UsageError: The amount is not a number.
        """
        try:
            return cls(round(Decimal(amount) * MICRO_PER_EUR))
        except (ArithmeticError, ValueError):  # not a number, infinite, or beyond all numbers
            raise UsageError(f"not an amount in euros: {str(amount)[:40]!r}") from None

    def __add__(self, other: "Money") -> "Money":
        return Money(self.micro_eur + other.micro_eur)

    def __mul__(self, factor: int | Decimal) -> "Money":
        return Money(round(self.micro_eur * Decimal(factor)))

    def __str__(self) -> str:
        """Write with cents; smaller amounts with as many places as they need, up to a micro-euro."""
        eur = Decimal(self.micro_eur) / MICRO_PER_EUR
        places = next((places for places, least in _PLACES if abs(eur) >= least), 6) if eur else 2
        return f"{eur:.{places}f} EUR"


@dataclass(frozen=True)
class Place:
    """Where something may run or does run; an empty field means anywhere (or not stated).

    Args:
        country: ISO 3166-1 alpha-2 code, such as `DE`.
        site: The operator's name of a building, such as `munich-1`.
        node_class: The operator's name of a kind of node, such as `standard` or `confidential`.
    """

    country: str = ""
    site: str = ""
    node_class: str = ""

    def admits(self, actual: "Place") -> bool:
        """Whether every field stated here equals the one of `actual`."""
        return (
            self.country in ("", actual.country)
            and self.site in ("", actual.site)
            and self.node_class in ("", actual.node_class)
        )

    def __str__(self) -> str:
        return "/".join(part for part in (self.country, self.site, self.node_class) if part) or "anywhere"


@dataclass(frozen=True)
class Resources:
    """What one run asks for on each of its nodes.

    Args:
        cpus: Whole processor cores.
        memory_bytes: Main memory, which also holds the opened data and everything written.
        gpu_count: GPUs.
        gpu_model: Such as `H200`; empty for any.
        gpu_memory_bytes: Least memory of each GPU; 0 for any.
        disk_bytes: Memory-backed space for what the run writes, within `memory_bytes` where it is 0.
        nodes: Number of nodes.
    """

    cpus: int = 1
    memory_bytes: int = 2 * 10**9
    gpu_count: int = 0
    gpu_model: str = ""
    gpu_memory_bytes: int = 0
    disk_bytes: int = 0
    nodes: int = 1

    def __post_init__(self) -> None:
        if self.cpus < 1 or self.nodes < 1 or self.memory_bytes < 1:
            raise UsageError(
                "a run needs at least one core, one node and some memory", hint="Memory is written like 16GB."
            )
        if self.nodes > MOST_NODES:
            raise UsageError(f"a run has at most {MOST_NODES} nodes, not {self.nodes}")
        if min(self.gpu_count, self.gpu_memory_bytes, self.disk_bytes) < 0:
            raise UsageError("resources cannot be negative")
