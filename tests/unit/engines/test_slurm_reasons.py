"""Slurm's reason codes as sentences."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kifabrik.engines.slurm.reasons import Advice, explain

CODES = [
    line
    for line in (Path(__file__).parents[2] / "vectors" / "slurm_reasons.txt").read_text().splitlines()
    if line and not line.startswith("#")
]


def test_the_list_is_the_whole_documented_one():
    assert len(CODES) == len(set(CODES)) > 215
    assert {"Priority", "AssocGrpGRESRunMinutes", "ReservationInvalid", "MpiPortsBusy"} <= set(CODES)


@pytest.mark.parametrize("code", CODES)
def test_every_documented_code_has_a_sentence(code):
    found = explain(code)
    assert found.code == code
    assert "does not know" not in found.sentence
    assert code == "None" or code not in found.sentence.split()
    assert found.sentence[0].isupper()
    assert found.sentence.endswith(".")


def test_an_unknown_code_is_named_and_not_explained_away():
    found = explain("MoonPhase")
    assert (
        found.sentence
        == "Slurm gives the reason 'MoonPhase', which kifabrik does not know. The operator can look it up."
    )
    assert found.advice is Advice.OPERATOR


@pytest.mark.parametrize(
    ("code", "sentence", "advice"),
    [
        ("AssocGrpGRES", "All GPUs that your account allows at once are in use.", Advice.WAIT),
        ("QOSGrpCpuLimit", "All cores that the QOS allows at once are in use.", Advice.WAIT),
        ("QOSMaxGRESPerJob", "It asks for more GPUs than the QOS allows for one run.", Advice.CHANGE),
        ("AssocGrpCPUMinutesLimit", "All minutes of cores that your account allows are used up.", Advice.OPERATOR),
        ("QOSMaxJobsPerUserLimit", "As many runs as the QOS allows one user are there.", Advice.WAIT),
        ("MaxGRESRunMinsPerUser", "Runs under way have taken all minutes of GPUs that the QOS", Advice.WAIT),
        ("QOSMinGRES", "It asks for less GPUs than the QOS is for.", Advice.CHANGE),
        ("AssocMaxWallDurationPerJobLimit", "It asks for more time than your", Advice.CHANGE),
    ],
)  # fmt: skip
def test_limits_are_read_part_by_part(code, sentence, advice):
    found = explain(code)
    assert found.sentence.startswith(sentence)
    assert found.advice is advice


def test_nodes_out_of_service_are_named():
    assert explain("ReqNodeNotAvail, UnavailableNodes:n[4-5]").sentence.endswith("Out of service: n[4-5].")
    assert explain("ReqNodeNotAvail,_UnavailableNodes:n4").sentence.endswith("Out of service: n4.")


def test_slurms_own_sentences_are_read_too():
    words = "Nodes_required_for_job_are_DOWN,_DRAINED_or_reserved_for_jobs_in_higher_priority_partitions"
    assert "out of service" in explain(words).sentence
    assert explain("job requeued in held state").advice is Advice.OPERATOR


@given(st.text(max_size=300))
def test_whatever_slurm_says_becomes_one_short_printable_sentence(text):
    found = explain(text)
    assert found.sentence.isprintable()
    assert len(found.sentence) < 400
