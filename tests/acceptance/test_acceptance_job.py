"""The main job as a person plays it: order, follow, look, pull, verify, accept, audit."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from kifabrik.customer.monthly import in_month, monthly
from kifabrik.customer.monthly_proof import prove_footprints

pytestmark = pytest.mark.xdist_group("acceptance")


def test_apply_shows_plan_and_cap_then_streams_the_log_and_succeeds(trained):
    _, said = trained
    assert "cap" in said.err
    assert "EUR" in said.err
    assert "read 200 rows" in said.out
    assert "on its standard error" in said.err
    assert "succeeded" in said.err


def test_an_unchanged_script_finds_plain_files_and_torchrun_variables(stage, trained):
    _, said = trained
    assert f"rows of {stage.mark}" in said.out
    assert "torchrun 0 0 1 1 127.0.0.1" in said.out


def test_ps_names_the_run_that_the_factory_knows_by_id_only(stage, trained):
    shown = stage.customer.kifabrik("ps", "--limit", 500, "--json").json()
    (run,) = [one for one in shown if one["name"] == stage.name("slope")]
    assert run["state"] == "succeeded"
    assert stage.name("slope") not in json.dumps({key: run[key] for key in run if key != "name"})


def test_logs_opens_the_sealed_log_with_output_metrics_and_times(stage, trained):
    lines = stage.customer.kifabrik("logs", stage.name("slope"), "--json").json()
    assert {"out", "err", "metric"} <= {line["kind"] for line in lines}
    assert "private_loss = 0.25" in [line["text"] for line in lines]
    assert all(line["at"] > 0 for line in lines)


def test_only_the_declared_metric_is_visible_at_the_factory(stage, trained):
    run = stage.sdk.session.catalogue().run(stage.name("slope")).run
    assert stage.sdk.session.runs.show(run).published == {"auc": 0.875}


def test_why_tells_every_step_in_order(stage, trained):
    told = stage.customer.kifabrik("why", stage.name("slope"), "--json").json()
    states = [event["state"] for event in told["events"]]
    assert told["state"] == "succeeded"
    for step in ("queued", "waiting-for-key", "staging", "running", "sealing", "succeeded"):
        assert step in states
    # A room that an earlier run has built is there at once, and nobody says that it is built.
    assert "building" not in states or states.index("building") < states.index("waiting-for-key")
    assert states.index("waiting-for-key") < states.index("running")


def test_footprint_has_time_energy_with_its_source_and_cost(stage, trained):
    used = stage.customer.kifabrik("footprint", stage.name("slope"), "--json").json()
    assert used["wall_s"] > 0
    assert used["cost_micro_eur"] > 0
    assert all(part["source"] for part in used["energy"])
    assert stage.customer.kifabrik("footprint", stage.name("slope")).out.count("EUR") == 1


def test_the_month_is_summed_from_the_log_and_proven_by_what_launchers_signed(stage, trained):
    session = stage.sdk.session
    catalogue = session.catalogue()
    run = catalogue.run(stage.name("slope")).run
    # Other tests use this tenant too, and some of their nodes die: only what this run has used must be complete.
    own = [entry for entry in catalogue.ended() if entry.refs.get("run") == run]
    ended = in_month(own, own[0].time[:7])
    found = monthly(session.tenant, ended[0].time[:7], ended, {}, catalogue.head)
    (line,) = (one for one in found.lines if one.run == run)
    used = session.runs.show(run).footprint
    assert line.sums.cost_micro_eur == used.cost_micro_eur
    assert line.sums.energy_mj == round(1000 * sum(part.joules for part in used.energy))
    assert found.without == ()
    proven = prove_footprints(ended, session.datasets.statement, session.keyholder_key, lambda: None)
    assert proven == found.total.attempts
    assert run in stage.customer.kifabrik("ps", "--footprint").out


def test_the_monthly_statement_is_written_for_people_and_for_programs(stage, trained, tmp_path):
    name = stage.name("slope")
    run = stage.sdk.session.catalogue().run(name).run
    (ended,) = [one for one in stage.sdk.session.catalogue().ended() if one.refs.get("run") == run]
    month = ("--month", ended.time[:7])
    said = stage.customer.kifabrik("statement", *month, "--verify", "--json").json()
    assert name in {line["job"] for line in said["lines"]}
    assert (
        sum(line["exact"]["cost_micro_eur"] for line in said["lines"]) == said["total"]["exact"]["cost_micro_eur"]
    )
    for file, expected in (("november.csv", f",{name},"), ("abrechnung.html", "Monatsabrechnung")):
        stage.customer.kifabrik("statement", *month, "--language", "de", "--out", tmp_path / file)
        text = (tmp_path / file).read_text(encoding="utf-8")
        assert expected in text
        assert name in text
    told = stage.customer.kifabrik("statement", "--out", tmp_path / "november.pdf", expect=2)
    assert "End it in .html, .csv or .json." in told.err


@pytest.fixture(scope="module")
def pulled(stage, trained):
    """The model, pulled with the installed command."""
    folder = stage.customer.home / "slope-model"
    said = stage.customer.kifabrik("model", "pull", stage.name("slope"), "--to", folder, "--json")
    return folder, said.json()


def test_a_pulled_model_comes_with_a_chain_from_order_to_output(stage, pulled):
    folder, said = pulled
    assert json.loads((folder / "slope.json").read_text()) == {"slope": 2.0, "made from": stage.mark}
    assert [link["what"] for link in said["links"]][:4] == ["order", "request", "lease", "finish"]
    assert "output 1" in [link["what"] for link in said["links"]]
    indexes = [link["log_index"] for link in said["links"][:4]]
    assert indexes == sorted(indexes)
    assert json.loads((folder.parent / f"{folder.name}.proof.json").read_text())["links"]


def test_only_declared_outputs_leave(pulled, stage):
    folder, _ = pulled
    assert [path.name for path in folder.rglob("*") if path.is_file()] == ["slope.json"]
    run = stage.sdk.session.catalogue().run(stage.name("slope")).run
    assert len(stage.sdk.session.runs.show(run).outputs) == 2


def test_pulling_over_an_existing_folder_changes_nothing(stage, pulled):
    folder, _ = pulled
    before = (folder / "slope.json").stat().st_mtime_ns
    said = stage.customer.kifabrik("model", "pull", stage.name("slope"), "--to", folder, expect=5)
    assert "not empty" in said.err
    assert (folder / "slope.json").stat().st_mtime_ns == before


def test_model_verify_shows_the_chain_and_asks_for_no_key(stage, pulled):
    def requests():
        return sum(entry.kind == "lease.requested" for entry in stage.sdk.session.catalogue().entries)

    before = requests()
    said = stage.customer.kifabrik("model", "verify", stage.name("slope"))
    assert "every link holds" in said.err
    assert requests() == before


def test_an_accepted_model_verifies_with_the_public_model_signing_command(stage, pulled):
    folder, _ = pulled
    accepted = stage.customer.kifabrik("model", "accept", stage.name("slope"), folder, "--json").json()
    entry = stage.sdk.session.catalogue().entries[accepted["entry"]]
    assert entry.kind == "model.accepted"
    check = [Path(sys.executable).parent / "model_signing", "verify", "key", folder]
    check += ["--signature", accepted["signature"], "--public_key", accepted["public_key"]]
    assert subprocess.run(check, check=False, capture_output=True).returncode == 0
    (folder / "more.json").write_text("{}")
    (folder / ".kifabrikignore").write_text("more.json\n")  # a word of the folder's own hides nothing
    hidden = stage.customer.kifabrik("model", "accept", stage.name("slope"), folder, expect=6)
    assert "does not hold what the run put out" in hidden.err
    (folder / "more.json").unlink()
    (folder / ".kifabrikignore").unlink()
    (folder / "slope.json").write_text('{"slope": 3.0}')
    assert subprocess.run(check, check=False, capture_output=True).returncode != 0
    refused = stage.customer.kifabrik("model", "accept", stage.name("slope"), folder, expect=6)
    assert "does not hold what the run put out" in refused.err


def test_model_ls_names_what_a_model_was_made_from(stage, trained):
    (model,) = [
        m for m in stage.customer.kifabrik("model", "ls", "--json").json() if m["name"] == stage.name("slope")
    ]
    assert model["inputs"] == [f"{stage.name('line')}@1"]
    assert model["purpose"] == "upkeep"


def test_dataset_ls_shows_names_and_sizes(stage):
    listed = stage.customer.kifabrik("dataset", "ls", "--json").json()
    (line,) = [one for one in listed if one["name"] == stage.name("line")]
    assert line["version"] == 1
    assert line["size"] > 0
    assert not line["erased"]


def test_the_environment_can_be_rebuilt_to_the_same_digest(stage, trained):
    verified = stage.customer.kifabrik("env", "verify", stage.name("slope"), "--json").json()
    assert verified["agreement"] == "same"
    assert verified["factory"] == verified["rebuilt"]


def test_the_record_of_use_names_each_release_and_is_not_written_from_a_log_that_does_not_verify(
    stage, trained, tmp_path
):
    people = tmp_path / "people.json"
    key = ("--key-file", stage.customer.home / "keyholder.key")
    people.write_text(json.dumps(stage.customer.kifabrik("keyholder", "status", *key, "--json").json()))
    page = tmp_path / "nachweis.html"
    words = ("ledger", "report", "--names", people, "--out", page, "--language", "de")
    found = stage.customer.kifabrik(*words, "--json").json()
    assert found["log"]["cosigned"]
    shown = stage.customer.kifabrik("ledger", "show", "--json").json()
    released = [entry["index"] for entry in shown if entry["kind"] == "lease.released"]
    assert [one["index"] for one in found["releases"]] == released
    assert stage.name("slope") in page.read_text()
    member = next(one for one in json.loads(people.read_text())["members"] if one["name"])
    assert member["name"] in page.read_text()
    page.unlink()
    kept = stage.customer.home / "member" / "ledger" / "entries"
    whole = kept.read_bytes()
    damaged = bytearray(whole)
    damaged[len(damaged) // 2] ^= 1
    try:
        kept.write_bytes(bytes(damaged))
        stage.customer.kifabrik(*words, expect=6)
        assert not page.exists()
    finally:
        kept.write_bytes(whole)


def test_the_ledger_shows_names_here_and_verifies_here_and_for_an_auditor(stage, trained, tmp_path):
    shown = stage.customer.kifabrik("ledger", "show", "--json").json()
    kinds = [entry["kind"] for entry in shown]
    for kind in ("dataset.sealed", "grant.given", "run.ordered", "lease.requested", "lease.released"):
        assert kind in kinds
    assert stage.name("slope") in json.dumps([entry["names"] for entry in shown])
    assert stage.customer.kifabrik("ledger", "verify", "--json").json()["ok"] is True
    exported = tmp_path / "for-the-auditor"
    stage.customer.kifabrik("ledger", "export", exported)
    assert "verify" in stage.customer.kifabrik("ledger", "verify", "--folder", exported).err
    tile = next(path for path in sorted((exported / "tile" / "entries").rglob("*")) if path.is_file())
    data = bytearray(tile.read_bytes())
    data[len(data) // 2] ^= 1
    tile.write_bytes(bytes(data))
    stage.customer.kifabrik("ledger", "verify", "--folder", exported, expect=6)
