"""Puts this folder on the import path, so that test modules share the writers of test material in it.

No example of a property test has a deadline: how long it takes says something of the machine, not of what it tests.

And spreads the tests over the processes of pytest-xdist. Tests that play with services, keyholders and rooms
wait for those most of their time; the others compute:

- there are half as many processes again as cores;
- files of both kinds alternate, so that cores have work while somebody waits;
- what is marked slow comes first, and what waits is done when four fifths of the rest are: no process ends
  alone. xdist's own order, by number of tests, puts files with few and long tests last.

No property fails because the machine is busy: hypothesis neither times examples nor how they are made. Tests that
wait for other processes are given longer than pyproject.toml says: the first of a folder or file starts these too.
So are tests of what numba compiles first (`compiling`).
"""

import os
from pathlib import Path
from typing import Final

import pytest
from hypothesis import settings

from compiling import descriptors, simulator
from databases import server_of_our_own
from torch_environment import torch_environment

__all__ = ["descriptors", "server_of_our_own", "simulator", "torch_environment"]

_WAITING: Final = frozenset({"acceptance", "integration", "multinode", "services", "slurm"})
"""Folders of tests that wait for other processes."""
_WAITING_DONE_AT: Final = 0.8
_WAITING_S: Final = 300
_COMPILED: Final = frozenset({"simulator", "descriptors"})
"""Fixtures that compile, or wait for another process that does."""
_COMPILING_S: Final = 900

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def pytest_xdist_auto_num_workers() -> int:
    """Return the number of processes for `-n auto`."""
    cores = len(os.sched_getaffinity(0))
    return cores + cores // 2


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the tests, whole files at a time."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    waiting: dict[Path, None] = {}
    computing: dict[Path, None] = {}
    for item in items:
        (waiting if item.path.parent.name in _WAITING else computing)[item.path] = None
        if item.path.parent.name in _WAITING and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(_WAITING_S))
        if _COMPILED.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.timeout(_COMPILING_S))
    place = {file: at / len(computing) for at, file in enumerate(computing)}
    place |= {file: _WAITING_DONE_AT * at / len(waiting) for at, file in enumerate(waiting)}
    items.sort(key=lambda item: (item.path not in slow, place[item.path], str(item.path)))
