"""The transparency log of one tenant: RFC 6962 trees, c2sp.org tiles, heads, cosignatures and proofs.

Everything here is a pure function of its arguments, or a small class over a port: no database, clock
or network. The service appends and signs, the keyholder mirrors and cosigns, anybody verifies.

Invariants:
- an entry is hashed exactly as it is stored; nothing is parsed and written again before hashing;
- a tree head is believed only after its signature, and only for the origin its key is named after;
- a mirror never accepts a smaller tree, another tree of the same size, or a head its entries do not give;
- verification needs no server, and its first finding names the entry that is wrong.
"""
