"""A factory without a service, on real files."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from databases import use_postgres
from kifabrik.factory.factory import Factory
from kifabrik.wiring.factory import init_home, open_factory


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A fresh factory's home."""
    init_home(tmp_path / "factory", port=0)
    use_postgres(tmp_path / "factory" / "factory.toml")
    return tmp_path / "factory"


@pytest.fixture
def opened(home: Path) -> Iterator[Factory]:
    """The use cases of that home."""
    factory = open_factory(home)
    yield factory
    factory.store.close()
