"""Kernels that numba compiles: by one of the processes of pytest-xdist, which keeps them on disk for the others.

Without these fixtures each process that comes to a kernel before another has kept it would compile it as well. The
simulator takes a core a minute, in all its forms.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def one_at_a_time(factory: pytest.TempPathFactory, name: str) -> Iterator[Path]:
    """Only one process of the session at a time is in here; gives a folder that all of them share."""
    folder = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    with (folder / f"{name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder


@pytest.fixture(scope="session")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The simulator of supply chains: in single and double precision, and following single periods."""
    from kifabrik.recipes.supply_chain.engine import simulate, trajectories
    from kifabrik.recipes.supply_chain.trial import SETTINGS, smallest

    with one_at_a_time(tmp_path_factory, "simulator"):
        simulate(smallest(), SETTINGS, workers=1)
        simulate(smallest(), SETTINGS, workers=1, precision="double")
        trajectories(smallest(), SETTINGS.periods, {}, {}, settings=SETTINGS)


@pytest.fixture(scope="session")
def descriptors(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The descriptors of molecules."""
    from kifabrik.recipes.pharma.features import maplight

    with one_at_a_time(tmp_path_factory, "descriptors"):
        maplight(["CC(=O)Oc1ccccc1C(=O)O"])
