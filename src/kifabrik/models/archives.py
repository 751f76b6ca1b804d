"""ZIP archives that frameworks write: PyTorch's `.pt`, NumPy's `.npz`, and whatever is built alike.

Invariants:
- no name stands twice, in any case: two readers would open two different members;
- a member that is a pickle by its name must be one; by its content it is followed wherever it stands;
- a member is unpacked only as far as it is looked at, up to a limit.
"""

import io
import zipfile
import zlib
from typing import BinaryIO, Final

from kifabrik.errors import IntegrityError
from kifabrik.models import arrays
from kifabrik.models.pickles import Imports, read_pickle

MAGIC: Final = b"PK\x03\x04"
PICKLE_START: Final = b"\x80"
_MOST_MEMBERS: Final = 100_000
_MOST_MEMBER_BYTES: Final = 256 * 2**20
_PICKLE_NAMES: Final = (".pkl", ".pickle", ".p", ".joblib")
_ARRAY: Final = "array"
_OTHER: Final = "other"
_TORCH_SCRIPT: Final = "/code/"


def read_archive(file: BinaryIO, imports: Imports) -> bool:
    """Follow every pickle in an archive.

    Args:
        file: Seekable; must start with the archive.
        imports: What the pickles look up is added here.

    Returns:
        Whether that is all there is to it: NumPy's archives hold arrays only, PyTorch's one pickle and raw
        numbers. Nobody knows what reads the members of any other.

    Raises:
        IntegrityError: It is not a plain archive, or a pickle in it cannot be followed.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            names = {member.filename.casefold() for member in members}
            if len(names) != len(members) or len(members) > _MOST_MEMBERS:
                raise IntegrityError("a name stands twice in it, or there are too many")
            kinds = {_read_member(archive, member, imports) for member in members}
            return kinds == {_ARRAY} or any(name.endswith("/data.pkl") for name in names)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, ValueError, OSError):
        raise IntegrityError("it is not a plain archive, or cut off") from None


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, imports: Imports) -> str:
    if _TORCH_SCRIPT in f"/{member.filename}":
        imports.others.add(f"TorchScript code in {member.filename[:200]}")
    with archive.open(member) as stream:
        start = stream.read(len(arrays.MAGIC))
    is_named = member.filename.casefold().endswith(_PICKLE_NAMES)
    if start == arrays.MAGIC:
        arrays.read_array(_unpacked(archive, member), imports)
        return _ARRAY
    if is_named:
        read_pickle(_unpacked(archive, member), imports)
    elif start.startswith(PICKLE_START):
        _read_perhaps(_unpacked(archive, member), imports)
    return _OTHER


def _read_perhaps(data: BinaryIO, imports: Imports) -> None:
    """Raw numbers may start like a pickle: one that ends like one is, and its names count."""
    found = Imports()
    try:
        read_pickle(data, found)
    except IntegrityError:
        return
    imports.pickles += 1
    imports.harmless |= found.harmless
    imports.others |= found.others


def _unpacked(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> BinaryIO:
    with archive.open(member) as stream:
        data = stream.read(_MOST_MEMBER_BYTES + 1)
    if len(data) > _MOST_MEMBER_BYTES:
        raise IntegrityError(f"{member.filename[:200]!r} in it is larger than is looked through")
    return io.BytesIO(data)
