"""Compile every module below a folder to the same bytes on every machine. A program, run by the node's Python.

    python -I -S - ROOT MOUNTED_AT WORKERS < bytecode.py

The usual compiled file depends on the process that wrote it: `marshal` marks objects by how often they
are referenced at that moment, and the header holds a time. So each file here holds
- the unchecked hash-based header of PEP 552, because the tree is read-only and its digest is checked;
- code in marshal format 2, which has no such marks and which every later Python reads;
- the path the module will have where the tree is mounted.

A module that does not compile is left as it is, as `compileall` does. Source is parsed, never run.
"""

import importlib.util
import marshal
import os
import sys
import warnings
from pathlib import Path

_UNCHECKED_HASH = 0b01
_MARSHAL_FORMAT = 2


def compile_file(path: Path, mounted: str) -> None:
    """Write the compiled file of one module beside it; quietly skip what is not valid Python."""
    source = path.read_bytes()
    try:
        code = compile(source, mounted, "exec", dont_inherit=True, optimize=0)
        body = marshal.dumps(code, _MARSHAL_FORMAT)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
        return
    target = Path(importlib.util.cache_from_source(str(path), optimization=""))
    target.parent.mkdir(exist_ok=True)
    header = importlib.util.MAGIC_NUMBER + _UNCHECKED_HASH.to_bytes(4, "little")
    target.write_bytes(header + importlib.util.source_hash(source) + body)


def modules(root: str) -> list[Path]:
    """All modules below `root`, sorted; links are left alone."""
    found: list[Path] = []
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name != "__pycache__"]
        found += (Path(folder, name) for name in names if name.endswith(".py"))
    return sorted(path for path in found if path.is_file() and not path.is_symlink())


def main(root: str, mounted_at: str, workers: int) -> int:
    """Share the modules between `workers` processes; exit 1 if one of them dies."""
    warnings.simplefilter("ignore")
    paths = modules(root)
    builder = os.getpid()
    children = []
    for worker in range(workers):
        child = os.fork()
        if child == 0:
            try:
                for path in paths[worker::workers]:
                    if os.getppid() != builder:  # it was killed: nobody wants this tree any more
                        os._exit(1)
                    compile_file(path, f"{mounted_at}/{path.relative_to(root)}")
            except OSError as error:
                os.write(2, f"error: {error}\n".encode())
                os._exit(1)
            os._exit(0)
        children.append(child)
    statuses = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    return 1 if any(statuses) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
