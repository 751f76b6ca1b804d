"""Looking into a model's files without loading them: what would happen to whoever does?

Nothing is unpickled, imported or executed here. The verdict on a file is the worst that was found in it:

    sound        numbers and text in a format that runs nothing, and well formed
    harmless     a pickle that looks up nothing but names on the list of `kifabrik.models.globals`
    unknown      a format nobody looked into
    runs code    loading it calls what its writer chose
    malformed    it is not what its name says, or cannot be looked through to its end
"""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, Final

from kifabrik.errors import IntegrityError, RefusedError, UnavailableError
from kifabrik.models import archives, arrays
from kifabrik.models.pickles import Imports, read_pickle
from kifabrik.models.tensors import read_tensors

_PICKLE_NAMES: Final = frozenset({".pkl", ".pickle", ".p", ".pt", ".pth", ".ckpt", ".joblib", ".dill"})
_TENSOR_NAMES: Final = frozenset({".safetensors"})
_ARRAY_NAMES: Final = frozenset({".npy", ".npz"})
_START_BYTES: Final = 8
_MOST_SHOWN: Final = 5


class Verdict(StrEnum):
    """What came of looking into a file."""

    SOUND = "sound"
    HARMLESS = "harmless"
    UNKNOWN = "unknown"
    RUNS_CODE = "runs code"
    MALFORMED = "malformed"


_REFUSED: Final = (Verdict.RUNS_CODE, Verdict.MALFORMED)


@dataclass(frozen=True)
class Finding:
    """One file of a model.

    Args:
        path: Relative to the model's folder.
        verdict: What came of looking.
        says: One clause for people.
    """

    path: str
    verdict: Verdict
    says: str

    @property
    def is_unsafe(self) -> bool:
        """Whether to keep one's hands off it."""
        return self.verdict in _REFUSED


def inspect_folder(folder: Path) -> tuple[Finding, ...]:
    """Look into every file of a model, in the order of their paths.

    Raises:
        UnavailableError: A file cannot be read.
    """
    return tuple(inspect_file(folder / path, path) for path in sorted(_files(folder)))


def require_safe(findings: tuple[Finding, ...]) -> None:
    """Check that no file runs code when it is loaded, or is malformed.

    Raises:
        RefusedError: One is; the message names it.
    """
    for finding in findings:
        if finding.is_unsafe:
            raise RefusedError(
                f"{finding.path}: {finding.says}",
                hint="Have the job save safetensors. To accept it nevertheless: --allow-unsafe",
            )


def inspect_file(file: Path, path: str) -> Finding:
    """Look into one file.

    Args:
        file: Where it is; a link is not followed.
        path: What to call it.

    Raises:
        UnavailableError: It cannot be read.
    """
    try:
        with open(file, "rb", opener=_open_plain) as stream:
            start = stream.read(_START_BYTES)
            stream.seek(0)
            return _judge(stream, start, path)
    except OSError as error:
        raise UnavailableError(f"cannot read {path}: {error.strerror}") from error


def _open_plain(name: str, flags: int) -> int:
    return os.open(name, flags | getattr(os, "O_NOFOLLOW", 0))


def _files(folder: Path) -> Iterator[str]:
    for root, _, names in os.walk(folder):
        for name in names:
            yield (Path(root) / name).relative_to(folder).as_posix()


def _judge(stream: BinaryIO, start: bytes, path: str) -> Finding:
    suffixes = {suffix.casefold() for suffix in Path(path).suffixes}
    if suffixes & _TENSOR_NAMES:
        return _judge_tensors(stream, path)
    if start.startswith(archives.MAGIC):
        return _judge_imports(stream, path, archives.read_archive, "an archive")
    if start.startswith(arrays.MAGIC) or suffixes & _ARRAY_NAMES:
        return _judge_imports(stream, path, arrays.read_array, "an array")
    if start.startswith(archives.PICKLE_START) or suffixes & _PICKLE_NAMES:
        return _judge_pickle(stream, path, is_named=bool(suffixes & _PICKLE_NAMES))
    return _judge_other(stream, path)


def _judge_tensors(stream: BinaryIO, path: str) -> Finding:
    try:
        tensors = read_tensors(stream)
    except IntegrityError as error:
        return Finding(path, Verdict.MALFORMED, f"malformed safetensors: {error.message}")
    return Finding(path, Verdict.SOUND, f"sound safetensors, {len(tensors)} tensors; runs nothing")


def _judge_imports(stream: BinaryIO, path: str, read: Callable[[BinaryIO, Imports], bool], what: str) -> Finding:
    imports, fault, is_all = Imports(), "", True
    try:
        is_all = read(stream, imports)
    except IntegrityError as error:
        fault = error.message
    if not (is_all or imports.others):
        return Finding(path, Verdict.UNKNOWN, f"{what} of unknown use; not looked into")
    return _by_imports(path, imports, fault, what)


def _judge_pickle(stream: BinaryIO, path: str, *, is_named: bool) -> Finding:
    """Follow a pickle and those behind it; raw numbers may follow (PyTorch's files before version 1.6)."""
    imports, fault = Imports(), ""
    try:
        read_pickle(stream, imports)
    except IntegrityError as error:
        if not is_named and not imports.others:
            return Finding(path, Verdict.UNKNOWN, "not looked into")
        fault = error.message
    with suppress(IntegrityError):
        while not fault:
            read_pickle(stream, imports)
    return _by_imports(path, imports, fault, "a pickle")


def _judge_other(stream: BinaryIO, path: str) -> Finding:
    """Oldest pickles have no mark: what reads as one to its end is one, whatever it is called."""
    imports = Imports()
    try:
        read_pickle(stream, imports)
    except IntegrityError:
        return Finding(path, Verdict.UNKNOWN, "not looked into")
    return _by_imports(path, imports, "", "a pickle")


def _by_imports(path: str, imports: Imports, fault: str, what: str) -> Finding:
    if imports.others:
        shown = sorted(imports.others)[:_MOST_SHOWN]
        more = f" and {len(imports.others) - len(shown)} more" if len(imports.others) > len(shown) else ""
        names = ", ".join(name[:100] for name in shown)
        return Finding(path, Verdict.RUNS_CODE, f"{what} that runs code when it is loaded: {names}{more}")
    if fault:
        return Finding(path, Verdict.MALFORMED, f"malformed: as {what}, {fault}")
    if imports.pickles:
        return Finding(path, Verdict.HARMLESS, f"{what} that looks up nothing but harmless names")
    return Finding(path, Verdict.SOUND, f"{what} without objects; runs nothing")
