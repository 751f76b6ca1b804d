"""Arguments of sbatch."""

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kifabrik.engines.slurm.job_facts import parse_tasks
from kifabrik.engines.slurm.script import Submission, arguments, earlier, spans, with_feature
from kifabrik.errors import KifabrikError, UsageError
from kifabrik.orders.slurm_options import SlurmOptions
from kifabrik.values import Resources

TEXT = st.text(max_size=20)
OPTIONS = [field.name for field in fields(SlurmOptions) if field.type in (str, "str")]


def test_a_run_becomes_exactly_these_arguments():
    submission = Submission(
        "kf-a-aaaaaaaaaaaaaaaa",
        Resources(cpus=16, memory_bytes=64 * 10**9, gpu_count=8, gpu_model="H200", nodes=2),
        7200,
        SlurmOptions(partition="big", qos="long", signal="TERM@120", exclusive=True, nice=5, requeue=True),
        account="t-p6n5",
        output="/var/log/kifabrik/%j.log",
    )
    assert arguments(submission) == (
        "--parsable", "--export=NIL", "--job-name=kf-a-aaaaaaaaaaaaaaaa", "--chdir=/",
        "--output=/var/log/kifabrik/%j.log", "--open-mode=append", "--nodes=2", "--ntasks=2",
        "--ntasks-per-node=1",
        "--cpus-per-task=16", "--mem=61036M", "--time=120", "--requeue", "--gpus-per-node=h200:8",
        "--partition=big",
        "--qos=long", "--account=t-p6n5", "--signal=TERM@120", "--exclusive", "--nice=5",
    )  # fmt: skip


def test_slurm_never_starts_a_run_again_unless_that_is_asked_for():
    assert "--no-requeue" in arguments(Submission("x", Resources(), 60))


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "x\n--uid=0"}, {"name": "X"}, {"name": ""}, {"comment": "a\nb"}, {"folder": "relative"},
        {"folder": "/tmp/../etc"}, {"output": "/x y"}, {"limit_s": 0}, {"account": "a\nb"},
        {"resources": Resources(gpu_count=1, gpu_model="a:b")},
        {"resources": Resources(gpu_count=1, gpu_model="h200 --uid=0\n")},
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(wrong):
    with pytest.raises(UsageError):
        arguments(Submission(**{"name": "x", "resources": Resources(), "limit_s": 60} | wrong))


@pytest.mark.parametrize("name", ["name", "comment", "model", "account", *OPTIONS])
@given(text=TEXT)
def test_nothing_a_customer_writes_becomes_an_option_or_a_line(name, text):
    fixed = {"name": "x", "comment": "", "model": "", "account": ""}
    try:
        options = SlurmOptions(**({} if name in fixed else {name: text}))
        words = fixed | ({name: text} if name in fixed else {})
        model = Resources(gpu_count=1, gpu_model=words.pop("model"))
        found = arguments(Submission(resources=model, limit_s=60, options=options, **words))
    except KifabrikError:
        return
    plain = [word.partition("=")[0] for word in arguments(Submission("x", Resources(gpu_count=1), 60))]
    known = {*plain, "--comment", f"--{name}"}
    for word in found:
        assert word.partition("=")[0] in known
        assert word.isprintable()


@given(seconds=st.integers(1, 10**7), size=st.integers(1, 10**13))
def test_time_and_memory_are_never_less_than_asked_for(seconds, size):
    words = dict(
        word.partition("=")[::2] for word in arguments(Submission("x", Resources(memory_bytes=size), seconds))
    )
    assert seconds <= int(words["--time"]) * 60 < seconds + 60
    assert size <= int(words["--mem"].rstrip("M")) * 2**20 < size + 2**20


@given(numbers=st.sets(st.integers(0, 2000), max_size=300))
def test_task_numbers_are_written_in_spans_that_say_the_same(numbers):
    written = spans(sorted(numbers))
    assert (parse_tasks(written) if written else ()) == tuple(sorted(numbers))


def test_a_thousand_tasks_are_one_span_and_scattered_ones_a_list_that_is_allowed():
    assert spans(range(1, 1001)) == "1-1000"
    scattered = spans(range(1, 2000, 2))
    assert SlurmOptions(array=scattered).array == scattered


@pytest.mark.parametrize(
    ("asked", "told"), [("", ""), ("USR1@120", "USR1@1020"), ("B:TERM", "B:TERM@960"), ("INT@65000", "INT@65535")]
)
def test_a_signal_before_the_end_of_a_run_counts_from_there_not_from_the_end_of_its_job(asked, told):
    assert earlier(asked, 900) == told


@pytest.mark.parametrize(
    ("constraint", "feature", "asked"),
    [
        ("", "", ""),
        ("h200", "", "h200"),
        ("", "tpm", "tpm"),
        ("h200&nvlink", "tpm", "h200&nvlink&tpm"),
        ("h200|h100", "tpm", "(h200|h100)&tpm"),
        ("[rack1|rack2]", "tpm", "[rack1|rack2]"),
        ("big*2&small*4", "tpm", "big*2&small*4"),
    ],
)
def test_a_feature_is_asked_for_besides_what_the_order_asks_for(constraint, feature, asked):
    assert with_feature(constraint, feature) == asked
    assert SlurmOptions(constraint=asked).constraint == asked
