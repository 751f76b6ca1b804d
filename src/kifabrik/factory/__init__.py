"""The factory's use cases and the ports they need: no HTTP, no SQL, no process in here.

Invariants:
- the factory holds ciphertext and statements; nothing here can open a seal;
- whatever changes a tenant's state writes its log entry in the same transaction;
- every signed statement is verified at the door, so a mistake is said to whoever made it; whoever
  relies on a statement later verifies it again;
- one tenant's things are looked up under its id: another tenant's and missing ones look alike;
- deleting and everything outside the database is written down first, then done, then crossed out.
"""
