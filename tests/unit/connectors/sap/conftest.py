"""A scripted service and a house for each test."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from scripted import House, Script


@pytest.fixture
def script():
    with Script().running() as running:
        yield running


@pytest.fixture
def house(script, tmp_path):
    return House(script, tmp_path)
