"""Fixtures of parties and of factories that run; see tests/parties.py and runs_room.py."""

from runs_room import desk, own_run_factory, party, person, run_factory, small_desk

from parties import factory, own_factory, tenant
from scratch import open_scratch, place

__all__ = [
    "desk",
    "factory",
    "open_scratch",
    "own_factory",
    "own_run_factory",
    "party",
    "person",
    "place",
    "run_factory",
    "small_desk",
    "tenant",
]
