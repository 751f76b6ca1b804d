"""Who belongs to a tenant, and how everybody else can check it.

Invariants:
- a tenant's id is the fingerprint of its tenant key, so nobody can hand out another key for it;
- every other key is believed only through a chain of signatures that starts at the tenant key:
  tenant key -> membership (names an invitation key) -> device; tenant key -> keyholder;
- what is verified here is a pure function of its arguments: the caller gives the time.
"""
