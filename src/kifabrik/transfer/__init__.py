"""Folders to sealed versions and back: what the customer's side and the launcher have in common.

    sealing   a folder becomes shards, is sealed and uploaded      opening   the way back, with leased headers

Invariants:
- plaintext is never written where the caller did not ask for it: what waits for upload is ciphertext;
- a version is registered by the caller, and only after every object of it is in the store;
- an interrupted sealing goes on where it stopped: sealed shards are kept, uploads continue at their offset.
"""
