"""Folders for rooms."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from rooms import NOBODY


@pytest.fixture
def open_scratch() -> Iterator[Path]:
    """A folder an ordinary user owns and can reach."""
    folder = Path(tempfile.mkdtemp(prefix="room-"))
    os.chown(folder, NOBODY, NOBODY)
    yield folder
    shutil.rmtree(folder)
