"""One entity set, page by page, as sealed members of a version.

Invariants:
- how far a set has come is noted only when everything up to there is sealed;
- asking, reading, typing and sealing go side by side, and each waits for the next: a part and some pages are held;
- rows received and rows announced are the same in the end, or nothing of the set counts;
- a set that proves inconsistent begins anew the next time.
"""

import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from kifabrik.connectors.sap.ahead import ahead
from kifabrik.connectors.sap.asking import Caller
from kifabrik.connectors.sap.children import child_rows
from kifabrik.connectors.sap.columnar import PageReader
from kifabrik.connectors.sap.early import EarlyPages
from kifabrik.connectors.sap.keys import Numbers
from kifabrik.connectors.sap.model import Version
from kifabrik.connectors.sap.pages import ACCEPT, Page, pages
from kifabrik.connectors.sap.parts import PART_ROWS, Part, PartBuilder
from kifabrik.connectors.sap.progress import ProgressFiles, SetProgress, State
from kifabrik.connectors.sap.selection import Selection, Table
from kifabrik.datasets.made import MadeShard
from kifabrik.datasets.writing import BLOCK_BYTES, Sink
from kifabrik.errors import CapacityError, ConflictError, IntegrityError, KifabrikError
from kifabrik.values import now_utc

TRACK: Final = "odata.track-changes"
_WAITING_BYTES: Final = 8 * 2**20
"""Pages that may wait while a part is finished and sealed, so that the service need not."""
_ROW_BYTES: Final = 1024
"""About what a row takes as an object."""


def _silent(_set: str, _rows: int, _count: int) -> None:
    return


@dataclass
class Work:
    """What a pull works with.

    Args:
        caller: The service.
        files: Where progress is kept.
        state: How far it has come.
        on_rows: Told the set, its rows so far, and how many there will be (-1: unknown).
        part_rows: Rows of a part.
        warnings: What a person should know.
    """

    caller: Caller
    files: ProgressFiles
    state: State
    on_rows: Callable[[str, int, int], None] = _silent
    part_rows: int = PART_ROWS
    warnings: list[str] = field(default_factory=list)
    first: dict[str, Page] = field(default_factory=dict)
    """Pages that were fetched to see whether a link is still good."""
    copies: dict[str, bytes] | None = None
    """Members by path, for what is made of them at once; None if nothing is."""

    @property
    def salt(self) -> bytes:
        """For hashes of keys."""
        return bytes.fromhex(self.state.salt)

    def notes(self, selection: Selection) -> dict[str, str]:
        """What a Parquet file says of where it is from."""
        return {"kifabrik.service": self.state.service, "kifabrik.entity_set": selection.name}


def gather(work: Work, selection: Selection) -> Iterator[MadeShard]:
    """Yield the members of a set that are still missing, and note how far it has come.

    Raises:
        KifabrikError: The set cannot be had, or is not consistent; what is sealed of it stays, if that helps.
    """
    progress = work.state.sets[selection.name]
    try:
        yield from _gather(work, selection, progress)
    except (IntegrityError, ConflictError):
        # What came so far may be wrong: it is not built on.
        work.state.sets.pop(selection.name, None)
        work.files.save(work.state)
        raise


@dataclass(frozen=True)
class _Cut:
    """What was gathered up to the end of a page, ready to be sealed.

    Args:
        parts: Tables and their files.
        totals: Rows so far by table.
        keys: Name of the file with the hashes of the keys of the set's own part; '' if there is none.
        link: The next page, or ''.
        delta: Link to what changes from now on, or ''.
    """

    parts: tuple[tuple[Table, Part], ...]
    totals: Mapping[str, int]
    keys: str = ""
    link: str = ""
    delta: str = ""


def _gather(work: Work, selection: Selection, progress: SetProgress) -> Iterator[MadeShard]:
    delta = ""
    with ahead(_cuts(work, selection, progress), depth=1) as cuts:
        for cut in cuts:
            if cut.keys:
                progress.keys.append(cut.keys)
            for table, one in cut.parts:
                yield part(work, progress, table, one.data, one.rows)
            progress.rows.update(cut.totals)
            progress.link, delta = cut.link, cut.delta
            if cut.link:
                work.files.save(work.state)
    total = progress.rows[selection.table.name]
    _check_count(work, selection, progress, total)
    progress.link, progress.done, progress.delta, progress.kept = "", True, delta, total
    if selection.wanted.changes and not delta:
        work.warnings.append(
            f"{selection.name}: the service does not track changes here, so the next pull takes all of it again"
        )
    if not delta:
        progress.keys = []
    work.files.save(work.state)


def _cuts(work: Work, selection: Selection, progress: SetProgress) -> Iterator[_Cut]:
    """Make rows into files; what is noted of the pull is left alone, for it says what is sealed."""
    keys = list(progress.keys)
    builders: dict[str, PartBuilder] = {}
    delta = ""
    with ahead(_pages(work, selection, progress), weigh=_bytes_of, most=_WAITING_BYTES) as coming:
        for page in coming:
            if not builders:  # the first page has said how many rows there will be
                builders = _builders(work, selection, progress, keys)
                own = builders[selection.table.name]
            _check_room(selection, progress, page, own.total + len(page.rows))
            own.add(page.rows)
            for navigation, table in selection.children.items():
                builders[table.name].add(child_rows(work.caller, selection, navigation, page.rows))
                _check_children(selection, navigation, builders[table.name].total)
            work.on_rows(selection.name, own.total, progress.count)
            delta = page.delta or delta
            if page.next and max(builder.rows for builder in builders.values()) >= work.part_rows:
                yield _cut(work, builders, keys, page.next, delta)
    yield _cut(work, builders, keys, "", delta)


def _bytes_of(page: Page) -> int:
    size: int = len(page.rows) * _ROW_BYTES if isinstance(page.rows, list) else page.rows.nbytes
    return size


def _cut(work: Work, builders: dict[str, PartBuilder], keys: list[str], link: str, delta: str) -> _Cut:
    own = next(iter(builders.values()))
    parts = []
    name = ""
    for builder in builders.values():
        # A table without a row is a member too: its columns are known.
        if not builder.rows and (link or builder.total):
            continue
        made = builder.finish()
        if builder is own and (link or delta):  # else nobody will ask for them
            name = work.files.save_keys(made.numbers)
            keys.append(name)
        parts.append((builder.table, made))
    return _Cut(tuple(parts), {one: builder.total for one, builder in builders.items()}, name, link, delta)


def _pages(work: Work, selection: Selection, progress: SetProgress) -> Iterator[Page]:
    """Pages from where the pull stands; V2 services that page only when asked to are asked."""
    window = selection.version is Version.V2 and not selection.wanted.changes
    link, rows = progress.link, progress.rows.get(selection.name, 0)
    size = selection.wanted.page_rows

    def beyond() -> str:
        """The window behind the one that is being read, if it is full."""
        return selection.link(top=size, skip=rows + size) if window and rows + size < progress.count else ""

    read = PageReader(selection)
    headers = page_headers(selection)
    fetch = EarlyPages(lambda one: work.caller.get(one, headers), selection.version, beyond)
    known = work.first.pop(selection.name, None)
    while link:
        coming = pages(work.caller, selection.version, link, selection.name, read=read, fetch=fetch)
        for page in coming if known is None else (known,):
            known = None
            if progress.count < 0 and page.count is not None:
                progress.count = page.count
            rows += len(page.rows)
            link = page.next
            if not link and window and len(page.rows) and rows < progress.count:
                link = selection.link(top=size, skip=rows)
            yield Page(page.rows, link, page.delta, page.count, page.removed)


def _wishes(selection: Selection) -> list[str]:
    return [f"odata.maxpagesize={selection.wanted.page_rows}", *([TRACK] if selection.wanted.changes else [])]


def page_headers(selection: Selection) -> dict[str, str]:
    """Return the headers a page of a set is asked for with."""
    prefer = {"prefer": ", ".join(_wishes(selection))} if selection.version is Version.V4 else {}
    return {"accept": ACCEPT[selection.version], **prefer}


def first_link(selection: Selection) -> str:
    """Return the question a full pull of a set begins with."""
    window = selection.version is Version.V2 and not selection.wanted.changes
    return selection.link(top=selection.wanted.page_rows if window else 0)


def _builders(work: Work, selection: Selection, progress: SetProgress, keys: list[str]) -> dict[str, PartBuilder]:
    """Return what collects the rows of each table.

    Args:
        work: What the pull works with.
        selection: The set.
        progress: How far it has come.
        keys: Names of the files with the hashes of the set's keys so far; grows with them.
    """

    def recall() -> Numbers:
        return work.files.load_keys(keys)

    return {
        table.name: PartBuilder(
            table,
            work.salt,
            work.notes(selection),
            total=progress.rows.get(table.name, 0),
            recall=recall if table is selection.table else None,
            nested=table is not selection.table,
        )
        for table in selection.tables
    }


def part(work: Work, progress: SetProgress, table: Table, data: bytes, rows: int, kind: str = "") -> MadeShard:
    """Return a member of the version, and note it."""
    number = sum(path.startswith(f"{table.name}/") for path, _, _ in progress.parts)
    path = f"{table.name}/{work.state.version:05d}-{number:05d}{kind}.parquet"
    progress.parts.append((path, _digest(data), rows))
    if work.copies is not None:
        work.copies[path] = data
    return in_memory(path, data)


def in_memory(path: str, data: bytes) -> MadeShard:
    """Return a member whose bytes are at hand."""

    def write(sink: Sink) -> None:
        stream = io.BytesIO(data)
        while piece := stream.read(BLOCK_BYTES):
            sink(piece)

    return MadeShard(path, write, int(now_utc().timestamp()))


def _digest(data: bytes) -> str:
    import hashlib  # noqa: PLC0415 - once a part

    return hashlib.sha256(data).hexdigest()


def _check_room(selection: Selection, progress: SetProgress, page: Page, rows: int) -> None:
    most = selection.wanted.rows
    announced = page.count if page.count is not None else progress.count
    if announced > most or rows > most:
        many = f"{max(announced, rows):,}"
        raise CapacityError(
            f"{selection.name} has {many} rows, and the plan allows {most:,}",
            hint="Narrow the filter, or raise rows in the plan if that is what was agreed.",
        )


def _check_children(selection: Selection, navigation: str, rows: int) -> None:
    most = selection.wanted.expand[navigation].rows
    if rows > most:
        raise CapacityError(
            f"{selection.name}/{navigation} has more than the {most:,} rows the plan allows",
            hint=f"Set rows under expand, {navigation}, if so many are meant.",
        )


def _check_count(work: Work, selection: Selection, progress: SetProgress, rows: int) -> None:
    if progress.count in {-1, rows}:
        return
    now = count_now(work.caller, selection)
    if now != rows:
        raise ConflictError(
            f"{selection.name}: the service announced {progress.count:,} rows and sent {rows:,}",
            hint="The data moved while its pages were read. Repeat the command: this set begins anew.",
        )
    work.warnings.append(
        f"{selection.name}: {progress.count:,} rows were announced, {rows:,} came, and so many there are now"
    )


def count_now(caller: Caller, selection: Selection) -> int | None:
    """Ask how many rows there are now; None if the service does not say."""
    try:
        answer = caller.get(selection.count_link, {"accept": "text/plain"})
        return int(answer.body.decode("utf-8-sig").strip())
    except (KifabrikError, ValueError):
        return None


def describe(selection: Selection) -> list[object]:
    """Return tables and columns as they are kept to see whether they change."""
    return [[table.name, table.description()] for table in selection.tables]
