"""`kifabrik admin slurm sync` against a real factory and a real Slurm."""

import json
import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest
from cluster_config import CLUSTER
from users import MINE, remove_user

from kifabrik.engines.slurm.account_plan import PARENT, unix_user
from kifabrik.factory.allowances import Limits
from kifabrik.factory.records import Tenant
from kifabrik.wiring.factory import init_home, open_factory

ONE, TWO = (f"t-{which}{MINE}rbkzrapqhsnefaob6b" for which in ("aaaaone", "bbbbtwo"))
"""Of this session alone: their Unix users are the machine's."""


@pytest.fixture
def home(tmp_path, cluster, eventually):
    init_home(tmp_path / "factory", port=0)
    yield tmp_path
    eventually(lambda: both_removed(cluster))
    for tenant in (ONE, TWO):
        remove_user(unix_user(tenant))


def both_removed(cluster) -> bool:
    """Remove all the tenants have in Slurm; False while jobs cancelled before still end."""

    def sacctmgr(*arguments: str) -> str:
        command = ["sacctmgr", "-inPQ", *arguments]
        return subprocess.run(command, check=False, capture_output=True, text=True, env=cluster.env).stdout

    for tenant in (ONE, TWO):
        sacctmgr("remove", "user", "where", f"Name={unix_user(tenant)}")
        sacctmgr("remove", "account", "where", f"Name={tenant}")
        sacctmgr("remove", "qos", "where", f"Name={tenant}")
    sacctmgr("remove", "account", "where", f"Name={PARENT}")
    known = sacctmgr("show", "associations", "format=Account,User").replace("|", "\n").splitlines()
    known += sacctmgr("show", "qos", "format=Name").splitlines()
    return not {ONE, TWO, PARENT, unix_user(ONE), unix_user(TWO)}.intersection(known)


def has(home: Path, **tenants: Limits) -> None:
    """Let the factory have exactly these tenants."""
    factory = open_factory(home / "factory")
    known = {one.tenant for one in factory.accounts.tenants()}
    for tenant, limits in tenants.items():
        if tenant not in known:
            with factory.store.write() as transaction:
                transaction.accounts.add_tenant(Tenant(tenant, tenant, "", 0, "2026-01-01T00:00:00Z"))
        factory.runs.fleet.set_limits(tenant, limits)
    factory.store.close()


def forget(home: Path, tenant: str) -> None:
    """Take a tenant out of the factory's database."""
    import sqlite3

    with sqlite3.connect(home / "factory" / "factory.db") as database:
        for table in ("limits", "tenants"):
            columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
            if "tenant" in columns:
                database.execute(f"DELETE FROM {table} WHERE tenant = ?", [tenant])


def sync(cluster, home: Path, *options: str, status: int = 0) -> dict:
    command = [sys.executable, "-m", "kifabrik.cli.main", "admin", "slurm", "sync", "--home", str(home), "--json"]
    ours = {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False,
                          env=cluster.env | ours | {"HOME": str(home)})  # fmt: skip
    assert done.returncode == status, done.stdout + done.stderr
    return json.JSONDecoder().raw_decode(done.stdout)[0]


def qos_limits(cluster, tenant: str) -> str:
    return cluster.run("sacctmgr", "-nP", "show", "qos", tenant, "format=GrpTRES,GrpSubmit").strip()


def test_tenants_become_accounts_users_and_limits_and_the_second_run_has_nothing_to_do(cluster, home, eventually):
    has(home, **{ONE: Limits(most_gpus=2, weight=3.0, most_runs=5), TWO: Limits(most_cpus=8)})
    assert not sync(cluster, home, "--check", status=6)["in_step"]
    assert ONE not in cluster.run("sacctmgr", "-nP", "show", "account", "format=Account")

    plan = sync(cluster, home, "--yes", "--make-users")
    assert [step["kind"] for step in plan["steps"]].count("make-user") == 2
    assert sync(cluster, home, "--yes") == {"in_step": True, "applied": True, "steps": [], "missing_users": []}
    assert sync(cluster, home, "--check")["in_step"]

    assert pwd.getpwnam(unix_user(ONE)).pw_shell == "/usr/sbin/nologin"
    assert qos_limits(cluster, ONE) == "gres/gpu=2|5"
    shares = cluster.run(
        "sacctmgr", "-nP", "show", "associations", f"account={ONE}", "format=Account,Share,ParentName"
    )
    assert shares.splitlines()[0] == f"{ONE}|300|{PARENT}"


def test_the_limit_of_a_tenant_holds_in_slurm(cluster, home, submit, eventually):
    has(home, **{ONE: Limits(most_gpus=2, most_runs=3)})
    sync(cluster, home, "--yes", "--make-users")
    user = unix_user(ONE)
    numbers = [submit("sleep 600", "--gpus-per-node=2", by=user) for _ in range(2)]
    ask = ("squeue", "--noheader", f"--jobs={','.join(numbers)}", "--format=%T %r %q %a")
    said = eventually(
        lambda: (lines := cluster.run(*ask)).count("RUNNING") == 1 and "QOSGrpGRES" in lines and lines
    )
    assert said.count(f"{ONE} {ONE}") == 2
    submit("sleep 600", by=user)
    with pytest.raises(subprocess.CalledProcessError) as refused:
        submit("sleep 600", by=user)
    assert "QOS" in refused.value.stderr


def test_of_steps_taken_together_the_one_that_fails_is_named_and_the_rest_is_done(cluster, home):
    from kifabrik.errors import ConflictError
    from kifabrik.wiring.slurm_accounts import account_sync

    has(home, **{ONE: Limits(most_gpus=4), TWO: Limits(most_gpus=4)})
    syncing = account_sync(home / "factory", cluster.conf)
    plan = syncing.plan()
    cluster.run("sacctmgr", "-iQ", "add", "qos", ONE, "Description=theirs")  # between the plan and its steps
    with pytest.raises(ConflictError, match=ONE):
        syncing.do(plan, done=lambda _step: None)
    assert qos_limits(cluster, TWO).startswith("gres/gpu=4|")
    cluster.run("sacctmgr", "-iQ", "remove", "qos", "where", f"Name={ONE}")
    assert [step["what"].split(":")[0] for step in sync(cluster, home, "--yes")["steps"]] == [
        f"QOS {ONE}", f"account {PARENT}", f"account {ONE}", f"account {TWO}"
    ]  # fmt: skip
    descriptions = cluster.run("sacctmgr", "-nP", "show", "qos", "format=Name,Description")
    assert f"{TWO}|kifabrik tenant" in descriptions.splitlines()


def test_a_limit_changed_by_hand_is_shown_and_mended(cluster, home):
    has(home, **{ONE: Limits(most_gpus=4)})
    sync(cluster, home, "--yes", "--make-users")
    cluster.run("sacctmgr", "-iQ", "modify", "qos", ONE, "set", "GrpTRES=gres/gpu=64")
    cluster.run("sacctmgr", "-iQ", "modify", "account", ONE, "set", "Fairshare=7")
    found = sync(cluster, home, "--check", status=6)
    assert sorted(step["what"] for step in found["steps"]) == [
        f"QOS {ONE}: GPUs 64 → 4", f"account {ONE}: share 7 → 100"
    ]  # fmt: skip
    assert {step["kind"] for step in found["steps"]} == {"change"}
    assert qos_limits(cluster, ONE).startswith("gres/gpu=64|")
    sync(cluster, home, "--yes")
    assert qos_limits(cluster, ONE).startswith("gres/gpu=4|")
    assert sync(cluster, home, "--check")["in_step"]


def test_a_limit_taken_away_in_the_factory_is_taken_away_in_slurm(cluster, home):
    has(home, **{ONE: Limits(most_gpus=4, most_cpus=16)})
    sync(cluster, home, "--yes", "--make-users")
    has(home, **{ONE: Limits(most_gpus=0, most_cpus=8, most_runs=0)})
    sync(cluster, home, "--yes")
    assert qos_limits(cluster, ONE) == "cpu=8|"
    assert sync(cluster, home, "--check")["in_step"]


def test_what_the_operator_added_stays(cluster, home):
    has(home, **{ONE: Limits(most_gpus=4)})
    sync(cluster, home, "--yes", "--make-users")
    cluster.run("sacctmgr", "-iQ", "modify", "account", ONE, "set", "QOS+=normal")
    cluster.run("sacctmgr", "-iQ", "modify", "qos", ONE, "set", "GrpTRES=node=2")
    assert sync(cluster, home, "--yes")["steps"] == []
    assert qos_limits(cluster, ONE).startswith("gres/gpu=4,node=2|")


def test_the_account_of_a_tenant_that_is_gone_is_closed_then_removed_when_asked(cluster, home):
    has(home, **{ONE: Limits(), TWO: Limits()})
    sync(cluster, home, "--yes", "--make-users")
    forget(home, ONE)
    assert [step["kind"] for step in sync(cluster, home, "--yes")["steps"]] == ["close", "close"]
    assert sync(cluster, home, "--check")["in_step"]
    with pytest.raises(subprocess.CalledProcessError):
        cluster.run("sbatch", "--chdir=/", "--output=/dev/null", "--wrap=true", user=unix_user(ONE))
    cluster.run("sbatch", "--chdir=/", "--output=/dev/null", "--wrap=true", user=unix_user(TWO))

    has(home, **{ONE: Limits()})
    opened = [step["what"] for step in sync(cluster, home, "--yes")["steps"]]
    assert opened == [f"QOS {ONE}: runs 0 → 10000", f"account {ONE}: most jobs 0 → none"]
    forget(home, ONE)
    assert {step["kind"] for step in sync(cluster, home, "--yes", "--remove-gone")["steps"]} == {"remove"}
    accounts = cluster.run("sacctmgr", "-nP", "show", "account", "format=Account").split()
    assert ONE not in accounts
    assert TWO in accounts


def test_what_others_made_is_never_touched(cluster, home):
    cluster.run("sacctmgr", "-iQ", "add", "account", ONE, "Description=theirs", "Organization=physics")
    has(home, **{ONE: Limits()})
    before = cluster.run("sacctmgr", "-nP", "show", "account", "format=Account,Organization,Description")
    assert (
        "that kifabrik did not make" in sync(cluster, home, "--yes", "--make-users", status=5)["error"]["message"]
    )
    assert cluster.run("sacctmgr", "-nP", "show", "account", "format=Account,Organization,Description") == before


def test_without_make_users_the_missing_ones_are_named_and_their_jobs_wait_for_them(cluster, home):
    has(home, **{ONE: Limits()})
    assert sync(cluster, home, "--yes")["missing_users"] == [unix_user(ONE)]
    found = sync(cluster, home, "--check", status=6)
    assert (found["steps"], found["missing_users"]) == ([], [unix_user(ONE)])


def test_someone_who_may_not_change_accounts_hears_so(cluster, home, user):
    from kifabrik.engines.slurm.account_plan import TenantShare
    from kifabrik.engines.slurm.account_sync import AccountSync
    from kifabrik.engines.slurm.commands import SlurmCommands
    from kifabrik.errors import RefusedError

    class AsUser(SlurmCommands):
        def run(self, program, *arguments, **options):
            return super().run(program, *arguments, **options | {"user": user})

    syncing = AccountSync(AsUser(cluster.conf), lambda: [TenantShare(ONE)])
    with pytest.raises(RefusedError, match="does not allow"):
        syncing.do(syncing.plan(), done=lambda _step: None)


def test_another_cluster_of_the_same_slurmdbd_keeps_what_it_has(cluster, home):
    """It has a factory of its own, with one of this factory's tenants."""
    cluster.run("sacctmgr", "-iQ", "add", "cluster", "other")
    manage = ("sacctmgr", "-iQ", "add", "account", "Cluster=other")
    try:
        mark = ("Organization=kifabrik", f"Description=kifabrik tenant {ONE}")
        cluster.run(*manage, PARENT, "Organization=kifabrik", "Description=kifabrik")
        cluster.run(*manage, ONE, f"Parent={PARENT}", *mark)
        has(home, **{ONE: Limits(most_gpus=2)})
        sync(cluster, home, "--yes", "--make-users")
        assert sync(cluster, home, "--check")["in_step"]
        assert clusters_of(cluster, ONE) == {"other", CLUSTER}

        forget(home, ONE)
        sync(cluster, home, "--yes")
        assert sync(cluster, home, "--check")["in_step"]
        assert qos_limits(cluster, ONE) == "gres/gpu=2|10000"
        with pytest.raises(subprocess.CalledProcessError):
            cluster.run("sbatch", "--chdir=/", "--output=/dev/null", "--wrap=true", user=unix_user(ONE))

        sync(cluster, home, "--yes", "--remove-gone")
        assert clusters_of(cluster, ONE) == {"other"}
        assert qos_limits(cluster, ONE) == "gres/gpu=2|10000"
    finally:
        for name in (ONE, PARENT):
            cluster.run("sacctmgr", "-iQ", "remove", "account", "where", f"Name={name}", "Cluster=other")
        cluster.run("sacctmgr", "-iQ", "remove", "cluster", "where", "Name=other")


def clusters_of(cluster, account: str) -> set[str]:
    rows = cluster.run("sacctmgr", "-nP", "show", "associations", f"account={account}", "format=Cluster,User")
    return {row.split("|")[0] for row in rows.splitlines()}
