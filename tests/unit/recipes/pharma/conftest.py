"""Every test here may describe molecules."""

import pytest


@pytest.fixture(scope="session", autouse=True)
def compiled(descriptors: None) -> None:
    """The descriptors, before the first test."""
