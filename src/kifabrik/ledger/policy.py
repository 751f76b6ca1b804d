"""Whom to believe about a log: its key, and the witnesses that must have cosigned (c2sp.org/tlog-policy).

Invariants:
- a checkpoint is accepted only with the signature of a listed log over that log's own origin;
- a witness counts once, however often and under however many names it has signed;
- a group refers only to what stands above it, so evaluation ends.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from kifabrik.errors import IntegrityError, UsageError
from kifabrik.ledger.checkpoint import TreeHead
from kifabrik.ledger.notes import Note, NoteVerifier, SignatureType

NO_QUORUM: Final = "none"
_MOST_POLICY_CHARACTERS: Final = 64 * 1024
_FORBIDDEN: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_SPACE: Final = re.compile(r"[ \t]+")
_THRESHOLD: Final = re.compile(r"[1-9][0-9]{0,4}")


@dataclass(frozen=True)
class Group:
    """Members of which at least `threshold` must have witnessed."""

    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True)
class AcceptedHead:
    """A tree head that satisfies a policy.

    Args:
        head: The head.
        log: The log that signed it.
        cosigned: POSIX time of each valid cosignature, by the policy's name of the witness.
    """

    head: TreeHead
    log: NoteVerifier
    cosigned: Mapping[str, int]


@dataclass(frozen=True)
class Policy:
    """Keys of logs and witnesses, and the quorum of witnesses a checkpoint needs.

    Args:
        logs: Keys of the logs, each named after its origin.
        witnesses: Keys by the name the quorum uses.
        groups: In the order of definition; members are witnesses or earlier groups.
        quorum: A witness, a group, or `none`.
        urls: Where a log (by key name) or a witness (by name) can be reached; for people.

    Raises:
        UsageError: A name, key, threshold or reference breaks a rule of tlog-policy.
    """

    logs: tuple[NoteVerifier, ...]
    witnesses: Mapping[str, NoteVerifier] = field(default_factory=dict)
    groups: Mapping[str, Group] = field(default_factory=dict)
    quorum: str = NO_QUORUM
    urls: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_keys("log", list(self.logs), SignatureType.ED25519)
        _check_keys("witness", list(self.witnesses.values()), SignatureType.COSIGNATURE_V1)
        defined, used = set(self.witnesses), set[str]()
        if NO_QUORUM in defined or defined & set(self.groups):
            raise UsageError("a policy uses one name twice, or calls a witness 'none'")
        for name, group in self.groups.items():
            members = set(group.members)
            if not 1 <= group.threshold <= len(members) == len(group.members):
                raise UsageError(f"group {name} cannot need {group.threshold} of {len(members)} members")
            if not members <= defined or members & used or name == NO_QUORUM:
                raise UsageError(f"group {name} names a member that is unknown so far or already in a group")
            defined.add(name)
            used |= members
        if self.quorum != NO_QUORUM and self.quorum not in defined:
            raise UsageError(f"the quorum names {self.quorum}, which the policy does not define")

    @classmethod
    def of(cls, log: NoteVerifier, *witnesses: NoteVerifier) -> "Policy":
        """Return the policy of one log that all these witnesses must cosign."""
        named = {f"w{number}": witness for number, witness in enumerate(witnesses, 1)}
        if len(named) <= 1:
            return cls((log,), named, quorum=next(iter(named), NO_QUORUM))
        return cls((log,), named, {"all": Group(len(named), tuple(named))}, "all")

    @classmethod
    def parse(cls, text: str) -> "Policy":
        """Read a policy file.

        Raises:
            UsageError: A line is not one of a policy, or breaks a rule; the message names it.
        """
        if len(text) > _MOST_POLICY_CHARACTERS or _FORBIDDEN.search(text):
            raise UsageError("not a log policy: too long, or control characters other than tab and newline")
        reader = _Reader()
        for number, line in enumerate(text.split("\n"), 1):
            words = [word for word in _SPACE.split(line) if word]
            if words and not words[0].startswith("#"):
                with _naming(f"log policy, line {number}"):
                    reader.add(words)
        with _naming("log policy"):
            return reader.policy()

    def to_text(self) -> str:
        """Write a policy file."""
        lines = [["log", log.vkey, self.urls.get(log.name, "")] for log in self.logs]
        lines += [["witness", name, key.vkey, self.urls.get(name, "")] for name, key in self.witnesses.items()]
        lines += [["group", name, str(group.threshold), *group.members] for name, group in self.groups.items()]
        lines += [["quorum", self.quorum]]
        return "".join(f"{' '.join(filter(None, words))}\n" for words in lines)

    def accept(self, checkpoint: str) -> AcceptedHead:
        """Return the head of a checkpoint that satisfies this policy.

        Raises:
            IntegrityError: Not a checkpoint, not signed by a listed log, or the quorum is missing.
        """
        note = Note.parse(checkpoint)
        signed = note.verify((*self.logs, *self.witnesses.values()))
        head = TreeHead.parse(note.text)
        log = next((log for log in self.logs if log in signed and log.name == head.origin), None)
        if log is None:
            raise IntegrityError(f"the tree head of {head.origin} is not signed by a log this policy trusts")
        times = {name: signed.get(witness) for name, witness in self.witnesses.items()}
        cosigned = {name: time for name, time in times.items() if time is not None}
        if not self._witnessed(cosigned):
            raise IntegrityError(
                f"the tree head of {head.size} entries lacks cosignatures: "
                f"the policy asks for {self.quorum}, present are {', '.join(cosigned) or 'none'}",
                hint="Ask for the newest cosigned tree head; the keyholder cosigns when it is running.",
            )
        return AcceptedHead(head, log, cosigned)

    def _witnessed(self, cosigned: Mapping[str, int]) -> bool:
        satisfied = set(cosigned) | {NO_QUORUM}
        for name, group in self.groups.items():
            if len(satisfied & set(group.members)) >= group.threshold:
                satisfied.add(name)
        return self.quorum in satisfied


class _Reader:
    """Collects the lines of a policy file in order."""

    def __init__(self) -> None:
        self._logs: list[NoteVerifier] = []
        self._witnesses: dict[str, NoteVerifier] = {}
        self._groups: dict[str, Group] = {}
        self._quorum = ""
        self._urls: dict[str, str] = {}

    def add(self, line: list[str]) -> None:
        """Take one line, split into words."""
        match line:
            case ["log", vkey, *url] if len(url) <= 1:
                self._logs.append(NoteVerifier.from_vkey(vkey))
                self._urls.update(zip([self._logs[-1].name], url, strict=False))
            case ["witness", name, vkey, *url] if len(url) <= 1:
                self._witnesses[self._new(name)] = NoteVerifier.from_vkey(vkey)
                self._urls.update(zip([name], url, strict=False))
            case ["group", name, threshold, *members] if members:
                needed = _threshold(threshold, len(members))
                self._groups[self._new(name)] = Group(needed, tuple(map(self._defined, members)))
            case ["quorum", name] if not self._quorum:
                self._quorum = name if name == NO_QUORUM else self._defined(name)
            case _:
                raise UsageError(f"not understood: {' '.join(line)[:100]!r}")

    def policy(self) -> Policy:
        """Return the whole."""
        if not self._quorum:
            raise UsageError("it has no quorum line", hint="Add 'quorum none' to ask for no witness.")
        return Policy(tuple(self._logs), self._witnesses, self._groups, self._quorum, self._urls)

    def _new(self, name: str) -> str:
        if name == NO_QUORUM or name in self._witnesses or name in self._groups:
            raise UsageError(f"the name {name} is taken")
        return name

    def _defined(self, name: str) -> str:
        if name not in self._witnesses and name not in self._groups:
            raise UsageError(f"no witness or group above is called {name}")
        return name


@contextmanager
def _naming(where: str) -> Iterator[None]:
    """Say where in the file something is wrong."""
    try:
        yield
    except UsageError as error:
        raise UsageError(f"{where}: {error.message}", hint=error.hint) from None


def _threshold(text: str, members: int) -> int:
    if text in ("any", "all"):
        return 1 if text == "any" else members
    if _THRESHOLD.fullmatch(text) is None:
        raise UsageError(f"not a threshold: {text!r}")
    return int(text)


def _check_keys(what: str, keys: list[NoteVerifier], kind: SignatureType) -> None:
    if any(key.type is not kind for key in keys):
        raise UsageError(f"the vkey of a {what} has signature type {kind.value:#04x}")
    if len({key.key.raw for key in keys}) != len(keys):
        raise UsageError(f"two {what} lines have the same key")
