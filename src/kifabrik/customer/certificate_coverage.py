"""Whether a certificate of erasure names all that the log shows, up to the head it covers.

The keyholder says what it names from its own records. The same can be seen in the log by anybody: a run that was
released something made from the dataset, what its end says has come out of it, and so on from result to result.

Invariants:
- only entries before the head count, so a certificate that was whole when it was made stays so;
- what only the certificate names does no harm: it may know of more than the log says.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Self

from kifabrik.grants.statements import ErasureCertificate
from kifabrik.ledger.entry import Entry, EntryKind


@dataclass(frozen=True)
class _Shown:
    """What entries show.

    Args:
        versions: Manifests of the dataset.
        asked: What each request asks for.
        released: Request, lease, run and receiver of each release.
        outputs: Manifests each run ended with.
    """

    versions: set[str] = field(default_factory=set)
    asked: dict[str, set[str]] = field(default_factory=dict)
    released: list[tuple[str, str, str, str]] = field(default_factory=list)
    outputs: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    @classmethod
    def of(cls, dataset: str, entries: Iterable[Entry]) -> Self:
        shown = cls()
        for entry in entries:
            refs = entry.refs
            if entry.kind is EntryKind.DATASET_SEALED and refs.get("dataset") == dataset:
                shown.versions.add(str(refs.get("manifest", "")))
            elif entry.kind is EntryKind.LEASE_REQUESTED:
                shown.asked[str(refs.get("request", ""))] = _texts(entry, "items")
            elif entry.kind is EntryKind.LEASE_RELEASED:
                named = (str(refs.get(name, "")) for name in ("request", "lease", "run", "receiver"))
                request, lease, run, receiver = named
                shown.released.append((request, lease, run, receiver))
            elif entry.kind is EntryKind.RUN_FINISHED:
                shown.outputs[str(refs.get("run", ""))] |= _texts(entry, "outputs")
        return shown


def left_out(said: ErasureCertificate, entries: Sequence[Entry]) -> tuple[str, ...]:
    """Return what a certificate does not name although the log shows it; nothing for one that names no head.

    Args:
        said: The certificate.
        entries: Of the log, verified, at least up to its head.
    """
    if not said.log_size:
        return ()
    shown = _Shown.of(said.dataset, entries[: said.log_size])
    keyed, made = _followed(shown)
    named = {one.manifest for one in said.derived}
    leases = {one.lease for one in (*said.releases, *said.results_released)}
    direct = {one.lease for one in said.releases}
    wanting = [f"version {one[:16]}" for one in sorted(shown.versions - set(said.manifests))]
    wanting += [f"run {run}" for run in sorted(keyed - {one.run for one in said.runs})]
    wanting += [f"result {one[:16]}" for one in sorted(made - shown.versions - named)]
    for request, lease, _, receiver in shown.released:
        items = shown.asked.get(request, set())
        if (items & shown.versions and lease not in direct) or (items & made and lease not in leases):
            wanting.append(f"release {lease} to {receiver}")
    return tuple(wanting)


def _followed(shown: _Shown) -> tuple[set[str], set[str]]:
    """Follow a dataset through runs: the runs that were released any of it, and all that was made of it."""
    keyed: set[str] = set()
    made = set(shown.versions)
    while True:
        before = len(keyed)
        for request, _, run, receiver in shown.released:
            if receiver.startswith("a-") and run not in keyed and shown.asked.get(request, set()) & made:
                keyed.add(run)
                made |= shown.outputs.get(run, set())
        if len(keyed) == before:
            return keyed, made


def _texts(entry: Entry, name: str) -> set[str]:
    value = entry.refs.get(name, ())
    return set(value) if isinstance(value, tuple) else {str(value)}
