"""Existing sbatch scripts as jobs."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kifabrik.errors import KifabrikError, UsageError
from kifabrik.jobs.batch_script import parse_batch

PURPOSE = "#KIFABRIK purpose predictive-maintenance"


def batch(*lines, body="srun python train.py"):
    return parse_batch("\n".join(["#!/bin/bash", PURPOSE, *lines, body]) + "\n", "train.sbatch")


def test_a_usual_script_becomes_a_job_with_sealed_data():
    found = batch(
        "#SBATCH --job-name=Press-Anomaly   # a remark",
        "#SBATCH -N 2 --ntasks-per-node=4 --cpus-per-task=8",
        "#SBATCH --gres=gpu:h200:4 --mem=64G -t 1-02:30:00",
        "#SBATCH -p big,main --qos=long --constraint='nvlink&h200' --signal=B:TERM@120",
        "#SBATCH --output=logs/%j.out",
        "#KIFABRIK data /data/press=press-line-7",
        "#KIFABRIK output model=/out/model",
    )
    resources = found.job.resources.parsed()
    assert (resources.nodes, resources.cpus, resources.gpu_count, resources.gpu_model) == (2, 32, 4, "h200")
    assert resources.memory_bytes == 64 * 2**30
    assert found.job.max_duration == ((24 + 2) * 60 + 30) * 60
    assert found.job.name == "press-anomaly"
    assert found.job.run == "bash train.sbatch"
    assert found.job.purpose == "predictive-maintenance"
    assert found.job.data == {"/data/press": "press-line-7"}
    assert found.job.outputs == {"model": "/out/model"}
    assert (found.job.slurm.partition, found.job.slurm.qos) == ("big,main", "long")
    assert (found.job.slurm.constraint, found.job.slurm.signal) == ("nvlink&h200", "B:TERM@120")
    assert found.remarks == (
        "line 7: --output is set aside: what it prints is sealed; read it with: kifabrik logs",
    )


def test_an_array_with_a_throttle_and_other_wishes_are_kept():
    found = batch("#SBATCH -a 0-99%8 --dependency=afterok:12 --licenses=solver:2 --nice=50 --begin=now+2hours",
                  "#SBATCH --exclusive --switches=1@02:00:00 --requeue",
                  "#SBATCH --reservation=later --account=acme")  # fmt: skip
    wishes = found.job.slurm
    assert (found.array, wishes.dependency, wishes.licenses) == ("0-99%8", "afterok:12", "solver:2")
    assert (found.job.slurm.nice, found.job.slurm.exclusive, found.job.retry.attempts) == (50, True, 3)


@pytest.mark.parametrize(
    ("options", "nodes", "cpus"),
    [("", 1, 1), ("-n 4", 1, 4), ("-N2 -n8", 2, 4), ("-n 8 --ntasks-per-node=4", 2, 4), ("-c 6", 1, 6)],
)
def test_tasks_become_nodes_and_cores(options, nodes, cpus):
    resources = batch(f"#SBATCH {options}").job.resources
    assert (resources.nodes, resources.cpu) == (nodes, cpus)


@pytest.mark.parametrize(
    ("options", "gpu"),
    [("--gpus=8 -N2", "4"), ("--gpus-per-node=a100:2", "a100:2"), ("--gpus-per-task=1 -n 4", "4"),
     ("-G h200:2", "h200:2")],
)  # fmt: skip
def test_gpus_are_counted_on_each_node(options, gpu):
    assert batch(f"#SBATCH {options}").job.resources.gpu == gpu


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 5400), ("90:30", 5430), ("1:30:00", 5400), ("1-12", 129600), ("0-01:30", 5400)]
)
def test_time_limits_are_read_as_sbatch_reads_them(text, seconds):
    assert batch(f"#SBATCH --time={text}").job.max_duration == seconds


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("#SBATCH --chdir=/tmp", "line 3: --chdir makes no sense here"),
        ("#SBATCH --uid=0", "--uid makes no sense"),
        ("#SBATCH -w n7", "--nodelist makes no sense"),
        ("#SBATCH --wrap='rm -rf /'", "--wrap makes no sense"),
        ("#SBATCH --export=ALL", "--export makes no sense"),
        ("#SBATCH --partitoin=main", "--partitoin is not an option"),
        ("#SBATCH main", "'main' is not an option"),
        ("#SBATCH --time=0", "without a time limit"),
        ("#SBATCH --time=UNLIMITED", "not a time limit"),
        (f"#SBATCH --time={'9' * 5000}", "not a time limit"),
        (f"#SBATCH --mem={'9' * 5000}", "not an amount of memory"),
        (f"#SBATCH --gpus={'9' * 5000}", "not a number of GPUs"),
        ("#SBATCH --nodes=2-4", "not a number"),
        ("#SBATCH --gpus=3 -N2", "does not divide evenly"),
        ("#SBATCH -N2 -n3", "does not divide evenly"),
        ("#SBATCH --gpus=1 --gres=gpu:1", "both ask for GPUs"),
        ("#SBATCH --gres=nic:2", "not a number of GPUs"),
        ("#SBATCH --nice=-5", "only the operator"),
        ("#SBATCH --constraint='a b'", "not a value for slurm.constraint"),
        ("#SBATCH --mem=lots", "not an amount of memory"),
        ("#SBATCH --job-name='x", "quotation mark"),
        ("#SBATCH --qos", "--qos needs a value"),
        ("#KIFABRIK data press", "not a line for kifabrik"),
        ("#KIFABRIK data /etc=press", "not a folder directly beneath /data"),
        ("#KIFABRIK output model=/home/x", "not beneath /out"),
        ("#KIFABRIK purpose again", "twice"),
        ("#KIFABRIK", "write '#KIFABRIK data"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_sentence(line, message):
    with pytest.raises(UsageError, match=message) as refused:
        batch(line)
    assert refused.value.message.startswith("train.sbatch")


def test_lines_after_the_first_command_are_not_slurms():
    assert batch(body="true\n#SBATCH --uid=0\n#KIFABRIK data /x=y").job.data == {}


def test_a_script_must_say_what_for_and_which_shell():
    with pytest.raises(UsageError, match="what for"):
        parse_batch("#!/bin/bash\ntrue\n", "x.sbatch")
    with pytest.raises(UsageError, match="first line must name its shell"):
        parse_batch(f"{PURPOSE}\ntrue\n", "x.sbatch")
    with pytest.raises(UsageError, match="letters, digits"):
        parse_batch(f"#!/bin/bash\n{PURPOSE}\ntrue\n", "x; rm -rf ~.sbatch")


@given(st.text(max_size=60))
def test_whatever_stands_in_a_line_gives_a_job_or_an_error_with_a_message(text):
    for head in ("#SBATCH ", "#KIFABRIK "):
        with contextlib.suppress(KifabrikError):
            assert batch(head + text).job.purpose == "predictive-maintenance"
