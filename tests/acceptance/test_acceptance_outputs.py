"""What leaves the sandbox, and what does not; what a later run may do with it."""

import pytest

from kifabrik.runs.states import RunState

pytestmark = pytest.mark.xdist_group("acceptance")

SCORES = """
import json
from pathlib import Path

slope = json.loads(Path("/data/model/slope.json").read_text())["slope"]
Path("/out/scores").mkdir()
Path("/out/scores/scores.txt").write_text(str(slope * 21))
"""


def test_a_sealed_model_is_the_input_of_a_later_run_for_the_same_purpose(stage, trained, tmp_path):
    result = stage.order(
        tmp_path,
        SCORES,
        name=stage.name("scores"),
        data={"/data/model": f"model:{stage.name('slope')}"},
        outputs={"scores": "/out/scores"},
    ).result(120)
    result.pull("scores", tmp_path / "pulled")
    assert (tmp_path / "pulled" / "scores.txt").read_text() == "42.0"


def test_a_model_is_not_released_for_a_purpose_its_data_was_not_granted_for(stage, trained, tmp_path):
    future = stage.order(
        tmp_path,
        SCORES,
        purpose="marketing",
        data={"/data/model": f"model:{stage.name('slope')}"},
        outputs={"scores": "/out/scores"},
    )
    view = stage.end(future)
    assert view.state is RunState.REFUSED
    assert "purpose marketing" in view.reason


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("pass", "cannot be kept"),
        ("import os; os.mkdir('/out/model'); os.symlink('/etc/passwd', '/out/model/link')", "link"),
        ("import os; os.symlink('/data/line', '/out/model')", "link"),
        ("import os; os.mkdir('/out/model'); os.mkfifo('/out/model/pipe')", "pipe"),
    ],
    ids=["missing", "link inside", "link itself", "pipe"],
)
def test_an_output_that_cannot_be_kept_fails_the_run_and_the_sealed_log_says_why(stage, tmp_path, code, said):
    view = stage.end(stage.order(tmp_path, code, outputs={"model": "/out/model"}))
    assert view.state is RunState.FAILED
    assert not view.outputs
    assert stage.mark not in view.reason
    notes = [text for text in stage.log(view.run) if "'model' (/out/model) cannot be kept" in text]
    assert len(notes) == 1
    assert said in notes[0]


def test_a_job_has_no_network_and_cannot_change_its_data(stage, tmp_path):
    code = """
import os, socket
from pathlib import Path

for act in (
    lambda: socket.create_connection(("192.0.2.1", 80), timeout=2),
    lambda: socket.getaddrinfo("example.org", 80),
    lambda: next(Path("/data/line").iterdir()).write_text(""),
    lambda: Path("/data/line/new").write_text(""),
):
    try:
        act()
        print("WORKED")
    except OSError as error:
        print("refused")
print("interfaces", sorted(name for _, name in socket.if_nameindex()))
"""
    result = stage.order(tmp_path, code).result(120)
    assert [line.text for line in result.log()] == ["refused"] * 4 + ["interfaces ['lo']"]


def test_the_exit_status_of_a_failed_program_is_on_record_and_apply_ends_with_nine(stage, tmp_path):
    job = stage.job(
        tmp_path, "import sys; print('about to fail', flush=True); sys.exit(7)", name=stage.name("fails")
    )
    said = stage.customer.kifabrik("apply", job, "--yes", expect=9)
    assert "about to fail" in said.out
    assert "see its log" in said.err
    run = stage.sdk.session.catalogue().run(stage.name("fails")).run
    assert stage.sdk.session.runs.show(run).attempts[0].exit_status == 7


def test_map_runs_one_job_with_many_variables_and_keeps_their_order(stage, tmp_path):
    job = stage.job(tmp_path, "import os; print('rate', os.environ['RATE'])")
    results = list(stage.sdk.map(job, [{"RATE": "0.1"}, {"RATE": "0.2"}, {"RATE": "0.3"}], timeout=90))
    assert [[line.text for line in result.log()] for result in results] == [
        ["rate 0.1"],
        ["rate 0.2"],
        ["rate 0.3"],
    ]
