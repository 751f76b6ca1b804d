"""Fixtures of parties and of factories that run; see tests/parties.py and runs_room.py."""

from parties import factory, own_factory, tenant
from runs_room import desk, own_desk, own_run_factory, run_factory

__all__ = ["desk", "factory", "own_desk", "own_factory", "own_run_factory", "run_factory", "tenant"]
