"""Runs: their states, what a launcher signs about them, and when one is tried again.

Invariants:
- the state of a run changes only along `states.TRANSITIONS`;
- a run that ended never changes again;
- whatever waits, fails or is refused has a reason a person can read.
"""
