"""Folders for rooms."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from kifabrik.environments.skeleton import remove
from rooms import NOBODY


@pytest.fixture
def open_scratch() -> Iterator[Path]:
    """A folder an ordinary user owns and can reach."""
    folder = Path(tempfile.mkdtemp(prefix="room-"))
    os.chown(folder, NOBODY, NOBODY)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that other users can reach, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="kifabrik-test-"))
    folder.chmod(0o755)
    yield folder
    remove(folder)
