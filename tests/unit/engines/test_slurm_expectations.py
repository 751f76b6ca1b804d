"""What the check of a cluster says, over what Slurm 22.05.8 wrote (`tests/slurm/record.py`)."""

from dataclasses import replace
from pathlib import Path

import pytest

from kifabrik.engines.slurm.configuration import Configuration, File, read_configuration
from kifabrik.engines.slurm.expectations import (
    GRACE_S,
    Standing,
    check_attested,
    check_nodes,
    check_offers,
    check_partitions,
    check_settings,
)
from kifabrik.engines.slurm.node_view import read_nodes, read_partitions
from kifabrik.errors import IntegrityError
from kifabrik.factory.capacity import Gpu, Node
from kifabrik.launcher import execution
from kifabrik.values import Place

RECORDED = Path(__file__).parent / "recorded"

GOOD = {
    File.SLURM: {
        "ProctrackType": "proctrack/cgroup", "TaskPlugin": "task/affinity,task/cgroup",
        "AccountingStorageType": "accounting_storage/slurmdbd", "AccountingStorageTRES": "cpu,mem,gres/gpu",
        "AccountingStorageEnforce": "associations,limits,qos", "PrivateData": "accounts,jobs,usage,users",
        "Prolog": "/p", "Epilog": "/e", "PrologFlags": "Alloc,Contain",
        "SchedulerParameters": "bf_window=1440,nohold_on_prolog_fail",
        "PrologEpilogTimeout": "300", "KillWait": "30 sec", "BatchStartTimeout": "60 sec",
        "SelectType": "select/cons_tres", "EnforcePartLimits": "ALL", "JobAcctGatherType": "jobacct_gather/cgroup",
        "LaunchParameters": "enable_nss_slurm", "MessageTimeout": "60 sec",
    },
    File.CGROUP: {f"Constrain{what}": "yes" for what in ("Devices", "RAMSpace", "SwapSpace", "Cores")},
    File.ACCOUNTING: {"PrivateData": "jobs,usage,users,accounts"},
}  # fmt: skip


def recorded(name):
    return (RECORDED / f"slurm-22.05.8-{name}.txt").read_text()


def configuration(file=None, setting="", value=""):
    """The good one, with one setting changed."""
    settings = {one: {name.lower(): text for name, text in values.items()} for one, values in GOOD.items()}
    if file is not None:
        settings[file][setting.lower()] = value
    return Configuration(settings)


def unmet(found):
    return {(one.file, one.setting): one.standing for one in found if one.standing is not Standing.OK}


def test_the_grace_is_the_launchers():
    assert GRACE_S == execution.GRACE_S


def test_what_a_real_cluster_writes_is_read():
    found = read_configuration(recorded("config"), recorded("config-accounting"))
    assert found.value(File.SLURM, "ProctrackType") == "proctrack/cgroup"
    assert found.value(File.SLURM, "proctracktype") == "proctrack/cgroup"
    assert found.value(File.CGROUP, "ConstrainDevices") == "yes"
    assert found.value(File.CGROUP, "ProctrackType") == ""
    assert found.value(File.SLURM, "Prolog") == ""  # (null)
    assert found.value(File.SLURM, "SlurmctldHost") == "host(127.0.0.1)"
    assert found.value(File.ACCOUNTING, "PrivateData") == ""
    assert found.value(File.ACCOUNTING, "DbdPort").isdigit()


def test_of_a_real_cluster_exactly_what_is_missing_is_named():
    found = list(check_settings(read_configuration(recorded("config"), recorded("config-accounting")), 6))
    assert unmet(found) == {
        (File.CGROUP, "ConstrainSwapSpace"): Standing.MISSING,
        (File.CGROUP, "ConstrainCores"): Standing.ADVICE,
        (File.SLURM, "PrivateData"): Standing.MISSING,
        (File.ACCOUNTING, "PrivateData"): Standing.MISSING,
        (File.SLURM, "Prolog"): Standing.MISSING,
        (File.SLURM, "KillWait"): Standing.MISSING,
        (File.SLURM, "EnforcePartLimits"): Standing.ADVICE,
        (File.SLURM, "PrologFlags"): Standing.REMARK,
    }
    assert all(one.write and one.why for one in found if one.standing is not Standing.OK)
    assert all(not one.write for one in found if one.standing is Standing.OK)


def test_a_cluster_that_is_set_up_well_has_nothing_to_change():
    assert unmet(check_settings(configuration(), 6)) == {}


@pytest.mark.parametrize(
    ("file", "setting", "value", "standing"),
    [
        (File.SLURM, "ProctrackType", "proctrack/linuxproc", Standing.MISSING),
        (File.SLURM, "TaskPlugin", "task/affinity", Standing.MISSING),
        (File.SLURM, "TaskPlugin", "task/cgroup_other", Standing.MISSING),
        (File.CGROUP, "ConstrainDevices", "no", Standing.MISSING),
        (File.CGROUP, "ConstrainRAMSpace", "", Standing.MISSING),
        (File.CGROUP, "ConstrainCores", "no", Standing.ADVICE),
        (File.SLURM, "AccountingStorageEnforce", "associations,limits", Standing.MISSING),
        (File.SLURM, "AccountingStorageTRES", "cpu,mem", Standing.MISSING),
        (File.SLURM, "PrivateData", "jobs,usage,users", Standing.MISSING),
        (File.SLURM, "Epilog", "", Standing.MISSING),
        (File.SLURM, "PrologFlags", "NoHold", Standing.MISSING),
        (File.SLURM, "SchedulerParameters", "bf_continue", Standing.MISSING),
        (File.SLURM, "PrologEpilogTimeout", "60", Standing.MISSING),
        (File.SLURM, "KillWait", "29 sec", Standing.MISSING),
        (File.SLURM, "BatchStartTimeout", "10 sec", Standing.ADVICE),
        (File.SLURM, "EnforcePartLimits", "NO", Standing.ADVICE),
        (File.SLURM, "JobAcctGatherType", "jobacct_gather/none", Standing.ADVICE),
        (File.SLURM, "LaunchParameters", "", Standing.ADVICE),
        (File.SLURM, "SelectType", "select/linear", Standing.ADVICE),
        (File.SLURM, "MessageTimeout", "5 sec", Standing.ADVICE),
    ],
)
def test_each_setting_that_is_wrong_is_found(file, setting, value, standing):
    assert unmet(check_settings(configuration(file, setting, value), 6))[file, setting] is standing


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("AccountingStorageEnforce", "all"),
        ("AccountingStorageEnforce", "associations,limits,qos,safe"),
        ("PrologEpilogTimeout", "65534"),  # how 22.05 writes that there is none
        ("PrologEpilogTimeout", "UNLIMITED"),
        ("EnforcePartLimits", "ANY"),
        ("KillWait", "120 sec"),
    ],
)
def test_other_ways_to_say_it_are_understood(setting, value):
    assert unmet(check_settings(configuration(File.SLURM, setting, value), 6)) == {}


def test_a_large_cluster_needs_patient_commands():
    short = configuration(File.SLURM, "MessageTimeout", "20 sec")
    assert unmet(check_settings(short, 500)) == {}
    assert unmet(check_settings(short, 501)) == {(File.SLURM, "MessageTimeout"): Standing.ADVICE}


def test_windows_from_nodes_and_a_missing_extern_step_are_remarked():
    with_x11 = configuration(File.SLURM, "PrologFlags", "Alloc,Contain,X11")
    assert unmet(check_settings(with_x11, 6)) == {(File.SLURM, "PrologFlags"): Standing.REMARK}
    assert unmet(check_settings(configuration(File.SLURM, "PrologFlags", "Alloc"), 6)) == {
        (File.SLURM, "PrologFlags"): Standing.REMARK
    }


def test_a_preemptible_partition_needs_time_for_a_checkpoint():
    (found,) = check_partitions(read_partitions(recorded("partitions")))
    assert (found.setting, found.value, found.write) == (
        "GraceTime of partition scavenge", "1 s", "GraceTime=30",
    )  # fmt: skip


def test_nodes_the_factory_does_not_know_are_named():
    nodes = read_nodes(recorded("nodes"))
    (missing,) = check_nodes(nodes, {"n1", "n2", "n3", "n4"})
    assert (missing.standing, missing.value) == (Standing.MISSING, "2 not enrolled: n5, n6")
    (fine, gone) = check_nodes(nodes, {"n1", "n2", "n3", "n4", "n5", "n6", "n7"})
    assert fine.standing is Standing.OK
    assert (gone.standing, gone.value) == (Standing.REMARK, "enrolled and unknown to Slurm: n7")


def test_a_node_of_which_slurm_gives_more_than_the_factory_knows_is_named():
    node = read_nodes(recorded("nodes"))[0]
    gpus = tuple(Gpu(number, "H200", 141 * 10**9) for number in range(sum(node.gpus.values())))
    same = Node("n-1", node.name, Place("DE"), node.cpus, node.memory_bytes, gpus)
    assert list(check_offers([node], [same])) == []
    assert list(check_offers([node], [replace(same, name="elsewhere")])) == []
    less = replace(same, cpus=node.cpus - 1, memory_bytes=node.memory_bytes // 2, gpus=())
    (found,) = check_offers([node], [less])
    assert found.value.startswith(f"Slurm gives {node.cpus} cores, not {node.cpus - 1}, {len(gpus)} GPUs, not 0, ")


def test_a_node_that_was_taken_out_by_a_hook_is_named_with_the_reason():
    drained = [
        replace(node, reason="kifabrik: GPU 0 is not scrubbed") for node in read_nodes(recorded("nodes"))[:1]
    ]
    assert list(check_nodes(drained, {"n1"}))[1].value == "kifabrik: GPU 0 is not scrubbed"


def test_what_is_no_configuration_is_refused():
    with pytest.raises(IntegrityError, match="does not show the cluster's configuration"):
        read_configuration("Configuration data as of today\n", "")


def test_a_setting_that_comes_several_times_is_joined():
    """As of 24.05 there can be several prologs."""
    text = "SLURM_VERSION = 24.05.1\nProlog[0] = /a\nProlog[1] = /b\n"
    assert read_configuration(text, "").value(File.SLURM, "Prolog") == "/a,/b"


def test_a_feature_for_attested_nodes_that_no_node_has_is_named():
    nodes = read_nodes(recorded("nodes"))
    assert list(check_attested(nodes, "")) == []
    (missing,) = check_attested(nodes, "tpm")
    assert (missing.standing, missing.value) == (Standing.MISSING, "no node has the feature tpm")
    (fine,) = check_attested([replace(nodes[0], features=("tpm",)), *nodes[1:]], "tpm")
    assert (fine.standing, fine.value) == (Standing.OK, "1 nodes have the feature tpm")
