"""What entries may follow each other: the rules of the log's content, checked entry by entry.

Invariants (each has a test; docs/formats/ledger.md lists the references they read):
- a tenant is created once, by the first entry;
- no entry id appears twice, so no entry can be replayed;
- a lease is released or refused only for a request that stands in the log before, and only once;
- no lease is released for a dataset after its erasure was decided or done, or under a revoked grant;
- a dataset is erased only after that was decided;
- a grant that is revoked was given; a run that is admitted, finished or stopped was ordered;
- an attempt ends once, so what it used is said once.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from kifabrik.ledger.entry import Entry, EntryKind, RefValue


@dataclass
class _Seen:
    """What the entries so far have established; dictionaries say by which entry."""

    count: int = 0
    ids: dict[str, int] = field(default_factory=dict)
    requested: set[str] = field(default_factory=set)
    decided: dict[str, int] = field(default_factory=dict)
    erased: dict[str, int] = field(default_factory=dict)
    given: set[str] = field(default_factory=set)
    revoked: dict[str, int] = field(default_factory=dict)
    ordered: set[str] = field(default_factory=set)
    ended: dict[str, int] = field(default_factory=dict)


class History:
    """Checks each entry against those before it. Feed it every entry in order."""

    def __init__(self) -> None:
        self._seen = _Seen()

    def violation(self, entry: Entry) -> str:
        """Take the next entry into account and return what is wrong with it, or nothing.

        Entries of unknown kinds are counted and otherwise left alone.
        """
        seen, wrong = self._seen, ""
        if entry.id in seen.ids:
            wrong = f"its id is that of entry {seen.ids[entry.id]}"
        elif isinstance(entry.kind, EntryKind) and entry.kind in _RULES:
            wrong = _RULES[entry.kind](seen, entry.refs)
        seen.ids.setdefault(entry.id, seen.count)
        seen.count += 1
        return f"{entry.kind}: {wrong}" if wrong else ""


def _tenant_created(seen: _Seen, _refs: Mapping[str, RefValue]) -> str:
    return "a tenant is created by the first entry only" if seen.count else ""


def _lease_requested(seen: _Seen, refs: Mapping[str, RefValue]) -> str:
    request = _text(refs, "request")
    seen.requested.add(request)
    return "" if request else "it names no request"


def _lease_decided(seen: _Seen, refs: Mapping[str, RefValue]) -> str:
    request = _text(refs, "request")
    if request not in seen.requested:
        return f"no entry before it requests {request or 'anything'}"
    if request in seen.decided:
        return f"request {request} was already decided by entry {seen.decided[request]}"
    seen.decided[request] = seen.count
    return ""


def _lease_released(seen: _Seen, refs: Mapping[str, RefValue]) -> str:
    for dataset in (*_texts(refs, "datasets"), *_texts(refs, "dataset")):
        if dataset in seen.erased:
            return f"dataset {dataset} was erased by entry {seen.erased[dataset]}"
    for grant in (*_texts(refs, "grants"), *_texts(refs, "grant")):
        if grant in seen.revoked:
            return f"grant {grant} was revoked by entry {seen.revoked[grant]}"
    return _lease_decided(seen, refs)


def _erased(seen: _Seen, refs: Mapping[str, RefValue]) -> str:
    dataset = _text(refs, "dataset")
    undecided = dataset not in seen.erased
    wrong = _erasure(seen, refs)
    return wrong or (f"no entry before it decides that dataset {dataset} be erased" if undecided else "")


def _erasure(seen: _Seen, refs: Mapping[str, RefValue]) -> str:
    dataset = _text(refs, "dataset")
    seen.erased.setdefault(dataset, seen.count)
    return "" if dataset else "it names no dataset"


def _grant_given(seen: _Seen, refs: Mapping[str, RefValue]) -> str:
    grant = _text(refs, "grant")
    seen.given.add(grant)
    return "" if grant else "it names no grant"


def _grant_revoked(seen: _Seen, refs: Mapping[str, RefValue]) -> str:
    grant = _text(refs, "grant")
    seen.revoked.setdefault(grant, seen.count)
    return "" if grant in seen.given else f"no entry before it gives grant {grant or 'anything'}"


def _run_ordered(seen: _Seen, refs: Mapping[str, RefValue]) -> str:
    names = {*_texts(refs, "order"), *_texts(refs, "run")}
    seen.ordered |= names
    return "" if names else "it names no order"


def _run_went_on(seen: _Seen, refs: Mapping[str, RefValue]) -> str:
    names = {*_texts(refs, "order"), *_texts(refs, "run")}
    if not names & seen.ordered:
        return f"no entry before it orders {' or '.join(sorted(names)) or 'anything'}"
    seen.ordered |= names
    return ""


def _run_finished(seen: _Seen, refs: Mapping[str, RefValue]) -> str:
    attempt = _text(refs, "attempt")
    if attempt in seen.ended:
        return f"attempt {attempt} ended already by entry {seen.ended[attempt]}"
    if attempt:
        seen.ended[attempt] = seen.count
    return _run_went_on(seen, refs)


_RULES: Final[Mapping[EntryKind, Callable[[_Seen, Mapping[str, RefValue]], str]]] = {
    EntryKind.TENANT_CREATED: _tenant_created,
    EntryKind.LEASE_REQUESTED: _lease_requested,
    EntryKind.LEASE_RELEASED: _lease_released,
    EntryKind.LEASE_REFUSED: _lease_decided,
    EntryKind.DATASET_ERASED: _erased,
    EntryKind.ERASURE_DECIDED: _erasure,
    EntryKind.GRANT_GIVEN: _grant_given,
    EntryKind.GRANT_REVOKED: _grant_revoked,
    EntryKind.RUN_ORDERED: _run_ordered,
    EntryKind.RUN_ADMITTED: _run_went_on,
    EntryKind.RUN_FINISHED: _run_finished,
    EntryKind.RUN_STOPPED: _run_went_on,
}


def _texts(refs: Mapping[str, RefValue], key: str) -> tuple[str, ...]:
    value = refs.get(key, ())
    return value if isinstance(value, tuple) else (str(value),)


def _text(refs: Mapping[str, RefValue], key: str) -> str:
    """Return a reference that must be one text; empty if it is missing or something else."""
    value = refs.get(key, "")
    return value if isinstance(value, str) else ""
