"""Fixtures of parties and of a keyholder's house; see tests/parties.py and tests/keyhouse.py."""

from keyhouse import house
from parties import factory, http, own_factory, tenant

__all__ = ["factory", "house", "http", "own_factory", "tenant"]
