"""Fixtures of parties; see tests/parties.py."""

from parties import factory, own_factory, tenant

__all__ = ["factory", "own_factory", "tenant"]
