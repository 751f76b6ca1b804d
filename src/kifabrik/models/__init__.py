"""Models: what is said about where they come from, and what is in their files.

Invariants:
- looking into a file imports, unpickles and executes nothing of it;
- what cannot be looked through to its end is never called harmless.
"""
