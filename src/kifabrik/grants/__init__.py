"""Grants: what a tenant permits standing, and the decision whether a request is covered.

Invariants:
- a grant is signed by the tenant key; a revocation or erasure by the tenant key ends it;
- only verified facts enter a decision; missing evidence, a policy error or any diagnostic means deny;
- the decision is a pure function of its arguments.
"""
