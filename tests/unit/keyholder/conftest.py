"""The house of tests/keyhouse.py as a fixture."""

from keyhouse import house

__all__ = ["house"]
