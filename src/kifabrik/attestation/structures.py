"""Reading binary structures strictly: big-endian numbers and counted byte strings, and nothing left over."""

from typing import Final

from kifabrik.errors import IntegrityError

_COUNT_BYTES: Final = 2


class StructureReader:
    """Reads one structure from its beginning to its end.

    Args:
        data: The bytes.
        what: Its name, for messages.
    """

    def __init__(self, data: bytes, what: str) -> None:
        self._data = data
        self._at = 0
        self._what = what

    def take(self, size: int) -> bytes:
        """Return the next `size` bytes.

        Raises:
            IntegrityError: There are fewer.
        """
        end = self._at + size
        if end > len(self._data):
            raise IntegrityError(f"{self._what} ends early, at byte {len(self._data)}")
        found = self._data[self._at : end]
        self._at = end
        return found

    def number(self, size: int) -> int:
        """Return the next big-endian number of `size` bytes.

        Raises:
            IntegrityError: The structure ends before.
        """
        return int.from_bytes(self.take(size), "big")

    def counted(self, most: int) -> bytes:
        """Return a byte string that follows its length in two bytes (TPM2B).

        Raises:
            IntegrityError: It is longer than `most`, or the structure ends before.
        """
        size = self.number(_COUNT_BYTES)
        if size > most:
            raise IntegrityError(f"{self._what} has a part of {size} bytes where at most {most} can be")
        return self.take(size)

    def end(self) -> None:
        """Check that everything was read.

        Raises:
            IntegrityError: Bytes are left over.
        """
        if self._at != len(self._data):
            raise IntegrityError(f"{self._what} has {len(self._data) - self._at} bytes too many")
