"""Unpack opened shards into a folder, believing nothing the bytes say.

    with ShardUnpacker(folder, shard, verify=True) as unpacker:
        for chunk in opened_body:
            unpacker.feed(chunk)

Invariants:
- only the files and directories the contents name are made, each once, at the offset and with the size
  they name; whatever else a tar can hold is refused (`kifabrik.datasets.tar_reading`);
- not a byte beyond the plaintext size of the shard is taken, so no bomb goes off;
- nothing is written through a link, over something that is there, or outside the folder
  (`kifabrik.datasets.folder`);
- modes and times come from the contents, not from the tar: files are 0444, or 0555 if executable;
- leaving the context before the last byte, or with an error, removes the file half written.
"""

import hashlib
import os
from types import TracebackType
from typing import Final, Self

from kifabrik.datasets.contents import FileEntry, ShardContents, ShardKind
from kifabrik.datasets.folder import Folder, translated
from kifabrik.datasets.tar import Kind, padded
from kifabrik.datasets.tar_reading import Member, MemberReader
from kifabrik.errors import IntegrityError

_NS_PER_S: Final = 10**9
_SETS_TIME_BY_DESCRIPTOR: Final = os.utime in os.supports_fd


class ShardUnpacker:
    """Takes the plaintext of one shard in pieces of any size and makes its files.

    Several may work in one folder at once, in a thread each.

    Args:
        folder: Where to; its files must not be there yet. Not closed.
        shard: What the contents say about this shard.
        verify: Whether to hash every file and compare. The launcher may leave it out where the bytes
            were authenticated when they were opened and hashed when they were sealed.
    """

    def __init__(self, folder: Folder, shard: ShardContents, *, verify: bool) -> None:
        self._folder = folder.clone()
        self._shard = shard
        self._directories = set(shard.directories)
        self._verify = verify
        self._position = 0
        self._expected = iter(shard.files)
        self._next = next(self._expected, None)
        self._file: _OpenFile | None = None
        self._padding = 0
        self._heads = MemberReader()
        self._is_tar = shard.kind is ShardKind.TAR
        if not self._is_tar:
            try:
                self._begin(shard.files[0])
            except BaseException:
                self._folder.close()
                raise

    def feed(self, chunk: bytes | bytearray | memoryview) -> None:
        """Take the next bytes of the plaintext.

        Raises:
            IntegrityError: They are not what the contents say.
            ConflictError: A file is there already.
            CapacityError: The disk is full.
        """
        view = memoryview(chunk)
        if self._position + len(view) > self._shard.plain_size:
            raise IntegrityError("shard: longer than its contents say")
        at = 0
        while at < len(view):
            if self._file is not None:
                taken = self._fill(self._file, view[at:])
            elif self._padding:
                taken = min(self._padding, len(view) - at)
                self._padding -= taken
            else:
                taken, member = self._heads.take(view[at:])
                if member is not None:
                    self._announce(member, self._position + taken)
            at += taken
            self._position += taken

    def write(self, chunk: bytes | bytearray | memoryview) -> int:
        """Do as `feed` and return how much was taken, which is all: so that this is a sink."""
        self.feed(chunk)
        return len(chunk)

    def finish(self) -> None:
        """Check that all came; leaving the context without an error does it too.

        Raises:
            IntegrityError: The shard ended early, or within a header.
        """
        if self._position != self._shard.plain_size or self._next or self._file or self._directories:
            raise IntegrityError("shard: shorter than its contents say")
        if not self._heads.between_members:
            raise IntegrityError("shard: ends within a header")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.finish()
        finally:
            if self._file is not None:
                self._file.discard(self._folder)
            self._folder.close()

    def _fill(self, file: "_OpenFile", view: memoryview) -> int:
        piece = view[: file.left]
        file.write(piece)
        if not file.left:
            self._end(file)
        return len(piece)

    def _announce(self, member: Member, content_at: int) -> None:
        """Compare a member of the tar with what the contents say comes next, and begin it."""
        if member.kind is Kind.END:
            if self._next is not None:
                raise IntegrityError(f"shard: ends before {self._next.path!r}")
        elif member.kind is Kind.DIRECTORY:
            if member.path not in self._directories:
                raise IntegrityError(f"shard: directory {member.path!r} is not in its contents, or there twice")
            self._directories.remove(member.path)
            self._folder.make_folder(member.path)
        elif self._next is None or member.path != self._next.path:
            raise IntegrityError(f"shard: file {member.path!r} is not what its contents name here")
        elif (content_at, member.size) != (self._next.offset, self._next.size):
            raise IntegrityError(f"shard: file {member.path!r} has another place or size than its contents say")
        else:
            self._begin(self._next)

    def _begin(self, entry: FileEntry) -> None:
        """Make a file; what follows is its content."""
        self._next = next(self._expected, None)
        self._file = _OpenFile(self._folder, entry, verify=self._verify)
        if not self._file.left:
            self._end(self._file)

    def _end(self, file: "_OpenFile") -> None:
        file.seal()
        self._file = None
        self._padding = padded(file.entry.size) - file.entry.size if self._is_tar else 0


class _OpenFile:
    """A file being written, at its path already but not yet whole."""

    def __init__(self, folder: Folder, entry: FileEntry, *, verify: bool) -> None:
        self.entry = entry
        self.left = entry.size
        self._digest = hashlib.sha256() if verify else None
        self._descriptor = folder.make_file(entry.path, executable=entry.executable)

    def write(self, piece: memoryview) -> None:
        if self._digest is not None:
            self._digest.update(piece)
        self.left -= len(piece)
        try:
            written = os.write(self._descriptor, piece)
            while written < len(piece):
                written += os.write(self._descriptor, piece[written:])
        except OSError as error:
            raise translated(error, self.entry.path) from error

    def seal(self) -> None:
        """Check, set the time, close."""
        if self._digest is not None and self._digest.hexdigest() != self.entry.sha256:
            raise IntegrityError(f"file {self.entry.path!r} has another digest than its contents say")
        moment = self.entry.mtime * _NS_PER_S
        try:
            if _SETS_TIME_BY_DESCRIPTOR:
                os.utime(self._descriptor, ns=(moment, moment))
            os.close(self._descriptor)
        except OSError as error:
            raise translated(error, self.entry.path) from error

    def discard(self, folder: Folder) -> None:
        os.close(self._descriptor)
        folder.remove_file(self.entry.path)
