"""Fixtures of parties and of a keyholder's house; see tests/parties.py and tests/keyhouse.py."""

import sys
from pathlib import Path

from keyhouse import house
from parties import factory, http, own_factory, tenant
from scratch import open_scratch, place

sys.path.append(str(Path(__file__).parents[1] / "integration"))  # for runs_room

__all__ = ["factory", "house", "http", "open_scratch", "own_factory", "place", "tenant"]
