"""What goes wrong is said in one sentence, with a hint and the exit status of its class; never a traceback."""

import json

import pytest
from two_parties import Party

pytestmark = pytest.mark.xdist_group("acceptance")


def error(party, *words, status):
    """The error of a command that must fail, in words; with --json it is one document on stdout."""
    said = party.kifabrik(*words, expect=status)
    lines = said.err.splitlines()
    (line,) = [line for line in lines if line.startswith("error: ")]
    assert said.out == ""
    hints = [line for line in lines if line.startswith("hint: ")]
    assert hints, f"nothing says what to do: {said.err}"
    return "\n".join([line, *hints])


def test_an_unknown_dataset_is_named_and_the_command_that_lists_them(stage, tmp_path):
    job = stage.job(tmp_path, "pass", data={"/data/line": "no-such-line"})
    said = error(stage.customer, "apply", job, "--yes", status=3)
    assert "no-such-line" in said
    assert "kifabrik dataset ls" in said


def test_json_errors_are_one_document_with_code_message_and_hint(stage):
    said = stage.customer.kifabrik("why", "r-none", "--json", expect=3)
    assert json.loads(said.out)["error"].keys() == {"code", "message", "hint"}
    assert said.err == ""


def test_an_unknown_key_of_a_job_file_gets_a_suggestion(stage, tmp_path):
    job = stage.job(tmp_path, "pass", max_durations="2h")
    said = error(stage.customer, "apply", job, "--yes", status=2)
    assert "max_durations" in said
    assert "'max_duration'" in said


def test_a_job_file_that_is_not_yaml_names_the_line(stage, tmp_path):
    job = tmp_path / "job.yaml"
    job.write_text("name: a\npurpose: [b\n")
    assert "line 3" in error(stage.customer, "apply", job, status=2)


def test_impossible_resources_say_what_there_is(stage, tmp_path):
    job = stage.job(tmp_path, "pass", resources={"cpu": 4000, "memory": "300MB"})
    assert "cannot run here" in error(stage.customer, "apply", job, "--yes", status=8)


def test_a_wrong_passphrase_is_refused(stage, tmp_path):
    wrong = tmp_path / "wrong.txt"
    wrong.write_text("Isar-Surfer-2026\n")
    words = ("dataset", "grant", stage.name("line"), "--purpose", "x", "--passphrase-file", wrong)
    assert "passphrase" in error(stage.customer, *words, status=4)


def test_a_machine_that_is_not_enrolled_is_told_how(tmp_path):
    assert "kifabrik login" in error(Party(tmp_path), "ps", status=4)


def test_a_second_login_changes_nothing(stage, tmp_path):
    invitation = tmp_path / "invitation.json"
    words = ("--role", "engineer", "--name", "Zweiter", "--out", invitation)
    stage.customer.kifabrik("tenant", "invite", *words, "--passphrase-file", stage.secret)
    before = (stage.customer.home / "member" / "profile.json").read_bytes()
    assert "enrolled already" in error(stage.customer, "login", invitation, status=5)
    assert (stage.customer.home / "member" / "profile.json").read_bytes() == before


def test_an_invitation_works_once(stage, tmp_path):
    invitation = tmp_path / "invitation.json"
    words = ("--role", "engineer", "--name", "Dritter", "--out", invitation)
    stage.customer.kifabrik("tenant", "invite", *words, "--passphrase-file", stage.secret)
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    Party(tmp_path / "first").kifabrik("login", invitation)
    assert "used already" in error(Party(tmp_path / "second"), "login", invitation, status=5)


def test_an_unreachable_factory_is_named_by_its_address(stage, tmp_path):
    profile = json.loads((stage.customer.home / "member" / "profile.json").read_text())
    (tmp_path / "member").mkdir()
    profile["factory"] = "http://127.0.0.1:9"
    (tmp_path / "member" / "profile.json").write_text(json.dumps(profile))
    assert "http://127.0.0.1:9" in error(Party(tmp_path), "ps", status=7)


def test_a_misspelt_command_gets_a_suggestion(stage):
    said = stage.customer.kifabrik("modle", expect=2)
    assert "Did you mean 'model'?" in said.err


def test_doctor_finds_nothing_wrong_with_a_working_member(stage):
    findings = stage.customer.kifabrik("doctor", "--node", "--json").json()
    assert {finding["verdict"] for finding in findings} <= {"good", "notice"}
