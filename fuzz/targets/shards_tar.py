"""Tar shards, against `tarfile`: what unpacks here is what it lists, and no more."""

import hashlib
import io
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from fuzz.target import Disagreement, Target, agree
from kifabrik.datasets.contents import FileEntry, ShardContents, ShardKind
from kifabrik.datasets.folders import open_folder
from kifabrik.datasets.tar import END_OF_TAR, Kind, member_header, padded
from kifabrik.datasets.tar_reading import MemberReader
from kifabrik.datasets.unpacking import ShardUnpacker
from kifabrik.errors import ConflictError, IntegrityError, KifabrikError

_ROOM = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - this process's own folder in it
_PIECES = (1, 7, 512, 1 << 20)


def one(data: bytes) -> None:
    """Describe the tar as its own writer would, unpack it, and compare with what tarfile finds."""
    contents = _described(data)
    with tempfile.TemporaryDirectory(dir=_ROOM) as outside:
        inside = Path(outside, "opened")
        inside.mkdir()
        try:
            _unpack(data, contents, inside)
        finally:
            made = [path for path in Path(outside).rglob("*") if not path.is_relative_to(inside)]
            if made or any(path.is_symlink() for path in inside.rglob("*")):
                raise Disagreement(f"something was made that should not be: {made}")
        files = {str(path.relative_to(inside)): path.stat().st_size for path in inside.rglob("*") if path.is_file()}
        agree(files, _theirs(data), "the files unpacked")


def _described(data: bytes) -> ShardContents:
    """Contents a hostile sealer would seal beside this tar: they fit it as far as the rules let them."""
    reader, view, at = MemberReader(), memoryview(data), 0
    files: list[FileEntry] = []
    folders: list[str] = []
    while at < len(view):
        taken, member = reader.take(view[at:])
        at += taken
        if member is None or member.kind is Kind.END:
            continue
        if member.kind is Kind.DIRECTORY:
            folders.append(member.path)
            continue
        content = data[at : at + member.size]
        digest = hashlib.sha256(content).hexdigest()
        files.append(FileEntry(member.path, at, member.size, digest, executable=False, mtime=0))
        at += padded(member.size)
    whole = hashlib.sha256(data).hexdigest()
    return ShardContents(ShardKind.TAR, whole, len(data), tuple(files), tuple(sorted(folders)))


def _theirs(data: bytes) -> dict[str, int]:
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
            return {member.name: member.size for member in tar if member.isreg()}
    except tarfile.ReadError:
        return {}


def _unpack(data: bytes, contents: ShardContents, inside: Path) -> None:
    folder = open_folder(inside)
    try:
        with ShardUnpacker(folder, contents, verify=True) as unpacker:
            size = _PIECES[len(data) // 512 % len(_PIECES)] if len(data) < 1 << 14 else 1 << 20
            for at in range(0, len(data), size):
                unpacker.feed(data[at : at + size])
    finally:
        folder.close()


def seeds() -> Iterator[bytes]:
    """Tars of ours and of tarfile."""
    body = b"x" * 700
    yield END_OF_TAR
    yield (
        member_header("a/b.csv", len(body), 1, executable=False)
        + body.ljust(1024, b"\0")
        + member_header("empty/", 0, 0, executable=True)
        + member_header("ü/" + "long" * 40, 0, 0, executable=True)
        + END_OF_TAR
    )
    for form in (tarfile.USTAR_FORMAT, tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        sink = io.BytesIO()
        with suppress(KifabrikError), tarfile.open(fileobj=sink, mode="w", format=form) as tar:
            info = tarfile.TarInfo("f.txt")
            info.size = len(body)
            tar.addfile(info, io.BytesIO(body))
            link = tarfile.TarInfo("link")
            link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
            tar.addfile(link)
        yield sink.getvalue()


TARGET = Target(
    "tar shards",
    one,
    (IntegrityError, ConflictError),
    seeds,
    (b"../", b"/", b"ustar\x0000", b"ustar  \x00", b"path=", b"0000644\x00", b"\x00" * 512),
    longest=1 << 14,
)
