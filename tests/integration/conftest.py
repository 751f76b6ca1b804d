"""Fixtures of parties and of factories that run; see tests/parties.py and runs_room.py."""

from runs_room import desk, own_run_factory, run_factory, small_desk

from parties import factory, own_factory, tenant

__all__ = ["desk", "factory", "own_factory", "own_run_factory", "run_factory", "small_desk", "tenant"]
