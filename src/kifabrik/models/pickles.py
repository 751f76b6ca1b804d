"""What a pickle would import, found by reading it: nothing is unpickled, nothing is imported.

A pickle is a program for a stack machine. It is followed here with texts only: every other value is a blank.
A name that is not two texts written in the pickle itself is *computed*, and counts as the worst.

Invariants:
- every name an unpickler would look up is reported, whatever way the pickle takes to it: `GLOBAL`, `INST`,
  `STACK_GLOBAL` through the stack or the memo, and the extension registry;
- a pickle that cannot be followed to its end is an error, never harmless;
- long pieces are skipped, not read; the number of steps is bounded.

Source: CPython's `Lib/pickletools.py` (opcodes, their arguments and effects) and `Modules/_pickle.c`.
"""

import os
import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final

from kifabrik.errors import IntegrityError
from kifabrik.models.globals import HARMLESS

MOST_STEPS: Final = 5_000_000
_LONGEST_NAME: Final = 4096
_COMPUTED: Final = "a name computed while it is loaded"
_OPCODES: Final = {opcode.code.encode("latin-1"): opcode for opcode in pickletools.opcodes}
_LENGTH_BYTES: Final = {
    pickletools.TAKEN_FROM_ARGUMENT1: 1,
    pickletools.TAKEN_FROM_ARGUMENT4: 4,
    pickletools.TAKEN_FROM_ARGUMENT4U: 4,
    pickletools.TAKEN_FROM_ARGUMENT8U: 8,
}
_ENCODED: Final = frozenset({"BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"})
_ASCII: Final = frozenset({"STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE"})
_PUTS: Final = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})
_GETS: Final = frozenset({"GET", "BINGET", "LONG_BINGET"})
_EXTENSIONS: Final = frozenset({"EXT1", "EXT2", "EXT4"})
_CHANGES: Final = frozenset({"BUILD", "APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS"})

_BLANK: Final = object()
_MARK: Final = object()


@dataclass(frozen=True)
class _Import:
    """A looked-up name on the stack."""

    name: str


@dataclass
class Imports:
    """What a pickle would look up.

    Args:
        harmless: Names on the list of `kifabrik.models.globals`.
        others: All others, as `module.name`; any of them may run code.
        pickles: How many pickles were followed or begun.
    """

    harmless: set[str] = field(default_factory=set)
    others: set[str] = field(default_factory=set)
    pickles: int = 0

    def add(self, module: Any, name: Any) -> _Import:
        """Take note of a name; anything but two texts is one nobody can know before."""
        if not isinstance(module, str) or not isinstance(name, str):
            self.others.add(_COMPUTED)
            return _Import(_COMPUTED)
        found = _Import(f"{module}.{name}")
        (self.harmless if (module, name) in HARMLESS else self.others).add(found.name)
        return found


def read_pickle(file: BinaryIO, imports: Imports) -> None:
    """Follow one pickle from the file's position to behind its end.

    Args:
        file: Seekable.
        imports: What it looks up is added here, also when this raises.

    Raises:
        IntegrityError: There is no pickle, or it cannot be followed to its end.
    """
    imports.pickles += 1
    _Machine(file, imports).run()


class _Machine:
    """The stack machine, with blanks for everything that is not a text."""

    def __init__(self, file: BinaryIO, imports: Imports) -> None:
        self._file, self._imports = file, imports
        self._end = _size(file)
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def run(self) -> None:
        for _ in range(MOST_STEPS):
            opcode = _OPCODES.get(self._file.read(1))
            if opcode is None:
                raise IntegrityError("it is no pickle, or cut off, or raw data stand within it")
            self._step(opcode, self._argument(opcode))
            if opcode.name == "STOP":
                return
        raise IntegrityError(f"it has more than {MOST_STEPS} steps; nobody looked at the rest")

    def _step(self, opcode: pickletools.OpcodeInfo, argument: Any) -> None:
        special = _SPECIAL.get(opcode.name)
        if special is not None:
            special(self, argument)
        elif opcode.name in _PUTS:
            self._memo[_number(argument)] = self._top()
        elif opcode.name in _GETS:
            if _number(argument) not in self._memo:
                raise IntegrityError("it asks for something it has not kept")
            self._stack.append(self._memo[_number(argument)])
        elif opcode.name in _EXTENSIONS:
            self._imports.others.add(f"number {argument} of the extension registry")
            self._stack.append(_BLANK)
        else:
            self._plain(opcode, argument)

    def _plain(self, opcode: pickletools.OpcodeInfo, argument: Any) -> None:
        """Take and give as many values as the table says; a text is kept, all else is blank."""
        before = opcode.stack_before
        if pickletools.markobject in before:
            self._to_mark()
            before = before[: before.index(pickletools.markobject)]
        taken = [self._pop() for _ in before]
        if opcode.name in _CHANGES:
            if taken and isinstance(taken[-1], _Import):
                self._imports.others.add(f"a change of {taken[-1].name}")
            self._stack.append(taken[-1] if taken else _BLANK)
            return
        given = argument if opcode.name in _ENCODED | _ASCII else _BLANK
        self._stack.extend(_MARK if one is pickletools.markobject else given for one in opcode.stack_after)

    def _top(self) -> Any:
        if not self._stack or self._stack[-1] is _MARK:
            raise IntegrityError("it takes more than it has put down")
        return self._stack[-1]

    def _pop(self) -> Any:
        self._top()
        return self._stack.pop()

    def _to_mark(self) -> None:
        while self._stack:
            if self._stack.pop() is _MARK:
                return
        raise IntegrityError("it takes more than it has put down")

    def _pop_anything(self, _: Any) -> None:
        if not self._stack:
            raise IntegrityError("it takes more than it has put down")
        self._stack.pop()

    def _pop_mark(self, _: Any) -> None:
        self._to_mark()

    def _twice(self, _: Any) -> None:
        self._stack.append(self._top())

    def _keep(self, _: Any) -> None:
        self._memo[len(self._memo)] = self._top()

    def _global(self, argument: Any) -> None:
        self._stack.append(self._imports.add(*argument))

    def _instance(self, argument: Any) -> None:
        self._to_mark()
        self._imports.add(*argument)
        self._stack.append(_BLANK)

    def _stack_global(self, _: Any) -> None:
        name, module = self._pop(), self._pop()
        self._stack.append(self._imports.add(module, name))

    def _argument(self, opcode: pickletools.OpcodeInfo) -> Any:
        """Return a text or a number where one is of use; skip everything else."""
        if opcode.arg is None:
            return None
        if opcode.name in ("GLOBAL", "INST"):
            return self._line(), self._line()
        size = opcode.arg.n
        if size == pickletools.UP_TO_NEWLINE:
            return _text(opcode.name, self._line_bytes())
        if size >= 0:
            return int.from_bytes(self._piece(size), "little")
        length = int.from_bytes(self._piece(_LENGTH_BYTES[size]), "little")
        if opcode.name not in _ENCODED | _ASCII or length > _LONGEST_NAME:
            self._skip(length)
            return _BLANK
        return _text(opcode.name, self._piece(length))

    def _piece(self, size: int) -> bytes:
        piece = self._file.read(size)
        if len(piece) < size:
            raise IntegrityError("it is cut off")
        return piece

    def _skip(self, size: int) -> None:
        if self._file.tell() + size > self._end:
            raise IntegrityError("it is cut off")
        self._file.seek(size, os.SEEK_CUR)

    def _line(self) -> Any:
        line = self._line_bytes()
        try:
            return line.decode()
        except UnicodeDecodeError:
            return _BLANK

    def _line_bytes(self) -> bytes:
        line = self._file.readline(_LONGEST_NAME)
        rest = line
        while rest and not rest.endswith(b"\n"):
            rest = self._file.readline(_LONGEST_NAME)
        if not rest:
            raise IntegrityError("it is cut off")
        return line.removesuffix(b"\n")


_SPECIAL: Final[dict[str, Callable[[_Machine, Any], None]]] = {
    "POP": _Machine._pop_anything,  # noqa: SLF001 - the machine's own table
    "POP_MARK": _Machine._pop_mark,  # noqa: SLF001
    "DUP": _Machine._twice,  # noqa: SLF001
    "MEMOIZE": _Machine._keep,  # noqa: SLF001
    "GLOBAL": _Machine._global,  # noqa: SLF001
    "INST": _Machine._instance,  # noqa: SLF001
    "STACK_GLOBAL": _Machine._stack_global,  # noqa: SLF001
}


def _text(opcode: str, data: bytes) -> Any:
    """Return a text where it is plain to see which one an unpickler makes of the bytes; else a blank."""
    if opcode in ("GET", "PUT"):
        return data
    try:
        if opcode in _ENCODED:
            return data.decode("utf-8", "surrogatepass")
        text = data.decode("ascii")
    except UnicodeDecodeError:
        return _BLANK
    if opcode == "STRING":
        return text[1:-1] if _is_quoted(text) and "\\" not in text else _BLANK
    return _BLANK if opcode not in _ASCII or (opcode == "UNICODE" and "\\" in text) else text


def _is_quoted(text: str) -> bool:
    return len(text) > 1 and text[0] == text[-1] and text[0] in "'\""


def _number(argument: Any) -> int:
    if isinstance(argument, int):
        return argument
    try:
        return int(argument)
    except (ValueError, TypeError):
        raise IntegrityError("it keeps something under no number") from None


def _size(file: BinaryIO) -> int:
    position = file.tell()
    size = file.seek(0, os.SEEK_END)
    file.seek(position)
    return size
