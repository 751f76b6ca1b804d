"""Datasets as they are packed, described and unpacked: folders, tar shards, contents, manifests.

Nothing here encrypts: a shard is written as plaintext to a sink and read as plaintext from a feed;
sealing and opening happen in rooms above, which join this one with `kifabrik.seals`.

Invariants:
- a name inside a dataset is a relative path of ordinary components; nothing else is packed, parsed or unpacked;
- no folder is walked, read or written through a symbolic link, whoever swaps one in meanwhile;
- what the factory may see is in `Manifest`; names and plaintext digests are in `Contents`, which is sealed;
- a shard whose files did not change keeps its plaintext, its ciphertext and its age header between versions.
"""
