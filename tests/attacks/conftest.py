"""Fixtures of parties; see tests/parties.py."""

from parties import factory, http, own_factory, tenant

__all__ = ["factory", "http", "own_factory", "tenant"]
