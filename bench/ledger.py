"""The log beside pymerkle, in one run: appending, roots, proofs, verification, tiles, mirror.

    python bench/ledger.py [--entries 100000] [--json PATH]

Prints one line per measure; `ratio` is pymerkle's time over ours, so more than 1 means we are faster.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from pymerkle import InmemoryTree
from report import Bar, Picture, hand_on, parser

from kifabrik.ledger.checkpoint import TreeHead, log_origin, log_verifier, sign_tree_head
from kifabrik.ledger.entry import Entry, EntryKind
from kifabrik.ledger.merkle import (
    CompactTree,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    verify_consistency,
    verify_inclusion,
)
from kifabrik.ledger.mirror import Mirror, MirrorFiles
from kifabrik.ledger.policy import Policy
from kifabrik.ledger.proof import make_proof
from kifabrik.ledger.tiles import TileReader, tiles_to_write
from kifabrik.ledger.verify import verify_log
from kifabrik.signatures.keys import SigningKey

BATCH = 16
PROOFS = 2000
BARS: list[Bar] = []
"""Of what pymerkle does too."""


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def line(what: str, count: int, ours: float, theirs: float | None = None) -> None:
    peer = f"   pymerkle {count / theirs:12,.0f}/s   ratio {theirs / ours:8.1f}" if theirs else ""
    print(f"{what:44} {count / ours:12,.0f}/s{peer}", flush=True)
    if theirs:
        BARS.append(Bar(what, count / ours / 1e3, "ours"))
        BARS.append(Bar("pymerkle", count / theirs / 1e3))


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--entries", type=int, default=100_000)
    wishes = made.parse_args()
    measure(wishes.entries)
    note = f"{wishes.entries:,} entries; proofs are made through tiles, as a client of the log does."
    hand_on(wishes.json, Picture("The ledger beside pymerkle", "thousands a second", tuple(BARS), note))


def measure(count: int) -> None:
    entries = [
        Entry(EntryKind.MEMBER_ENROLLED, "2026-11-23T08:00:00Z", f"{n:032x}", {"member": f"m-{n}"}).to_bytes()
        for n in range(count)
    ]
    print(f"{count} entries, {sum(map(len, entries)) / count:.0f} bytes each")
    tree, oracle = CompactTree(), InmemoryTree(algorithm="sha256")

    def append_ours() -> None:
        for entry in entries:
            tree.append(leaf_hash(entry))

    line("append", count, timed(append_ours), timed(lambda: oracle.append_entries(entries)))
    if tree.root() != oracle.get_root():
        raise SystemExit("the roots differ")

    def append_with_roots() -> None:
        again = CompactTree()
        for entry in entries:
            again.append(leaf_hash(entry))
            again.root()

    fresh = InmemoryTree(algorithm="sha256")

    def their_roots() -> None:
        for entry in entries:
            fresh.append_entry(entry)
            fresh.get_root()

    line("append, root after each", count, timed(append_with_roots), timed(their_roots))

    files: dict[str, bytes] = {}

    def write_tiles() -> None:
        grown = CompactTree()
        for at in range(0, count, BATCH):
            batch = entries[at : at + BATCH]
            files.update(tiles_to_write(grown, batch, files.__getitem__))
            grown.extend(leaf_hash(entry) for entry in batch)

    line(f"append in batches of {BATCH}, with tiles", count, timed(write_tiles))
    reader = TileReader(files.__getitem__, count)
    indexes = [n * count // PROOFS for n in range(PROOFS)]
    sizes = [n + 1 for n in indexes]
    line(
        "inclusion proof, through tiles",
        PROOFS,
        timed(lambda: [inclusion_proof(count, n, reader.hash) for n in indexes]),
        timed(lambda: [oracle.prove_inclusion(n + 1, count) for n in indexes]),
    )
    line(
        "consistency proof, through tiles",
        PROOFS,
        timed(lambda: [consistency_proof(n, count, reader.hash) for n in sizes]),
        timed(lambda: [oracle.prove_consistency(n, count) for n in sizes]),
    )
    root = tree.root()
    ours = [inclusion_proof(count, n, reader.hash) for n in indexes]
    theirs = [oracle.prove_inclusion(n + 1, count) for n in indexes]
    leaves = [leaf_hash(entries[n]) for n in indexes]
    line(
        "verify inclusion",
        PROOFS,
        timed(
            lambda: [
                verify_inclusion(n, count, leaf, p, root) for n, leaf, p in zip(indexes, leaves, ours, strict=True)
            ]
        ),
        timed(lambda: [p.verify(leaf, root) for leaf, p in zip(leaves, theirs, strict=True)]),
    )
    old = [oracle.get_root(n) for n in sizes]
    ours = [consistency_proof(n, count, reader.hash) for n in sizes]
    theirs = [oracle.prove_consistency(n, count) for n in sizes]
    line(
        "verify consistency",
        PROOFS,
        timed(lambda: [verify_consistency(n, o, count, root, p) for n, o, p in zip(sizes, old, ours, strict=True)]),
        timed(lambda: [p.verify(o, root) for o, p in zip(old, theirs, strict=True)]),
    )
    show_sizes(count, reader, oracle, root)
    verify_and_mirror(entries, files, root)


def show_sizes(count: int, reader: TileReader, oracle: InmemoryTree, root: bytes) -> None:
    origin = log_origin("t-bench")
    checkpoint = sign_tree_head(TreeHead(origin, count, root), origin, SigningKey(bytes(32)))
    proof = make_proof(count // 3, reader.hash, checkpoint)
    theirs = len(str(oracle.prove_inclusion(count // 3 + 1, count).serialize()))
    hashes = 32 * len(proof.hashes)
    print(f"{'size of one proof, with signed head':44} {len(proof.to_text()):12} bytes, {hashes} of them hashes")
    print(f"{'  pymerkle as JSON, without head':44} {theirs:12} bytes")


def verify_and_mirror(entries: list[bytes], files: dict[str, bytes], root: bytes) -> None:
    count, origin, key = len(entries), log_origin("t-bench"), SigningKey(bytes(32))
    head = TreeHead(origin, count, root)
    policy = Policy.of(log_verifier("t-bench", key.public))
    checkpoint = sign_tree_head(head, origin, key)
    line(
        "verify the whole log",
        count,
        timed(lambda: verify_log(files.__getitem__, checkpoint, policy).require()),
    )
    with tempfile.TemporaryDirectory() as folder:
        with MirrorFiles(Path(folder)) as store:
            mirror = Mirror(origin, store)
            line("mirror on disk, in one step", count, timed(lambda: mirror.extend(entries, head)))
        with MirrorFiles(Path(folder)) as store:
            line("mirror opened again and recomputed", count, timed(lambda: Mirror(origin, store)))


if __name__ == "__main__":
    main()
