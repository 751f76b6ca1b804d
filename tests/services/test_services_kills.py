"""Pulls that are killed, and pulls that meet: nothing is lost, nothing is doubled."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kifabrik.errors import ConflictError
from players import eventually

SOURCE = Path(__file__).parents[2] / "src"
PRODUCTS = "{entity_set: Products, rows: 5000, fields: [value]}"
ORDERS = "{entity_set: Orders, rows: 5000, fields: [supplier], expand: {items: {fields: [product, quantity]}}}"
PULL = """
import os, signal, sys, threading, time
from contextlib import suppress
from pathlib import Path
from kifabrik.connectors.sap.plan import read_plan
from kifabrik.connectors.sap.pull import pull
from kifabrik.customer.session import open_session

home, plan, least = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])

def sealed_parts():
    found = 0
    for path in (home / "member" / "datasets").glob("*/*.unfinished"):
        with suppress(FileNotFoundError):  # it gets its last name when all is sealed
            found += path.read_bytes().count(b"\\n") - 1
    return found

def stop_in_the_middle():
    while sealed_parts() < least:
        time.sleep(0.001)
    os.kill(os.getpid(), signal.SIGSTOP)

threading.Thread(target=stop_in_the_middle, daemon=True).start()
with open_session(home) as session:
    pull(session, read_plan(plan), part_rows=200)
"""
"""It stops itself when so many shards are sealed and noted of the version that is being made."""


@pytest.fixture
def start(house, tmp_path):
    """A pull in a process of its own, with small parts, that has stopped itself in the middle."""
    plan = tmp_path / "plan.yaml"
    running = []

    def start(least):
        plan.write_text(house.plan_text(PRODUCTS, ORDERS, rate=20))
        words = [sys.executable, "-c", PULL, str(house.session.home), str(plan), str(least)]
        environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
        process = subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        running.append(process)
        stat = Path(f"/proc/{process.pid}/stat")
        eventually(lambda: stat.read_text().rpartition(")")[2].split()[0] in "TZ", 120)
        assert process.poll() is None, process.communicate()
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


def test_a_pull_killed_again_and_again_ends_with_every_row_once(house, start):
    for least in (2, 5):
        process = start(least)
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
    process = start(1)  # and it does not end, however long the other takes to come
    with pytest.raises(ConflictError, match="another command on this machine is sealing"):
        house.pull(PRODUCTS, ORDERS, part_rows=200)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    house.pull(PRODUCTS, ORDERS, part_rows=200)
    assert house.table("Products").num_rows == 2000
    named = [one for one in house.session.catalogue().datasets() if one.name == house.dataset]
    assert [len(one.manifests) for one in named] == [1]
