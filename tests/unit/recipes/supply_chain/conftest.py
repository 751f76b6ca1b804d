"""Every test here may simulate."""

import pytest


@pytest.fixture(scope="session", autouse=True)
def compiled(simulator: None) -> None:
    """The simulator, before the first test."""
