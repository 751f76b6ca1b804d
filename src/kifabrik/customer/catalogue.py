"""Names to ids: read from the log, whose entries carry names sealed to the tenant's members.

The factory knows datasets and runs by random ids only. Whoever seals or orders puts the name into the
entry's sealed detail: `{"name": …}` for a dataset, `{"name": …, "outputs": […]}` for a run.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kifabrik.client.logs import Log
from kifabrik.errors import IntegrityError, NotFoundError
from kifabrik.ledger.entry import Entry, EntryKind
from kifabrik.ledger.mirror import Mirror
from kifabrik.seals.identities import Identity
from kifabrik.transfer.details import open_detail

_PUBLISHED = "model"


@dataclass(frozen=True)
class DatasetName:
    """A dataset by its name.

    Args:
        name: As its members call it.
        dataset: Dataset id.
        manifests: Digest of the manifest statement of each version, from 1.
        erased: Whether it was erased or its erasure decided.
    """

    name: str
    dataset: str
    manifests: tuple[str, ...]
    erased: bool


@dataclass(frozen=True)
class RunName:
    """A run by the name of its job.

    Args:
        name: Job name.
        run: Run id.
        outputs: Names of its declared outputs, numbered from 1.
        finished: Digests of the manifests of its outputs, once it has finished well.
        time: When it was ordered.
    """

    name: str
    run: str
    outputs: tuple[str, ...]
    finished: tuple[str, ...]
    time: str


@dataclass(frozen=True)
class ModelVersion:
    """An output of a finished run under the name of its job, counted in the order of finishing."""

    name: str
    version: int
    run: RunName
    output: int

    @property
    def owner(self) -> str:
        """The owner its manifest names, such as `r-…/1`."""
        return f"{self.run.run}/{self.output}"

    @property
    def manifest(self) -> str:
        """Digest of its manifest statement."""
        return self.run.finished[self.output - 1]


class Catalogue:
    """Names of one tenant, from this member's mirror of the log.

    Args:
        mirror: Up to date.
        log: To fetch sealed details that are not cached yet.
        identity: The tenant's catalogue identity.
        cache: Folder for sealed details.
    """

    def __init__(self, mirror: Mirror, log: Log, identity: Identity, cache: Path) -> None:
        self._log = log
        self._identity = identity
        self._cache = cache
        self.entries = [Entry.from_bytes(data) for data in mirror.entries(0, mirror.size)]

    def detail(self, entry: Entry) -> Mapping[str, Any]:
        """Return the names that belong to an entry; empty where there are none or they were deleted."""
        if not entry.detail:
            return {}
        path = self._cache / entry.detail
        try:
            if not path.exists():
                path.write_bytes(self._log.detail(entry.detail))
            return open_detail(path.read_bytes(), entry.detail, self._identity)
        except NotFoundError:
            return {}
        except IntegrityError:
            path.unlink(missing_ok=True)
            return {}

    def datasets(self) -> list[DatasetName]:
        """All datasets, in the order of their first version."""
        erased = {str(e.refs.get("dataset")) for e in self._of(EntryKind.ERASURE_DECIDED, EntryKind.DATASET_ERASED)}
        names: dict[str, str] = {}
        manifests: dict[str, list[str]] = {}
        for entry in self._of(EntryKind.DATASET_SEALED):
            dataset = str(entry.refs.get("dataset"))
            name = self.detail(entry).get("name")
            names[dataset] = str(name) if name else names.get(dataset, dataset)
            manifests.setdefault(dataset, []).append(str(entry.refs.get("manifest")))
        return [DatasetName(names[key], key, tuple(found), key in erased) for key, found in manifests.items()]

    def dataset(self, name: str) -> DatasetName:
        """Return the newest dataset of this name that is not erased, or by its id.

        Raises:
            NotFoundError: There is none; says so if it was erased.
        """
        named = [one for one in self.datasets() if name in (one.name, one.dataset)]
        live = [one for one in named if not one.erased]
        if live:
            return live[-1]
        if named:
            raise NotFoundError(f"the dataset {name!r} was erased", hint="See: kifabrik ledger show")
        raise NotFoundError(f"there is no dataset {name!r}", hint="See: kifabrik dataset ls")

    def runs(self) -> list[RunName]:
        """All runs, in the order they were ordered."""
        finished = {
            str(entry.refs.get("run")): _texts(entry.refs.get("outputs", ()))
            for entry in self._of(EntryKind.RUN_FINISHED)
        }
        found = []
        for entry in self._of(EntryKind.RUN_ORDERED):
            run = str(entry.refs.get("run"))
            detail = self.detail(entry)
            outputs = tuple(str(name) for name in detail.get("outputs", ()))
            found.append(RunName(str(detail.get("name", run)), run, outputs, finished.get(run, ()), entry.time))
        return found

    def run(self, name: str) -> RunName:
        """Return a run by its id, by the beginning of its id, or the newest of a job name.

        Raises:
            NotFoundError: There is none.
        """
        found = [one for one in self.runs() if name in {one.run, one.name}]
        if not found:
            found = [one for one in self.runs() if one.run.startswith(name) and len(name) > len("r-")]
        if not found:
            raise NotFoundError(f"there is no run {name!r}", hint="See: kifabrik ps")
        return found[-1]

    def models(self) -> list[ModelVersion]:
        """All outputs called `model` (or the only output) of finished runs."""
        order = {
            str(entry.refs.get("run")): number for number, entry in enumerate(self._of(EntryKind.RUN_FINISHED))
        }
        versions: dict[str, int] = {}
        models = []
        for run in sorted((r for r in self.runs() if r.finished), key=lambda r: order[r.run]):
            output = _model_output(run.outputs)
            if output is None or output > len(run.finished):
                continue
            versions[run.name] = versions.get(run.name, 0) + 1
            models.append(ModelVersion(run.name, versions[run.name], run, output))
        return models

    def model(self, name: str, version: int = 0) -> ModelVersion:
        """Return a model by name and version; 0 for the newest.

        Raises:
            NotFoundError: There is none.
        """
        found = [one for one in self.models() if one.name == name and version in (0, one.version)]
        if not found:
            which = f"{name}@{version}" if version else name
            raise NotFoundError(f"there is no model {which!r}", hint="See: kifabrik model ls")
        return found[-1]

    def _of(self, *kinds: EntryKind) -> Iterator[Entry]:
        return (entry for entry in self.entries if entry.kind in kinds)


def _model_output(outputs: tuple[str, ...]) -> int | None:
    if _PUBLISHED in outputs:
        return outputs.index(_PUBLISHED) + 1
    return 1 if len(outputs) == 1 else None


def _texts(value: Any) -> tuple[str, ...]:
    return value if isinstance(value, tuple) else (str(value),)
