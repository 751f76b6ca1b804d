"""Ed25519 keys, DSSE envelopes and in-toto statements: how anybody here says anything.

Invariants:
- a statement is believed only after `verify` of its envelope against keys the caller already trusts;
- the payload that was verified is the payload that is parsed, never a copy beside it;
- parsing is strict: unknown or missing fields are errors, so two readers never see two meanings.
"""
