"""Who may use what: purpose, place, code, role, a person's yes, the end of a permission."""

import base64
import json
import threading

import pytest
from two_parties import WAITS

from kifabrik.customer.sdk import connect
from kifabrik.errors import RefusedError
from kifabrik.ledger.entry import EntryKind
from kifabrik.runs.states import RunState
from kifabrik.values import Place
from players import eventually

pytestmark = pytest.mark.xdist_group("acceptance")


@pytest.fixture(scope="module")
def sealed(stage):
    """Seal a small dataset under a name; return the name."""

    def seal(name):
        stage.seal(stage.name(name), {"one.csv": f"{stage.mark},1\n"})
        return stage.name(name)

    return seal


def refused(stage, folder, dataset, **parts):
    """Order a run that must be refused; return why."""
    view = stage.end(stage.order(folder, "print('ran')", data={"/data/line": dataset}, **parts))
    assert view.state is RunState.REFUSED, view.reason
    assert not any("ran" in line for line in stage.log(view.run))
    return view.reason


def succeeds(stage, folder, dataset, code="print('ran')", **parts):
    return stage.order(folder, code, data={"/data/line": dataset}, **parts).result(120)


def test_apply_for_a_purpose_without_grant_ends_with_four_and_names_the_purpose(stage, tmp_path):
    job = stage.job(tmp_path, "print('ran')", name=stage.name("marketing"))
    said = stage.customer.kifabrik("apply", job, "--yes", "--purpose", "marketing", expect=4)
    assert "marketing" in said.err
    assert "ran" not in said.out
    assert f"hint: A steward gives it: kifabrik dataset grant {stage.name('line')} --purpose marketing" in said.err


def test_a_grant_for_another_country_refuses_this_node(stage, sealed, tmp_path):
    dataset = sealed("elsewhere")
    stage.grant(dataset, "upkeep", place=Place("FR"))
    assert "place" in refused(stage, tmp_path, dataset)


def test_a_job_that_must_run_elsewhere_is_not_ordered(stage, tmp_path):
    job = stage.job(tmp_path, "print('ran')", place={"country": "FR"})
    said = stage.customer.kifabrik("apply", job, "--yes", expect=8)
    assert "cannot run here" in said.err
    assert "FR" in said.err


def test_a_grant_for_one_code_refuses_any_other(stage, sealed, tmp_path):
    dataset = sealed("audited")
    job = stage.job(tmp_path, "print('ran')", data={"/data/line": dataset})
    words = ("--purpose", "upkeep", "--only-code", job, "--passphrase-file", stage.secret, "--json")
    stage.customer.kifabrik("dataset", "grant", dataset, *words)
    stage.sdk.submit(job).result(120)
    with (tmp_path / "job.py").open("a") as program:
        program.write("\nprint(open('/data/line/one.csv').read())\n")
    assert "other code" in stage.end(stage.sdk.submit(job)).reason


def test_a_revoked_grant_is_over_at_once(stage, sealed, tmp_path):
    dataset = sealed("lent")
    given = stage.grant(dataset, "upkeep")
    succeeds(stage, tmp_path, dataset)
    words = ("--passphrase-file", stage.secret, "--json")
    assert stage.customer.kifabrik("dataset", "revoke", given.grant, *words).json()["delivered"]
    assert "revoked" in refused(stage, tmp_path, dataset)


def test_a_limit_of_one_run_per_day_refuses_the_second(stage, sealed, tmp_path):
    dataset = sealed("limited")
    stage.grant(dataset, "upkeep", runs_per_day=1)
    succeeds(stage, tmp_path, dataset)
    assert "limit" in refused(stage, tmp_path, dataset)


@pytest.mark.parametrize("asked_by", ["grant", "order"])
def test_a_run_that_must_be_asked_for_waits_for_a_persons_yes(stage, sealed, tmp_path, asked_by):
    dataset = sealed(f"asked-by-{asked_by}")
    stage.grant(dataset, "upkeep", ask=asked_by == "grant")
    future = stage.order(tmp_path, "print('ran')", data={"/data/line": dataset}, ask=asked_by == "order")
    words = ("--key-file", stage.customer.home / "keyholder.key", "--json")

    def asked():
        return [one["run"] for one in stage.customer.kifabrik("keyholder", "asked", *words).json()]

    eventually(lambda: future.run in asked())
    assert not future.done()
    stage.customer.kifabrik("keyholder", "approve", future.run, *words)
    assert [line.text for line in future.result(120).log()] == ["ran"]


def test_a_persons_no_refuses_the_run(stage, sealed, tmp_path):
    dataset = sealed("denied")
    stage.grant(dataset, "upkeep", ask=True)
    future = stage.order(tmp_path, "print('ran')", data={"/data/line": dataset})
    view = stage.wait_until(future.run, lambda view: "person" in view.reason, "waiting for a person")
    assert view.state is RunState.WAITING_FOR_KEY
    stage.customer.kifabrik(
        "keyholder", "deny", future.run, "--key-file", stage.customer.home / "keyholder.key", "--json"
    )
    assert stage.end(future).state is RunState.REFUSED


def test_an_engineer_orders_and_an_auditor_only_looks(stage, trained, tmp_path):
    engineer = stage.member("engineer", "Emil")
    auditor = stage.member("auditor", "Olga")
    job = stage.job(tmp_path, "print('ran')", name=stage.name("of-emil"))
    assert "ran" in engineer.kifabrik("apply", job, "--yes").out
    assert "an auditor looks and cannot order runs" in auditor.kifabrik("apply", job, "--yes", expect=4).err
    said = auditor.kifabrik("dataset", "seal", stage.name("by-olga"), tmp_path, expect=4).err
    assert "an auditor looks and cannot seal datasets" in said
    assert auditor.kifabrik("ledger", "show", "--json").json()
    assert auditor.kifabrik("ledger", "verify", "--json").json()["ok"]
    with connect(auditor.home) as factory, pytest.raises(RefusedError):
        factory.session.runs.stop(stage.sdk.session.catalogue().run(stage.name("of-emil")).run)
    pull = ("model", "pull", stage.name("slope"), "--to")
    auditor.kifabrik(*pull, tmp_path / "by-the-auditor", expect=4)
    engineer.kifabrik(*pull, tmp_path / "of-a-colleague", expect=4)
    assert not (tmp_path / "by-the-auditor").exists()
    assert not (tmp_path / "of-a-colleague").exists()


def test_a_removed_member_is_out(stage, tmp_path):
    gone = stage.member("engineer", "Gerd")
    job = stage.job(tmp_path, "print('ran')")
    gone.kifabrik("apply", job, "--yes", "--dry-run")
    stage.customer.kifabrik("tenant", "remove", "Gerd", "--passphrase-file", stage.secret, "--json")
    gone.kifabrik("apply", job, "--yes", "--dry-run", expect=4)


def test_an_erased_dataset_is_refused_ever_after_and_its_certificate_names_what_was_made(stage, sealed, tmp_path):
    dataset = sealed("erased")
    stage.grant(dataset, "upkeep")
    code = "import os; os.mkdir('/out/model'); open('/out/model/m', 'w').write('m')"
    result = succeeds(stage, tmp_path, dataset, code, outputs={"model": "/out/model"})
    # At once: the keyholder looks at the log before it certifies, although it would have heard of the end later.
    words = ("--yes", "--passphrase-file", stage.secret, "--out", tmp_path / "certificate.json")
    said = stage.customer.kifabrik("dataset", "erase", dataset, *words)
    assert "certifies" in said.err
    assert "made from it" in said.out
    assert "released before" in said.out
    certificate = (tmp_path / "certificate.json").read_text()
    assert stage.mark not in certificate
    job = stage.job(tmp_path, "print('ran')", data={"/data/line": dataset})
    assert "erased" in stage.customer.kifabrik("apply", job, "--yes", expect=3).err
    result.pull("model", tmp_path / "kept")
    kinds = [entry.kind for entry in stage.sdk.session.catalogue().entries]
    assert kinds.index("erasure.decided") < kinds.index("dataset.erased")
    stage.customer.kifabrik("ledger", "show")
    words = ("dataset", "certificate", tmp_path / "certificate.json")
    page = tmp_path / "bescheinigung.html"
    checked = stage.customer.kifabrik(*words, "--json", "--out", page, "--language", "de").json()
    assert (checked["signature_checked"], checked["cosigned"]) == (True, True)
    assert dataset in page.read_text()
    stage.customer.kifabrik("ledger", "export", tmp_path / "exported")
    nobody = ("--folder", tmp_path / "exported", "--home", tmp_path / "nobody")
    assert stage.customer.kifabrik(*words, *nobody, "--json").json()["entry"] == checked["entry"]
    body = json.loads(certificate)
    earlier = base64.b64decode(body["payload"]).replace(b'"destroyed":"20', b'"destroyed":"19')
    body["payload"] = base64.b64encode(earlier).decode()
    (tmp_path / "made-up.json").write_text(json.dumps(body))
    made_up = ("dataset", "certificate", tmp_path / "made-up.json")
    assert "signed" in stage.customer.kifabrik(*made_up, expect=6).err
    assert "does not name this certificate" in stage.customer.kifabrik(*made_up, *nobody, expect=6).err


def test_a_run_that_had_the_key_goes_on_and_a_further_certificate_names_what_it_made(stage, sealed, tmp_path):
    """Also where the keyholder was dead when the run ended."""
    dataset = sealed("going-on")
    stage.grant(dataset, "upkeep")
    code = WAITS + "import os; os.mkdir('/out/model'); open('/out/model/m', 'w').write('m')"
    future = stage.order(tmp_path, code, data={"/data/line": dataset}, outputs={"model": "/out/model"})
    stage.wait_until(future.run, lambda view: view.state is RunState.RUNNING, "running")
    first, newest = tmp_path / "first.json", tmp_path / "newest.json"
    words = ("--derived", "--yes", "--passphrase-file", stage.secret, "--out", first)
    said = stage.customer.kifabrik("dataset", "erase", dataset, *words)
    assert f"Not complete yet: {future.run} had its keys before" in said.err
    assert "goes on" in said.out
    kept = stage.sdk.session.catalogue().datasets()
    (erased,) = [one.dataset for one in kept if one.name == dataset]
    assert stage.sdk.session.datasets.erasure(erased).state == "pending-runs"
    with stage.without_keyholder():
        stage.let_go(stage.launcher_of(future.run))
        assert stage.end(future).state is RunState.SUCCEEDED
    fetch = ("dataset", "certificate", "--of", dataset, "--save", newest, "--json")

    def complete():
        found = stage.customer.kifabrik(*fetch).json()
        return found if found["certificate"]["complete"] else None

    said = eventually(complete)
    assert [(one["owner"], one["erased"]) for one in said["certificate"]["derived"]] == [(f"{future.run}/1", True)]
    assert said["certificate"]["runs"] == [{"run": future.run, "ended": True, "erased": True}]
    assert said["later"] is None
    eventually(lambda: stage.sdk.session.datasets.erasure(erased).state == "done")
    before = stage.customer.kifabrik("dataset", "certificate", first)
    assert "it is not the newest" in before.err
    assert all(one.erased for one in stage.sdk.session.datasets.versions() if one.owner == f"{future.run}/1")
    stage.customer.kifabrik("ledger", "verify")


def dataset_erased(stage, name):
    """Whether a certificate about a dataset stands in the log."""
    catalogue = stage.sdk.session.catalogue()
    (dataset,) = [one.dataset for one in catalogue.datasets() if one.name == name]
    return any(one.kind is EntryKind.DATASET_ERASED and one.refs["dataset"] == dataset for one in catalogue.entries)


def test_an_erasure_waits_for_the_end_of_runs_where_it_is_told_to(stage, sealed, tmp_path):
    dataset = sealed("waited-for")
    stage.grant(dataset, "upkeep")
    code = WAITS + "import os; os.mkdir('/out/model'); open('/out/model/m', 'w').write('m')"
    future = stage.order(tmp_path, code, data={"/data/line": dataset}, outputs={"model": "/out/model"})
    stage.wait_until(future.run, lambda view: view.state is RunState.RUNNING, "running")
    launcher, said = stage.launcher_of(future.run), []
    words = ("--wait", "--yes", "--json", "--passphrase-file", stage.secret)
    waiting = threading.Thread(
        target=lambda: said.append(stage.customer.kifabrik("dataset", "erase", dataset, *words))
    )
    waiting.start()
    eventually(lambda: dataset_erased(stage, dataset))
    assert not said
    stage.let_go(launcher)
    waiting.join()
    body = said[0].json()
    assert (body["complete"], body["waits_for"]) == (True, [])
    assert future.run.encode() in base64.b64decode(json.loads(body["certificate"])["payload"])


def test_many_threads_of_one_script_share_a_session(stage):
    found, threads = [], []
    for _ in range(4):
        threads.append(threading.Thread(target=lambda: found.append(len(stage.sdk.session.catalogue().entries))))
        threads[-1].start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert min(found) > 0
