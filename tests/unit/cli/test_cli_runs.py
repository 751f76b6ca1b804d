"""What commands about runs say before and after they have spoken to a factory."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from kifabrik.cli.apply import apply
from kifabrik.cli.stop import said_of
from kifabrik.errors import UsageError
from kifabrik.runs.states import RunState

_JOB = """
name: trivial
purpose: test
run: "true"
"""


@pytest.mark.parametrize(("option", "value"), [("--name", "Not A Name"), ("--purpose", "two\nlines")])
def test_a_name_or_purpose_given_in_place_of_the_files_is_held_to_the_same_rules(
    tmp_path: Path, option: str, value: str
) -> None:
    job = tmp_path / "job.yaml"
    job.write_text(_JOB)
    words = [str(job), option, value, "--home", str(tmp_path / "home")]
    with pytest.raises(UsageError, match=option.removeprefix("--")):
        CliRunner().invoke(apply, words, catch_exceptions=False)


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (RunState.RUNNING, "r-1 was asked to stop"),
        (RunState.STOPPED, "r-1 is stopped"),
        (RunState.SUCCEEDED, "r-1 is succeeded"),
    ],
)
def test_a_run_that_has_ended_is_not_said_to_be_asked_to_stop(state: RunState, said: str) -> None:
    assert said_of("r-1", state) == said
