"""A soak's servers: they fail, come back, and keep what they acknowledged; its proxy is one nginx takes."""

import random
import shutil
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from soak import outages
from soak.journal import Journal
from soak.outages import Outages
from soak.plan import deal, deal_more
from soak.proxy import proxy_command
from soak.stores import Stores, away

from ports import free_port
from postgres import PROGRAMS

needs_postgres = pytest.mark.skipif(not PROGRAMS, reason="needs PostgreSQL: apt-get install postgresql-15")


@pytest.fixture
def journal(tmp_path):
    kept = Journal(tmp_path / "journal.jsonl")
    yield kept
    kept.close()


@pytest.fixture(scope="module")
def stores():
    pytest.importorskip("psycopg")
    made = Stores("postgres")
    yield made
    made.close()


def connection(stores):
    import psycopg

    return psycopg.connect(stores.database.settings()[0].split('"')[1].replace("+psycopg", ""), connect_timeout=5)


@needs_postgres
def test_what_postgresql_acknowledged_is_there_after_every_outage(stores, journal, monkeypatch):
    import psycopg

    monkeypatch.setattr(outages, "DOWN_S", (0.1, 0.5))
    monkeypatch.setattr(outages, "HUNG_S", (0.1, 0.5))
    monkeypatch.setattr(outages, "ONE_IN_LONG", 10**9)
    monkeypatch.setattr(outages, "WAYS", ("KILL", "HURT", "STOP"))
    with connection(stores) as line:
        line.execute("CREATE TABLE said (number int PRIMARY KEY)")
    acknowledged, over = [], threading.Event()

    def write():
        number = 0
        while not over.is_set():
            with suppress(psycopg.OperationalError), connection(stores) as line:
                while not over.is_set():
                    number += 1
                    line.execute("INSERT INTO said VALUES (%s)", [number])
                    line.commit()
                    acknowledged.append(number)
            time.sleep(0.05)

    failing = Outages(random.Random(5), journal, stores.servers, every_s=0.3)
    writer = threading.Thread(target=write)
    writer.start()
    failing.start()
    until = time.monotonic() + 40
    while {one.signal for one in journal.harms} < {"KILL", "HURT", "STOP"} and time.monotonic() < until:
        time.sleep(0.1)
    failing.stop()
    over.set()
    writer.join(30)
    assert {one.signal for one in journal.harms} == {"KILL", "HURT", "STOP"}
    assert journal.mistakes == []
    assert len(acknowledged) > 10
    with connection(stores) as line:
        there = {number for (number,) in line.execute("SELECT number FROM said")}
    assert there >= set(acknowledged)


@needs_postgres
def test_a_server_that_was_away_for_a_scene_comes_back_whatever_happens_in_it(stores, journal):
    import psycopg

    def scene():
        with away(stores.database, journal):
            with pytest.raises(psycopg.OperationalError):
                connection(stores)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        scene()
    connection(stores).close()
    assert [one.target for one in journal.harms] == ["database"]


@needs_postgres
def test_a_server_that_does_not_come_back_is_a_mistake(journal, monkeypatch):
    pytest.importorskip("psycopg")
    monkeypatch.setattr(outages, "DOWN_S", (0.1, 0.2))
    monkeypatch.setattr(outages, "ONE_IN_LONG", 10**9)
    monkeypatch.setattr(outages, "WAYS", ("KILL",))
    lost = Stores("postgres")
    folder = Path(lost.database.settings()[0].partition("host=")[2].rstrip('"\n'))
    (folder / "data" / "PG_VERSION").unlink()  # it runs on without it, and does not start again
    failing = Outages(random.Random(1), journal, lost.servers, every_s=0.01)
    failing.start()
    until = time.monotonic() + 60
    while not journal.mistakes and time.monotonic() < until:
        time.sleep(0.05)
    failing.stop()
    lost.close()
    assert [one.partition(":")[0] for one in journal.mistakes] == ["the database did not come back"]


def test_scenes_of_outages_come_on_top_of_a_plan_and_leave_it_as_it_is():
    def one(_cast):
        return None

    def other(_cast):
        return None

    plan = deal("s", 10, 120, 2)
    more = deal_more("s", 600, 2, [one, other], len(plan))
    assert deal("s", 10, 120, 2) == plan
    assert more == deal_more("s", 600, 2, [one, other], len(plan))
    assert [act.scene for act in more].count(one) == [act.scene for act in more].count(other) == 3
    assert all(0 <= act.at_s <= 600 for act in more)
    assert not {act.number for act in plan} & {act.number for act in more}
    assert deal_more("s", 120, 2, [], len(plan)) == []


@pytest.mark.skipif(shutil.which("nginx") is None, reason="needs nginx: apt-get install nginx-light")
def test_the_proxy_is_one_that_nginx_takes(tmp_path):
    command = proxy_command(tmp_path / "proxy", free_port(), [free_port(), free_port()])
    said = subprocess.run([*command, "-t"], capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
