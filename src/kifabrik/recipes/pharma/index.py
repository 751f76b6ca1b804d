"""A library as an index on disk: packed fingerprints sorted by count, opened by mapping memory.

A folder with
    index.json          what the index is, and how it was made; written last
    fingerprints.npy    Morgan fingerprints, uint64 (n, 32), molecules with fewer bits first
    counts.npy          bits on in each, int32 (n,)
    rows.npy            the molecule's place in `molecules.arrow`, int64 (n,)
    molecules.arrow     row of the library, id and SMILES, in the order of the library (Arrow IPC)
    patterns.npy        RDKit's pattern fingerprints in that order, uint64 (n, 32); only if asked for
    rejects.csv         rows that could not be read, and why

Invariants:
    - Nothing in an index is executed or unpickled when it is opened.
    - `index.json` is there only when all else is; files whose sizes disagree with it are refused.
    - Building holds one chunk of molecules in memory, and 12 bytes for each molecule.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import rdkit
from numpy.typing import NDArray
from rdkit import Chem, DataStructs
from rdkit.rdBase import BlockLogs

from kifabrik.durable import make_folder, put_in_place, write_whole
from kifabrik.errors import CapacityError, UsageError
from kifabrik.recipes.pharma.fingerprints import BITS, RADIUS, WORDS, of_molecules, read_chunk
from kifabrik.recipes.pharma.left_out import RejectsFile
from kifabrik.recipes.pharma.libraries import Library, Molecules
from kifabrik.recipes.pharma.popcount import count_bits
from kifabrik.recipes.pharma.processes import processes

HEADER: Final = "index.json"
_FINGERPRINTS: Final = "fingerprints.npy"
_COUNTS: Final = "counts.npy"
_ROWS: Final = "rows.npy"
_MOLECULES: Final = "molecules.arrow"
_PATTERNS: Final = "patterns.npy"
_REJECTS: Final = "rejects.csv"
_FORMAT: Final = 1
_CHUNK: Final = 4_096
_SCHEMA: Final = pa.schema([("row", pa.int64()), ("id", pa.string()), ("smiles", pa.string())])
_AGAIN: Final = "Make it again with `kifabrik pharma index`."


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What an index is.

    Attributes:
        molecules: How many it holds.
        rejected: Rows of the library that could not be read.
        library: Name of the file it was made from.
        bits: Of a fingerprint.
        radius: Of a fingerprint.
        patterns: Whether pattern fingerprints are there.
        rdkit: Version that made the fingerprints.
        format: Of this folder.
    """

    molecules: int
    rejected: int
    library: str
    patterns: bool
    bits: int = BITS
    radius: int = RADIUS
    rdkit: str = rdkit.__version__
    format: int = _FORMAT


@dataclass(frozen=True, slots=True)
class Index:
    """An opened index; arrays are mapped, not loaded.

    Attributes:
        header: What it is.
        fingerprints: Sorted by count, shape (n, 32).
        counts: Ascending, shape (n,).
        rows: Where each stands in `molecules`, shape (n,).
        molecules: Columns `row`, `id`, `smiles`.
        patterns: Shape (n, 32), in the order of `molecules`; None: not made.
    """

    header: Header
    fingerprints: NDArray[np.uint64]
    counts: NDArray[np.int32]
    rows: NDArray[np.int64]
    molecules: pa.Table
    patterns: NDArray[np.uint64] | None


@dataclass(frozen=True, slots=True)
class _Part:
    """What a process makes of a chunk."""

    rows: list[int]
    ids: list[str]
    smiles: list[str]
    fingerprints: NDArray[np.uint64]
    patterns: NDArray[np.uint64] | None
    rejects: list[tuple[int, str, str, str]]


def build(
    library: Library,
    folder: Path,
    *,
    workers: int = 1,
    patterns: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Header:
    """Make an index of a library.

    Args:
        library: Streamed once.
        folder: Of the index; must not hold anything else.
        workers: Processes; 1 computes in this one.
        patterns: Also make pattern fingerprints, which quicken substructure search; they take two to three times
            the time, and twice the disk.
        progress: Told the rows of each chunk that is done.

    Raises:
        UsageError: The library cannot be read, holds no molecule, or the folder holds something else.
        CapacityError: The folder cannot be written, or its disk is full.
    """
    if folder.exists() and any(folder.iterdir()) and not (folder / HEADER).exists():
        raise UsageError(f"{folder} holds something that is no index.", hint="Give a new or empty folder.")
    fresh = folder.with_name(f"{folder.name}.new")
    try:
        shutil.rmtree(fresh, ignore_errors=True)
        make_folder(fresh)
        header = _build(library, fresh, workers, patterns, progress or (lambda _rows: None))
        if folder.exists():
            shutil.rmtree(folder)
        fresh.rename(folder)
    except OSError as error:
        raise CapacityError(
            f"{folder} cannot be written: {error.strerror or error}.", hint="Make room, or give another folder."
        ) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return header


def _build(library: Library, folder: Path, workers: int, patterns: bool, progress: Callable[[int], None]) -> Header:
    counts = []
    molecules = rejected = 0
    unsorted, pattern_file = folder / "unsorted.bin", folder / "patterns.bin"
    make = partial(_part, patterns=patterns)
    with (
        unsorted.open("wb") as bits,
        pattern_file.open("wb") as pattern_bits,
        pa.OSFile(str(folder / _MOLECULES), "wb") as sink,
        pa.ipc.new_file(sink, _SCHEMA) as table,
        RejectsFile(folder / _REJECTS) as rejects,
        _pool(workers) as pool,
    ):
        for part in _parts(pool, make, library, workers):
            bits.write(part.fingerprints.tobytes())
            if part.patterns is not None:
                pattern_bits.write(part.patterns.tobytes())
            table.write_batch(pa.record_batch([part.rows, part.ids, part.smiles], schema=_SCHEMA))
            counts.append(count_bits(part.fingerprints))
            rejects.write(part.rejects)
            molecules += len(part.rows)
            rejected += len(part.rejects)
            progress(len(part.rows) + len(part.rejects))
    if not molecules:
        raise UsageError(
            f"{library.path} holds no molecule that can be read.",
            hint="Check the column of SMILES and its first rows.",
        )
    _sort(folder, unsorted, np.concatenate(counts))
    if patterns:
        _as_npy(pattern_file, folder / _PATTERNS, molecules)
    pattern_file.unlink(missing_ok=True)
    header = Header(molecules=molecules, rejected=rejected, library=library.path.name, patterns=patterns)
    write_whole(folder / HEADER, (json.dumps(asdict(header), indent=2) + "\n").encode())
    return header


def _parts(
    pool: Executor | None, make: Callable[[Molecules], _Part], library: Library, workers: int
) -> Iterator[_Part]:
    """Chunks through the processes, in order, a few ahead."""
    if pool is None:
        yield from map(make, library.chunks(_CHUNK))
        return
    waiting = []
    for chunk in library.chunks(_CHUNK):
        waiting.append(pool.submit(make, chunk))
        if len(waiting) > 2 * workers:
            yield waiting.pop(0).result()
    for one in waiting:
        yield one.result()


@contextmanager
def _pool(workers: int) -> Iterator[Executor | None]:
    if workers <= 1:
        yield None
        return
    with processes(workers) as pool:
        yield pool


def _part(chunk: Molecules, *, patterns: bool) -> _Part:
    """Read and fingerprint a chunk."""
    kept, places, rejects = read_chunk(chunk)
    with BlockLogs():
        bits = of_molecules(kept)
        pattern_bits = pattern_words(kept) if patterns else None
    return _Part(
        [chunk.first + place for place in places],
        [chunk.ids[place] for place in places],
        [chunk.smiles[place] for place in places],
        bits,
        pattern_bits,
        rejects,
    )


def pattern_words(molecules: list[Any]) -> NDArray[np.uint64]:
    """RDKit's pattern fingerprints, packed: uint64 (n, 32). A molecule has all bits of its substructures."""
    rows = [DataStructs.BitVectToBinaryText(Chem.PatternFingerprint(each, fpSize=BITS)) for each in molecules]
    return np.frombuffer(b"".join(rows), dtype="<u8").reshape(len(rows), WORDS).astype(np.uint64, copy=False)


def _sort(folder: Path, unsorted: Path, counts: NDArray[np.int32]) -> None:
    """Write fingerprints, counts and rows in order of counts."""
    order = np.argsort(counts, kind="stable")
    source = np.memmap(unsorted, np.uint64, "r", shape=(counts.size, WORDS))
    target = np.lib.format.open_memmap(folder / _FINGERPRINTS, "w+", np.uint64, (counts.size, WORDS))
    for start in range(0, counts.size, _CHUNK):
        target[start : start + _CHUNK] = source[order[start : start + _CHUNK]]
    target.flush()
    del source, target
    unsorted.unlink()
    np.save(folder / _COUNTS, counts[order])
    np.save(folder / _ROWS, order.astype(np.int64))


def _as_npy(raw: Path, path: Path, molecules: int) -> None:
    """Put numpy's header before raw bytes."""
    fresh = path.with_suffix(".part")
    with fresh.open("wb") as file, raw.open("rb") as source:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "<u8", "fortran_order": False, "shape": (molecules, WORDS)}
        )
        shutil.copyfileobj(source, file)
    put_in_place(fresh, path)


def open_index(folder: Path) -> Index:
    """Open an index without loading it.

    Raises:
        UsageError: There is none, it is of another format, or its files do not fit together.
    """
    path = folder / HEADER
    if not path.exists():
        raise UsageError(f"{folder} is no index of a library: there is no {HEADER} in it.", hint=_AGAIN)
    try:
        header = Header(**json.loads(path.read_text()))
    except (TypeError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {error}.", hint=_AGAIN) from error
    if (header.format, header.bits, header.radius) != (_FORMAT, BITS, RADIUS):
        raise UsageError(f"{folder} was made by another version of kifabrik.", hint=_AGAIN)
    try:
        index = Index(
            header,
            np.asarray(np.load(folder / _FINGERPRINTS, mmap_mode="r", allow_pickle=False)),
            np.load(folder / _COUNTS, allow_pickle=False),
            np.load(folder / _ROWS, allow_pickle=False),
            pa.ipc.open_file(pa.memory_map(str(folder / _MOLECULES))).read_all(),
            np.asarray(np.load(folder / _PATTERNS, mmap_mode="r", allow_pickle=False)) if header.patterns else None,
        )
    except (OSError, ValueError, pa.ArrowException) as error:
        raise UsageError(f"The index in {folder} is damaged: {error}.", hint=_AGAIN) from error
    sizes = {len(index.fingerprints), len(index.counts), len(index.rows), index.molecules.num_rows}
    if sizes != {header.molecules} or index.fingerprints.shape[1:] != (WORDS,):
        raise UsageError(f"The index in {folder} is damaged: its files are of different lengths.", hint=_AGAIN)
    return index
