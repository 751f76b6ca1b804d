"""Orders: a member's signed request for one run.

Invariants:
- the factory cannot make an order: it is signed by a device key that chains up to the tenant key;
- an order names its inputs, code and environment by digest, so nothing can be exchanged under it;
- an order covers the run of its own id, or the numbered tasks of its sweep, and no other run;
- an order carries a nonce and a deadline: the same order never runs twice, nor late.
"""
