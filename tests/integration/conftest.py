"""Fixtures of parties and of factories that run; see tests/parties.py and runs_room.py."""

from runs_room import own_run_factory, run_factory

from parties import factory, own_factory, tenant

__all__ = ["factory", "own_factory", "own_run_factory", "run_factory", "tenant"]
