"""The lock: which wheels an environment consists of, as text anybody can read and hash.

    # kifabrik lock 1: python 3.11, x86_64-manylinux_2_28
    --index-url https://example.org/simple
    jinja2==3.1.6 --hash=sha256:85ece4451f492d0c13c5dd7c13a64681a86afae63a5f347908daf103ce6d2f67

The text is also a valid requirements file for pip and uv. Its digest is the SHA-256 of its UTF-8 bytes.

Invariants:
- one text for one content: options first, then packages sorted by name, one each, LF line ends;
- nothing but the forms above parses, so a lock can name no local path, no source build, no variable
  (uv expands `${NAME}` from the builder's environment) and no address with a password in it;
- addresses are `https` only, and only those the person asked for.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Final

from kifabrik.errors import UsageError
from kifabrik.values import sha256_hex

PLATFORM: Final = "x86_64-manylinux_2_28"
"""What a lock resolves for: Linux on x86_64 with glibc 2.28 or later (PEP 600)."""

_HEADER: Final = "# kifabrik lock 1: python {python}, " + PLATFORM
_HEADER_SHAPE: Final = re.compile(r"# kifabrik lock 1: python (3\.[1-9]\d?), " + re.escape(PLATFORM))
_ADDRESS: Final = re.compile(
    r"https://[a-z0-9](?:[a-z0-9.-]{0,252}[a-z0-9])?(?::\d{1,5})?(?:/[\w.~%+/-]*)?", re.ASCII
)
_PIN: Final = re.compile(
    r"(?P<name>[a-z0-9](?:[a-z0-9-]{0,98}[a-z0-9])?)"
    r"==(?P<version>[a-z0-9][a-z0-9.!+_-]{0,98}) --hash=sha256:(?P<sha256>[0-9a-f]{64})"
)
_MOST_PINS: Final = 5_000


class Option(StrEnum):
    """Where else wheels may be looked for; the values are pip's own option names."""

    INDEX = "--index-url"
    EXTRA_INDEX = "--extra-index-url"
    FIND_LINKS = "--find-links"


_OPTIONS: Final = {option.value: option for option in Option}


@dataclass(frozen=True, order=True)
class Pin:
    """One package: its normalised name (PEP 503), its version and the SHA-256 of its one wheel."""

    name: str
    version: str
    sha256: str

    def __str__(self) -> str:
        return f"{self.name}=={self.version} --hash=sha256:{self.sha256}"


@dataclass(frozen=True)
class Lock:
    """A lock, valid by construction.

    Args:
        python: The Python minor version, such as `3.11`.
        pins: The packages, sorted by name.
        addresses: Indexes and link pages to look at, in the order asked for.

    Raises:
        UsageError: Something in it could not be written as a lock.
    """

    python: str
    pins: tuple[Pin, ...] = ()
    addresses: tuple[tuple[Option, str], ...] = ()

    def __post_init__(self) -> None:
        lines = self.text.split("\n")
        if _HEADER_SHAPE.fullmatch(lines[0]) is None:
            raise UsageError(f"not a Python version: {self.python!r}", hint="Write it like 3.11.")
        for option, address in self.addresses:
            require_address(option, address)
        for pin in self.pins:
            if _PIN.fullmatch(str(pin)) is None:
                raise UsageError(f"a lock cannot hold {str(pin)!r}")
        names = [pin.name for pin in self.pins]
        if names != sorted(set(names)):
            raise UsageError("a lock names every package once, sorted by name")
        if len(names) > _MOST_PINS:
            raise UsageError(f"a lock names at most {_MOST_PINS} packages, not {len(names)}")

    @cached_property
    def text(self) -> str:
        """The whole lock, ending in a line end."""
        options = (f"{option} {address}" for option, address in self.addresses)
        return "\n".join((_HEADER.format(python=self.python), *options, *map(str, self.pins), ""))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the text in hex: what an order and a lease name the environment by."""
        return sha256_hex(self.text.encode())

    @classmethod
    def from_text(cls, text: str) -> "Lock":
        """Read what `text` wrote; every other text is refused.

        Raises:
            UsageError: The text is not a lock, or not in its one form.
        """
        header, *lines = text.split("\n")
        match = _HEADER_SHAPE.fullmatch(header)
        if match is None:
            raise UsageError("not a kifabrik lock for " + PLATFORM, hint="Lock the environment again.")
        if not lines or lines.pop() != "":
            raise UsageError("a lock ends with a line end")
        found = cls(match[1], *_read_lines(lines))
        if found.text != text:
            raise UsageError("the lock is not in its canonical form", hint="Lock the environment again.")
        return found


def _read_lines(lines: Iterable[str]) -> tuple[tuple[Pin, ...], tuple[tuple[Option, str], ...]]:
    pins: list[Pin] = []
    addresses: list[tuple[Option, str]] = []
    for line in lines:
        if match := _PIN.fullmatch(line):
            pins.append(Pin(match["name"], match["version"], match["sha256"]))
            continue
        option, _, value = line.partition(" ")
        if option not in _OPTIONS:
            raise UsageError(f"a lock cannot hold {line[:120]!r}")
        addresses.append((_OPTIONS[option], value))
    return tuple(pins), tuple(addresses)


def require_address(option: Option, address: str) -> None:
    """Check that an address may stand in a lock, which travels to the factory in the clear.

    Raises:
        UsageError: It is not plain `https`, or it carries a user name, a password or a variable.
    """
    if _ADDRESS.fullmatch(address) is None:
        raise UsageError(
            f"{option} {address!r} cannot stand in a lock: only https addresses without user name, "
            "password, query or variable can",
            hint="For a private index set UV_DEFAULT_INDEX or UV_FIND_LINKS on this machine; "
            "such settings stay local.",
        )
