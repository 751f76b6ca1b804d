"""Work on a factory whose objects lie in a bucket: sealed, run, pulled, erased, while the gateway is killed."""

import os
import sqlite3
import threading
import time
from contextlib import closing

import pytest
from two_parties import WAITS, Stage, rooms_of, two_parties

from kifabrik.runs.states import RunState
from kifabrik.wiring.factory import init_home
from players import eventually

pytestmark = pytest.mark.timeout(400)  # a Ceph takes its time to start where others are busy
COPY = """
import os, shutil, time
print(len(open('/data/line/rows.txt').read()), flush=True)
while not os.path.exists('/data/line/rows.txt'): time.sleep(1)
os.makedirs('/out/model')
shutil.copy('/data/line/big.bin', '/out/model/big.bin')
"""
SLOW = COPY.replace("os.makedirs", f"{WAITS}\nos.makedirs")
"""It has read its data when it waits."""
OUTPUTS = {"outputs": {"model": "/out/model"}}


@pytest.fixture(scope="module")
def bucket(ceph):
    return ceph.bucket()


@pytest.fixture(scope="module")
def stage(ceph, bucket, tmp_path_factory):
    """Both parties; the factory's objects lie in a bucket."""

    class OnBucket(Stage):
        def start_service(self):
            home = self.factory.home / "factory"
            if not home.exists():
                init_home(home, port=self.port)
                said = f'url = "s3://{bucket}/f"\nendpoint = "{ceph.endpoint}"\n'
                with (home / "factory.toml").open("a") as settings:
                    settings.write(f'\n[objects]\n{said}credentials = "{ceph.credentials_file()}"\n')
            super().start_service()

    with two_parties(tmp_path_factory.mktemp("parties"), OnBucket) as playing:
        playing.seal(playing.name("line"), {"rows.txt": "a row\n" * 1000, "big.bin": playing.mark * 100_000})
        playing.grant(playing.name("line"), "upkeep")
        yield playing


def ask(stage, name, code, **parts):
    return stage.order(stage.customer.home / name, code, name=stage.name(name), **{**OUTPUTS, **parts})


def everything(ceph, bucket):
    listed = ceph.client.list_objects_v2(Bucket=bucket).get("Contents", ())
    return {one["Key"]: ceph.client.get_object(Bucket=bucket, Key=one["Key"])["Body"].read() for one in listed}


def test_a_sealed_run_goes_from_bucket_to_bucket_and_is_pulled(ceph, bucket, stage):
    run = ask(stage, "copied", COPY)
    ended = stage.end(run)
    assert (ended.state, stage.log(run.run)) == (RunState.SUCCEEDED, ["6000"])
    target = stage.customer.home / "pulled"
    said = stage.customer.kifabrik("model", "pull", stage.name("copied"), "--to", target)
    assert "every link holds" in said.err
    assert (target / "big.bin").read_text() == stage.mark * 100_000
    assert not (stage.factory.home / "factory" / "objects").exists()
    bodies = everything(ceph, bucket)
    assert bodies
    assert not any(stage.mark.encode() in key.encode() + body for key, body in bodies.items())
    assert "agree" in stage.factory.kifabrik("admin", "check", "--deep").err


def test_large_bodies_go_past_the_service(stage):
    log = (stage.factory.home / "factory" / "service.log").read_text()
    for who in ("device of", "attempt of"):
        assert any("POST /v1/uploads/{digest}/arrived 204" in line and who in line for line in log.splitlines())
        assert any("POST /v1/objects/{digest}/way 200" in line and who in line for line in log.splitlines())
    assert "PATCH /v1/uploads" not in log


def test_a_run_ordered_while_the_store_is_away_waits_with_the_reason_and_then_runs(ceph, stage):
    job = stage.job(stage.customer.home / "waited", COPY, name=stage.name("waited"), **OUTPUTS)
    ceph.kill_gateway()
    back = threading.Timer(8.0, ceph.start_gateway)
    back.start()
    try:
        run = stage.sdk.submit(job)  # its code has to be stored first: this waits, too
        ended = stage.end(run)
    finally:
        back.join()
    assert ended.state is RunState.SUCCEEDED, ended.reason


def test_what_waits_for_room_says_that_it_waits_for_the_object_store(ceph, stage):
    all_cores = {"resources": {"cpu": os.cpu_count(), "memory": "300MB"}}
    first = ask(stage, "first", SLOW, **all_cores)
    stage.wait_for_line(first.run, "begun")
    second = ask(stage, "second", COPY, **all_cores)
    ceph.kill_gateway()
    try:
        view = stage.wait_until(
            second.run, lambda one: "object store" in one.reason, "waiting for the object store"
        )
    finally:
        ceph.start_gateway()
    stage.let_go(stage.launcher_of(first.run))
    assert view.reason == "Waiting: the factory's object store cannot be reached."
    assert view.state is RunState.QUEUED
    for run in (first, second):
        ended = stage.end(run)
        assert ended.state is RunState.SUCCEEDED, ended.reason


def test_a_gateway_killed_while_a_run_works_costs_it_nothing(ceph, stage):
    run = ask(stage, "through", SLOW)
    stage.wait_for_line(run.run, "begun")
    launcher = stage.launcher_of(run.run)
    ceph.kill_gateway()
    try:
        stage.let_go(launcher)
        eventually(lambda: not rooms_of(launcher))
        stage.wait_until(run.run, lambda one: one.state is RunState.SEALING, "sealing")
    finally:
        ceph.start_gateway()
    ended = stage.end(run)
    assert ended.state is RunState.SUCCEEDED, ended.reason
    assert len(ended.attempts) == 1


def test_an_erased_dataset_is_gone_from_the_bucket(ceph, bucket, stage):
    before = set(everything(ceph, bucket))
    # As if they had come an hour ago: for two minutes after that, ways to them may still be good.
    with closing(sqlite3.connect(stage.factory.home / "factory" / "factory.db")) as rows, rows:
        rows.execute("UPDATE objects SET created = '2026-01-01T00:00:00Z'")
    stage.customer.kifabrik("dataset", "erase", stage.name("line"), "--yes", "--passphrase-file", stage.secret)
    until = time.monotonic() + 180
    while before <= set(everything(ceph, bucket)) and time.monotonic() < until:
        time.sleep(1)
    gone = before - set(everything(ceph, bucket))
    assert gone
    assert not any(one["Key"] in gone for one in ceph.client.list_object_versions(Bucket=bucket)["Versions"])
    assert "agree" in stage.factory.kifabrik("admin", "check", "--deep").err
