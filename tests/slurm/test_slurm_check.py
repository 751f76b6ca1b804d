"""The check of a cluster's configuration, against a real one."""

import json

from click.testing import CliRunner

from kifabrik.cli.main import cli
from kifabrik.engines.slurm.expectations import Standing
from kifabrik.errors import IntegrityError
from kifabrik.values import Place
from kifabrik.wiring.factory import init_home, open_factory
from kifabrik.wiring.node import init_node, read_key
from kifabrik.wiring.slurm_check import check_cluster


def test_a_real_cluster_is_checked_and_what_is_missing_is_named(cluster, tmp_path):
    command = ["admin", "slurm", "check", "--home", str(tmp_path), "--slurm-conf", str(cluster.conf), "--json"]
    ran = CliRunner().invoke(cli, command)
    assert ran.exit_code == IntegrityError.exit_status
    said = json.loads(ran.output)
    assert said["ok"] is False
    found = {(one["file"], one["setting"]): one["standing"] for one in said["findings"]}
    assert {setting for setting, standing in found.items() if standing == "missing"} == {
        ("cgroup.conf", "ConstrainSwapSpace"),
        ("slurm.conf", "PrivateData"),
        ("slurmdbd.conf", "PrivateData"),
        ("slurm.conf", "Prolog"),
        ("slurm.conf", "Epilog"),
        ("slurm.conf", "KillWait"),
    }
    assert found["slurm.conf", "ProctrackType"] == found["cgroup.conf", "ConstrainDevices"] == "ok"
    assert found["slurm.conf", "GraceTime of partition scavenge"] == "advice"


def test_nodes_of_the_cluster_that_the_factory_does_not_know_are_named(cluster, tmp_path):
    init_home(tmp_path / "factory", port=0)
    with (tmp_path / "factory" / "factory.toml").open("a") as settings:
        settings.write(f'[slurm]\nconf = "{cluster.conf}"\n')
    for name in ("n1", "n3"):
        config = init_node(tmp_path / name, place=Place("DE"), name=name)
        factory = open_factory(tmp_path / "factory")
        factory.runs.fleet.enrol(config.record(read_key(tmp_path / name)))
        factory.store.close()
    (found,) = (one for one in check_cluster(tmp_path / "factory", None) if one.setting == "nodes")
    assert (found.standing, found.value) == (Standing.MISSING, "2 not enrolled: n2, n4")


def test_it_says_what_to_write_on_a_line_to_copy(cluster, tmp_path):
    command = ["admin", "slurm", "check", "--home", str(tmp_path), "--slurm-conf", str(cluster.conf)]
    ran = CliRunner().invoke(cli, command, env={"COLUMNS": "200"})
    assert isinstance(ran.exception, IntegrityError)
    assert "missing  KillWait: 5 sec\n         KillWait=30     in slurm.conf\n" in ran.output
    assert "otherwise runs at their time limit" in ran.output
    assert "ProctrackType" not in ran.output
    assert "settings the promises need are missing" in ran.exception.message
