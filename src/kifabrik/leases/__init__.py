"""Leases: the keyholder's signed release of keys to one attempt or to one member device.

Invariants:
- a lease names the request it answers; the request stands in the log before the lease exists;
- a lease binds keys to one attempt's (or device's) recipient, one run key and one expiry;
- the recipient of everything the run seals comes from the lease, from nowhere else.
"""
