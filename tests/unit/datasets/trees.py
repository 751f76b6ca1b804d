"""Folders to pack, for the tests of this room."""

import os
import shutil
from pathlib import Path

from hypothesis import strategies as st

from kifabrik.datasets.contents import Contents
from kifabrik.datasets.folders import open_folder
from kifabrik.datasets.index import StoredShard
from kifabrik.datasets.manifest import BodyRef
from kifabrik.datasets.packing import plan_shards
from kifabrik.datasets.paths import IGNORE_FILE, fault_of
from kifabrik.datasets.unpacking import ShardUnpacker
from kifabrik.values import sha256_hex

COMPONENTS = st.one_of(
    st.text(min_size=1, max_size=80),
    st.text("abcdefgh-_. ", min_size=60, max_size=255),
    st.sampled_from("abcdef"),
).filter(lambda part: part != IGNORE_FILE and not fault_of(part))  # what hypothesis finds in our own source
PATHS = st.lists(COMPONENTS, min_size=1, max_size=9).map("/".join).filter(lambda path: not fault_of(path))
FILES = st.tuples(st.binary(max_size=3000), st.booleans())
TREES = st.dictionaries(PATHS, st.one_of(FILES, st.none()), min_size=1, max_size=12)
"""Path to content and executable bit, or to None for a directory."""


def build(root: Path, tree) -> dict:
    """Write a tree; paths that collide are left out. Return what was written."""
    root.mkdir(parents=True, exist_ok=True)
    for path, file in tree.items():
        place = root / path
        try:
            if file is None:
                place.mkdir(parents=True)
            else:
                place.parent.mkdir(parents=True, exist_ok=True)
                with place.open("xb") as stream:
                    stream.write(file[0])
                place.chmod(0o755 if file[1] else 0o644)
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            continue
    return read(root)


def read(root: Path) -> dict:
    """Read a tree back: files, and directories that are empty."""
    found = {}
    for above, folders, files in os.walk(root):
        here = Path(above)
        for name in files:
            place = here / name
            assert not place.is_symlink()
            found[str(place.relative_to(root))] = (place.read_bytes(), bool(place.stat().st_mode & 0o100))
        if not folders and not files and here != root:
            found[str(here.relative_to(root))] = None
    return found


def pack(source: Path, **options) -> tuple[Contents, list[bytes]]:
    """Pack a folder; return its contents and the plaintext of each shard."""
    plaintexts, shards = [], []
    with plan_shards(source, **options) as plan:
        for shard in plan.shards:
            blocks: list[bytes] = []
            shards.append(shard.write_to(lambda block, blocks=blocks: blocks.append(bytes(block))))
            plaintexts.append(b"".join(blocks))
            assert len(plaintexts[-1]) == shard.plain_size
    return Contents("test", "", tuple(shards)), plaintexts


def unpack(contents: Contents, plaintexts: list[bytes], target: Path, *, step: int = 2**20, verify: bool = True):
    """Unpack into a fresh folder, feeding pieces of `step` bytes; return the folder."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    folder = open_folder(target)
    try:
        for shard, plaintext in zip(contents.shards, plaintexts, strict=True):
            with ShardUnpacker(folder, shard, verify=verify) as unpacker:
                for at in range(0, len(plaintext), step):
                    unpacker.feed(plaintext[at : at + step])
    finally:
        folder.close()
    return target


def stored(text: str) -> StoredShard:
    """Return a stand-in for a sealed body: only its names matter here."""
    return StoredShard(BodyRef(sha256_hex(text.encode()), 1000), b"age-encryption.org/v1\n" + text.encode())
