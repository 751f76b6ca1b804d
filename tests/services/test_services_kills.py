"""Pulls that are killed, and pulls that meet: nothing is lost, nothing is doubled."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from kifabrik.errors import ConflictError

SOURCE = Path(__file__).parents[2] / "src"
PRODUCTS = "{entity_set: Products, rows: 5000, fields: [value]}"
ORDERS = "{entity_set: Orders, rows: 5000, fields: [supplier], expand: {items: {fields: [product, quantity]}}}"
PULL = """
import sys
from pathlib import Path
from kifabrik.connectors.sap.plan import read_plan
from kifabrik.connectors.sap.pull import pull
from kifabrik.customer.session import open_session
with open_session(Path(sys.argv[1])) as session:
    pull(session, read_plan(Path(sys.argv[2])), part_rows=200)
"""


@pytest.fixture
def start(house, tmp_path):
    """A pull in a process of its own, with small parts."""
    plan = tmp_path / "plan.yaml"
    running = []

    def start(rate=40):
        plan.write_text(house.plan_text(PRODUCTS, ORDERS, rate=rate))
        words = [sys.executable, "-c", PULL, str(house.session.home), str(plan)]
        environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
        process = subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


def sealed_parts(house):
    """Shards that are sealed and noted of a version that is being made."""
    found = 0
    for path in (house.session.home / "member" / "datasets").glob("*/*.unfinished"):
        with suppress(FileNotFoundError):  # it gets its last name when all is sealed
            found += path.read_bytes().count(b"\n") - 1
    return found


def until(true, process, seconds=60):
    end = time.monotonic() + seconds
    while not true():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_pull_killed_again_and_again_ends_with_every_row_once(house, start):
    for least in (2, 5):
        process = start()
        until(lambda least=least: sealed_parts(house) >= least, process)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    pulled = house.pull(PRODUCTS, ORDERS, part_rows=200)
    assert pulled.resumed
    assert pulled.sealed.reused >= 2
    tables = house.tables()
    assert tables["Products"].column("ID").to_pylist() == [f"M-{number:06d}" for number in range(2000)]
    assert not house.pull(PRODUCTS, ORDERS, again=True).resumed
    for name, table in house.tables().items():
        assert tables[name].equals(table), name


def test_two_pulls_of_one_plan_do_not_mix(house, start):
    process = start(rate=15)
    until(lambda: sealed_parts(house) >= 1, process)
    process.send_signal(signal.SIGSTOP)  # it has not ended, however long the other takes to come
    with pytest.raises(ConflictError, match="another command on this machine is sealing"):
        house.pull(PRODUCTS, ORDERS, part_rows=200)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    house.pull(PRODUCTS, ORDERS, part_rows=200)
    assert house.table("Products").num_rows == 2000
    named = [one for one in house.session.catalogue().datasets() if one.name == house.dataset]
    assert [len(one.manifests) for one in named] == [1]
