"""The customer's commands killed with SIGKILL at moments drawn by lot, then repeated: nothing half, nothing twice.

The moments are those at which something becomes different outside the process, see tests/dying.py. Set
`KIFABRIK_SEED` to draw others; a failure names the moment. How many a piece of work has is counted beforehand and
differs from one time to the next, by what is new in the log and how often news was waited for: see `deaths`.
"""

import json
import os
import random
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest
from two_parties import PASSPHRASE

import dying
from kifabrik.client.connection import Connection
from kifabrik.client.tenants import Tenants
from kifabrik.customer.profile import Profile, member_folder
from kifabrik.customer.session import open_session
from kifabrik.errors import ConflictError
from kifabrik.keyholder.connecting import connect
from kifabrik.keyholder.events import unheard
from kifabrik.keyholder.keyholder import open_keyholder
from kifabrik.keyholder.round import Round
from kifabrik.keyholder.unlocking import Passphrase
from kifabrik.tenants.statements import Role
from kifabrik.wiring.factory import open_factory

pytestmark = pytest.mark.xdist_group("acceptance")

SEED = int(os.environ.get("KIFABRIK_SEED", "2026"))


@pytest.fixture(scope="module")
def work():
    """Does a piece of work in a process of its own: the number of moments in it, or None if it died there."""
    with subprocess.Popen([sys.executable, dying.__file__], stdin=-1, stdout=-1, text=True) as server:

        def do(home, name, *words, moment=0):
            server.stdin.write(json.dumps([moment, str(home), name, *map(str, words)]) + "\n")
            server.stdin.flush()
            status, count, error = json.loads(server.stdout.readline())
            assert status in (0, -signal.SIGKILL), (name, moment)
            assert not error or error.startswith(ConflictError.__name__), (name, moment, error)
            return None if status else count

        yield do
        server.stdin.close()


def deaths(work, count, number, fresh):
    """Kill a piece of work at so many moments that are drawn; yields each moment with what it was done to.

    Who gets past a drawn moment had fewer this time: something fresh dies at the last one it had. Each is an
    earlier one than the last, and nobody gets past the first, so every piece of work that is drawn does die.

    Args:
        work: The fixture.
        count: About how many moments the work has.
        number: How often to kill it.
        fresh: Makes something new for a moment; returns it and the words of the work.
    """
    for drawn in moments(count, number):
        moment = drawn
        while True:
            made, words = fresh(f"{drawn}-{moment}")
            passed = work(*words, moment=moment)
            if passed is None:
                break
            assert passed < moment, "it went past the moment at which it was to die"
            moment = passed
        yield moment, made, words


def moments(count, number):
    """Draw so many moments of a piece of work that has about `count`, half of them from its end."""
    drawn, end = random.Random(f"{SEED} {number}"), count - min(12, count // 5)
    late = end - min(10, end // 2)
    return sorted(drawn.sample(range(1, late), number // 2) + drawn.sample(range(late, end), -(-number // 2)))


@contextmanager
def inside(stage):
    """The factory opened by this process, beside its service."""
    factory = open_factory(stage.factory.home / "factory")
    try:
        yield factory
    finally:
        factory.store.close()


def entries(stage, tenant):
    """Every entry of a tenant's log, read from the factory's database."""
    with inside(stage) as factory, factory.store.read() as transaction:
        return [json.loads(data) for data in transaction.logs.entries(tenant, 0, 2**40)]


@pytest.fixture
def newcomer(stage, tmp_path):
    """Makes a tenant that does not exist yet: its home and the words to make it with."""

    def make(name):
        home = tmp_path / name
        home.mkdir()
        with inside(stage) as factory:
            return home, (stage.url, factory.accounts.make_code(name), PASSPHRASE)

    return make


def test_a_tenant_is_made_once_however_often_its_sign_up_dies(work, newcomer, stage):
    def fresh(name):
        home, words = newcomer(name)
        return home, (home, "tenant", *words)

    count = work(*fresh("whole")[1])
    for moment, home, words in deaths(work, count, 4, fresh):
        work(*words)
        with open_keyholder(home / "keyholder", Passphrase(PASSPHRASE)) as keyholder:
            factory = connect(keyholder.state, patience_s=5)
            Round(keyholder.state, factory, unheard).work()
            factory.close()
            status = keyholder.status()
        assert status.healthy, moment
        kinds = [entry["kind"] for entry in entries(stage, keyholder.tenant)]
        assert kinds.count("tenant.created") == 1, moment


def test_a_device_is_enrolled_once_however_often_its_login_dies(work, stage, tmp_path):
    def fresh(name):
        file = tmp_path / f"{name}.json"
        with stage.steward() as steward:
            file.write_text(steward.invite(Role.ENGINEER, f"Anna {name}").to_text())
        return tmp_path / name, (tmp_path / name, "login", file)

    count = work(*fresh("whole")[1])
    for moment, home, words in deaths(work, count, 4, fresh):
        work(*words)
        profile = Profile.load(home)
        connection = Connection(profile.factory, profile.token)
        assert Tenants(connection).me().member == profile.member, moment
        connection.close()
        enrolled = [
            entry["refs"]["member"]
            for entry in entries(stage, profile.tenant)
            if entry["kind"] == "member.enrolled"
        ]
        assert enrolled.count(profile.member) == 1, moment


def test_a_sealing_that_dies_anywhere_leaves_whole_versions_only(work, stage, tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    for number in range(5):
        (source / f"{number}.csv").write_text(f"{stage.mark}\n" * 100)
    home = stage.customer.home

    def fresh(name):
        return stage.name(name), (home, "seal", stage.name(name), source)

    for name in ("warm", "whole"):  # the first brings the ledger's copy up to date
        count = work(*fresh(name)[1])
    for moment, name, words in deaths(work, count, 4, fresh):
        with open_session(home) as session:
            before = [one for one in session.catalogue().datasets() if one.name == name]
        work(*words)
        with open_session(home) as session:
            catalogue = session.catalogue()
            found = catalogue.dataset(name)
            assert len(found.manifests) == 1 + sum(len(one.manifests) for one in before), moment
            for version in range(1, len(found.manifests) + 1):
                manifest = catalogue.version(found, version)
                assert session.objects.missing(manifest.objects()) == set(), moment
        assert list((member_folder(home, "datasets") / found.dataset).glob("spool/*")) == [], moment


def test_an_order_that_dies_anywhere_is_placed_once_or_not_at_all(work, stage, tmp_path):
    home = stage.customer.home

    def fresh(name):
        name = stage.name(f"order-{name}")
        return name, (home, "apply", stage.job(tmp_path / name, "print('done')", name=name))

    for name in ("warm", "whole"):
        count = work(*fresh(name)[1])
    for moment, name, _ in deaths(work, count, 4, fresh):
        with open_session(home) as session:
            assert list(member_folder(home, "unfinished").iterdir()) == [], moment
            placed = [run for run in session.catalogue().runs() if run.name == name]
            assert len(placed) <= 1, moment
            for run in placed:
                assert stage.end(run.run).state.value == "succeeded", moment


def test_a_pull_that_dies_anywhere_leaves_nothing_half_opened(work, stage, trained, tmp_path):
    home, run = stage.customer.home, stage.sdk.session.catalogue().run(stage.name("slope")).run
    (tmp_path / "pulled").mkdir()

    def fresh(name):
        target = tmp_path / "pulled" / name
        return target, (home, "pull", run, target)

    for name in ("warm", "whole"):
        count = work(*fresh(name)[1])
    for moment, target, words in deaths(work, count, 4, fresh):
        whole = (target / "slope.json").exists()
        assert whole or not target.exists(), moment
        work(*words)
        assert stage.mark in (target / "slope.json").read_text(), moment
        hidden = [path for path in target.parent.iterdir() if path.name.startswith(".")]
        assert hidden == [], moment


def test_an_erasure_that_dies_anywhere_is_carried_out(work, stage, tmp_path):
    def fresh(name):
        name = stage.name(f"erased-{name}")
        stage.seal(name, {"a.csv": stage.mark})
        dataset = stage.sdk.session.catalogue().dataset(name).dataset
        return dataset, (stage.customer.home, "erase", dataset, PASSPHRASE)

    count = work(*fresh("whole")[1])
    for moment, dataset, words in deaths(work, count, 2, fresh):
        work(*words)
        kinds = [
            entry["kind"]
            for entry in entries(stage, stage.sdk.session.tenant)
            if entry["refs"].get("dataset") == dataset
        ]
        assert kinds.count("erasure.decided") == 1, moment


def test_a_backup_that_dies_anywhere_is_whole_or_absent_and_restores(work, newcomer, tmp_path):
    home, words = newcomer("backed-up")
    work(home, "tenant", *words)
    with open_keyholder(home / "keyholder", Passphrase(PASSPHRASE)) as keyholder:
        factory = connect(keyholder.state, patience_s=5)
        Round(keyholder.state, factory, unheard).work()
        factory.close()

    def backed_up(name):
        file = tmp_path / f"{name}.age"
        return file, (home, "backup", file, PASSPHRASE)

    count = work(*backed_up("whole")[1])
    for _, file, words in deaths(work, count, 2, backed_up):
        work(*words)
        file.rename(tmp_path / "newest.age")

    def restored(name):
        place = tmp_path / f"restored-{name}"
        return place, (place, "restore", tmp_path / "newest.age", PASSPHRASE)

    count = work(*restored("whole")[1])
    for moment, place, words in deaths(work, count, 4, restored):
        work(*words)
        with open_keyholder(place / "keyholder", Passphrase(PASSPHRASE)) as keyholder:
            factory = connect(keyholder.state, patience_s=5)
            Round(keyholder.state, factory, unheard).work()
            factory.close()
            assert keyholder.status().healthy, moment


def test_the_ledger_verifies_and_the_factory_agrees_after_all_of_it(stage):
    stage.customer.kifabrik("ledger", "show", "--json")
    assert stage.customer.kifabrik("ledger", "verify", "--json").json()["ok"]
    stage.factory.kifabrik("admin", "check")
