"""What a job file means, and how it fails."""

from pathlib import Path

import pytest

from kifabrik.errors import KifabrikError, NotFoundError, UsageError
from kifabrik.jobs.gpu_requests import parse_gpu
from kifabrik.jobs.jobfile import parse_job, read_job
from kifabrik.jobs.private import PrivateJob
from kifabrik.jobs.references import InputReference
from kifabrik.values import Money, Place

WHOLE = """
name: press-anomaly
purpose: predictive-maintenance
data: {/data/press: press-line-7}
workdir: .
environment: {requirements: requirements.txt}
run: python train.py --data /data/press --out /out
resources: {gpu: "H200:1", cpu: 4, memory: 16GB, nodes: 1, disk: 50GB}
outputs: {model: /out/model}
publish: [auc]
checkpoint: /checkpoint
max_duration: 2h
budget: 25 EUR
place: {country: DE}
retry: {attempts: 3, on: [preemption, node-failure]}
"""


def test_whole_example_is_understood():
    job = parse_job(WHOLE)
    resources = job.resources.parsed()
    assert (resources.gpu_model, resources.gpu_count, resources.cpus) == ("H200", 1, 4)
    assert (resources.memory_bytes, resources.disk_bytes) == (16 * 10**9, 50 * 10**9)
    assert job.max_duration == 7200
    assert job.budget == Money(25_000_000)
    assert job.where() == Place(country="DE")
    assert job.inputs() == {"/data/press": InputReference("press-line-7")}
    assert job.retry.on == ["preemption", "node-failure"]


def test_smallest_job_needs_only_name_purpose_and_run():
    job = parse_job("name: a\npurpose: b\nrun: python x.py\n")
    assert job.resources.parsed().gpu_count == 0
    assert job.retry.attempts == 1


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("workdir", "workdirr"), "unknown key 'workdirr'"),
        (("cpu: 4", "cpux: 4"), "unknown key 'resources.cpux'"),
        (("2h", "2x"), "not a duration"),
        (("name: press-anomaly", "name: r-aaaaaaaaaaaaaaaa"), "name: 'r-aaaaaaaaaaaaaaaa' looks like an id"),
        (("model: /out/model", "d-aaaaaaaaaaaaaaaa: /out/model"), "looks like an id: call it by a name"),
        (("16GB", "lots"), "not a size"),
        (("25 EUR", "much"), "not an amount"),
        (("/out/model", "/etc/model"), "beneath /out"),
        (("/out/model", "/out/../etc"), "plain absolute path"),
        (("/data/press:", "/data/press/a:"), "directly beneath /data"),
        (("press-line-7", "../secret"), "not a dataset or model"),
        (("name: press-anomaly", "name: Press Anomaly"), "name"),
        (("checkpoint: /checkpoint", "checkpoint: /elsewhere"), "/checkpoint"),
        (("[preemption, node-failure]", "[boredom]"), "boredom"),
        (("country: DE", "country: Germany"), "place.country"),
        (("H200:1", "H200:x"), "not a GPU request"),
    ],
)
def test_each_mistake_names_its_key(change, says):
    with pytest.raises(UsageError) as caught:
        parse_job(WHOLE.replace(*change)).resources.parsed()
    assert says in caught.value.message


def test_misspelt_key_gets_a_suggestion():
    with pytest.raises(UsageError) as caught:
        parse_job(WHOLE.replace("max_duration", "max_durration"))
    assert caught.value.hint == "Did you mean 'max_duration'?"


@pytest.mark.parametrize("key", ["name", "purpose", "run"])
def test_a_misspelt_key_that_must_be_there_is_named_as_it_was_written(key):
    with pytest.raises(UsageError, match=f"unknown key '{key}e'") as caught:
        parse_job(WHOLE.replace(f"\n{key}:", f"\n{key}e:"))
    assert caught.value.hint == f"Did you mean {key!r}?"


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        (("press-anomaly", "Größe 7"), "lower-case letters"),
        (("predictive-maintenance", "Wartung!"), "lower-case letters"),
        (("country: DE", "country: Deutschland"), "ISO 3166"),
        (("{requirements:", '{python: "4", requirements:'), "3.11"),
    ],
)
def test_what_has_another_form_is_shown_with_what_to_write(change, hint):
    with pytest.raises(UsageError, match=r"^job file: [a-z.]+: '.*' is not of the right form$") as caught:
        parse_job(WHOLE.replace(*change))
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    "change", [("H200:1", "H200:0"), ("H200:1", "-1"), ("16GB", "0"), ("2h", "1000000000000h")]
)
def test_what_makes_no_sense_names_the_file(change):
    with pytest.raises(UsageError, match=r"^job file: ") as caught:
        parse_job(WHOLE.replace(*change))
    assert caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        "a: &x 1\nb: *x\n",
        "&a [*a]",
        "!!python/object/apply:os.system ['true']",
        "name: a\nname: b\n",
        "a: [",
        "[]",
        "",
        "--- 1\n--- 2\n",
        "{" * 5000,
        "\x00",
    ],
)
def test_what_is_no_plain_mapping_is_a_usage_error(text):
    with pytest.raises(UsageError):
        parse_job(text)


def test_expanding_aliases_is_refused_before_it_grows():
    bomb = "a: &a [x, x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)}, *{chr(97 + n)}]\n" for n in range(20)
    )
    with pytest.raises(UsageError, match="aliases"):
        parse_job(bomb)


def test_changed_job_keeps_all_else_and_is_checked_again():
    job = parse_job(WHOLE)
    changed = job.changed(variables={"LR": "0.1"}, name="other")
    assert changed.environment.variables == {"LR": "0.1"}
    assert changed.model_copy(update={"name": job.name, "environment": job.environment}) == job
    with pytest.raises(UsageError):
        job.changed(variables={}, name="Not A Name")


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("0", ("", 0, 0)),
        ("2", ("", 2, 0)),
        ("H200", ("H200", 1, 0)),
        ("H100:8", ("H100", 8, 0)),
        ("24GB..", ("", 1, 24 * 10**9)),
        ("24GB..:2", ("", 2, 24 * 10**9)),
    ],
)
def test_gpu_requests(text, meaning):
    assert parse_gpu(text) == meaning


@pytest.mark.parametrize("text", ["9" * 5000, f"H200:{'9' * 5000}", f"{'9' * 5000}GB..", f"24GB..:{'9' * 5000}"])
def test_a_number_of_gpus_without_end_is_no_request(text):
    with pytest.raises(UsageError, match="not a GPU request"):
        parse_gpu(text)


def test_missing_file_is_named(tmp_path: Path):
    with pytest.raises(NotFoundError, match=r"job\.yaml"):
        read_job(tmp_path / "job.yaml")


def test_oversized_file_is_refused(tmp_path: Path):
    path = tmp_path / "job.yaml"
    path.write_text("a: " + "x" * 300_000)
    with pytest.raises(UsageError, match="larger"):
        read_job(path)


@pytest.mark.parametrize("text", ["press", "press@3", "model:press", "model:press@12"])
def test_references_are_written_as_read(text):
    assert str(InputReference.from_text(text)) == text


def test_private_job_survives_the_way_through_the_bundle():
    job = PrivateJob(
        "a",
        "python x.py",
        {"A": "ü"},
        {"/data/a": "d-aaaaaaaaaaaaaaaa"},
        {"b": "/out/b", "a": "/out/a"},
        "",
        ("auc",),
    )
    again = PrivateJob.from_bytes(job.to_bytes())
    assert again == job
    assert list(again.outputs) == ["b", "a"]


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"name": 1}', b"\xff"])
def test_malformed_private_job_is_an_error_of_the_tree(data):
    with pytest.raises(KifabrikError):
        PrivateJob.from_bytes(data)


@pytest.mark.parametrize(
    ("written", "time"),
    [
        ("2026-12-01T06:00", "2026-12-01T06:00:00Z"),
        ("2026-12-01T06:00:00", "2026-12-01T06:00:00Z"),
        ('"2026-12-01T06:00:00+01:00"', "2026-12-01T05:00:00Z"),
    ],
)
def test_a_job_may_say_until_when_it_can_wait(written, time):
    job = parse_job(f"{WHOLE}flexible: {{until: {written}}}\n")
    assert job.flexible.time() == time


def test_a_deadline_that_is_no_time_is_named():
    with pytest.raises(UsageError, match=r"flexible\.until"):
        parse_job(f"{WHOLE}flexible: {{until: soon}}\n")


def test_a_value_of_another_kind_is_quoted():
    with pytest.raises(UsageError) as raised:
        parse_job("name: a\npurpose: b\nrun: c\nresources: {cpu: zwei}\n")
    assert "resources.cpu: 'zwei' does not fit: input should be a valid integer" in raised.value.message
