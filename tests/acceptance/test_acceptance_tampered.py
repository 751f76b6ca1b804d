"""The operator changes what lies in its own store, behind the service's back: nothing wrong is ever computed on.

All runs are ordered at once, each on a dataset of its own; one of them is left alone and succeeds.
"""

import base64
import json
from contextlib import ExitStack

import pytest
from behind_the_service import Sealed, exchange, flip, objects

from kifabrik.datasets.manifest import Manifest
from kifabrik.errors import IntegrityError
from kifabrik.runs.states import Outcome, RunState
from kifabrik.seals.identities import Identity
from kifabrik.seals.sealing import make_header, new_file_key
from kifabrik.signatures.statements import read_unverified

pytestmark = pytest.mark.xdist_group("acceptance")

READS = "from pathlib import Path\nprint('computed on', Path('/data/line/one.csv').read_text())\n"


@pytest.fixture
def undo():
    with ExitStack() as stack:
        yield stack


def bit_flipped(sealed):
    sealed.change(sealed.second.shards[0].sha256, flip)


def truncated(sealed):
    sealed.change(sealed.second.shards[0].sha256, lambda data: data[:-1])


def appended_to(sealed):
    sealed.change(sealed.second.shards[0].sha256, lambda data: data + b"\0")


def swapped_with_the_version_before(sealed):
    """Both are whole, sealed by the same member to the same recipient, and of the same length."""
    old, new = (sealed.path(version.shards[0].sha256) for version in (sealed.first, sealed.second))
    assert old.stat().st_size == new.stat().st_size
    sealed.change(sealed.second.shards[0].sha256, lambda _data: old.read_bytes())
    assert new.read_bytes() == old.read_bytes()


def list_of_files_of_the_version_before(sealed):
    old = sealed.path(sealed.first.sealed_manifest.sha256).read_bytes()
    sealed.change(sealed.second.sealed_manifest.sha256, lambda _data: old)


def headers_of_the_version_before(sealed):
    old = sealed.path(sealed.first.headers).read_bytes()
    sealed.change(sealed.second.headers, lambda _data: old)


def recipient_added(sealed):
    """A second stanza in the first header: the operator's own identity could then open the file key."""
    stanza = make_header(new_file_key(), [Identity.generate().recipient]).split(b"\n---")[0].split(b"\n", 1)[1]
    sealed.change(sealed.second.headers, lambda data: data.replace(b"\n---", b"\n" + stanza + b"\n---", 1))


def shard_deleted(sealed):
    sealed.delete(sealed.second.shards[0].sha256)


TAMPERED = [
    bit_flipped,
    truncated,
    appended_to,
    swapped_with_the_version_before,
    list_of_files_of_the_version_before,
    headers_of_the_version_before,
    recipient_added,
    shard_deleted,
]


def left_alone(_sealed):
    """The positive control."""


@pytest.fixture(scope="module")
def ended(stage, tmp_path_factory):
    """How the runs ended, by what was done to their data."""
    names = {attack: stage.name(attack.__name__.replace("_", "-")) for attack in (*TAMPERED, left_alone)}
    sealed, futures, undo = {}, {}, ExitStack()
    for attack, name in names.items():
        versions = [stage.seal(name, {"one.csv": f"{stage.mark} version {number}\n"}) for number in (1, 2)]
        said = [stage.sdk.session.datasets.statement(one.manifest) for one in versions]
        manifests = [read_unverified(one, Manifest)[0] for one in said]
        sealed[attack] = Sealed(objects(stage), undo, *manifests)
    with stage.steward() as steward:
        for one in sealed.values():
            steward.grant(one.first.owner, "upkeep")
    for attack, name in names.items():
        attack(sealed[attack])
        folder = tmp_path_factory.mktemp(attack.__name__)
        futures[attack] = stage.order(folder, READS, data={"/data/line": name}, retry={"attempts": 1})
    views = {attack: stage.end(future) for attack, future in futures.items()}
    undo.close()
    return views


@pytest.mark.parametrize("attack", TAMPERED, ids=lambda attack: attack.__name__)
def test_nothing_is_computed_on_data_that_was_changed_in_the_store(stage, ended, attack):
    view = ended[attack]
    assert view.state in {RunState.FAILED, RunState.REFUSED}
    assert view.attempts[-1].outcome in {Outcome.INTEGRITY, Outcome.REFUSED, Outcome.NODE_FAILURE}
    assert view.reason
    assert "computed" not in " ".join(stage.log(view.run))
    told = stage.customer.kifabrik("why", view.run).out
    assert "Traceback" not in told


@pytest.mark.parametrize("attack", [bit_flipped, truncated, appended_to], ids=lambda attack: attack.__name__)
def test_the_log_of_the_run_says_what_did_not_verify(stage, ended, attack):
    view = ended[attack]
    assert "did not verify" in view.reason
    assert any("was changed" in line or "is not" in line or "damaged" in line for line in stage.log(view.run))


def test_what_was_left_alone_is_computed_on(stage, ended):
    view = ended[left_alone]
    assert view.state is RunState.SUCCEEDED, view.reason
    assert any(line.startswith(f"computed on {stage.mark} version 2") for line in stage.log(view.run))


def test_code_that_was_changed_in_the_store_never_runs(stage, tmp_path, undo):
    with stage.without_keyholder():
        future = stage.order(tmp_path, "print('ran')")
        said = stage.sdk.session.datasets.statement(stage.sdk.session.runs.evidence(future.run).code)
        code = read_unverified(said, Manifest)[0]
        Sealed(objects(stage), undo, code, code).change(code.shards[0].sha256, flip)
    view = stage.end(future)
    assert view.state is RunState.FAILED
    assert view.attempts[-1].outcome is Outcome.INTEGRITY
    assert "ran" not in stage.log(view.run)


def test_a_result_that_was_changed_in_the_store_is_not_opened(stage, tmp_path, undo):
    code = "import os; os.mkdir('/out/model'); open('/out/model/weights', 'w').write('w' * 1000)"
    result = stage.order(tmp_path, code, outputs={"model": "/out/model"}).result(120)
    (digest,) = stage.sdk.session.runs.evidence(result.run).manifests
    manifest = read_unverified(stage.sdk.session.datasets.statement(digest), Manifest)[0]
    Sealed(objects(stage), undo, manifest, manifest).change(manifest.shards[0].sha256, flip)
    with pytest.raises(IntegrityError):
        result.pull("model", tmp_path / "pulled")
    left = [path for path in (tmp_path / "pulled").rglob("*") if path.is_file()]
    assert left == [], "unverified bytes of the result were left behind"
    undo.close()
    result.pull("model", tmp_path / "again")
    assert (tmp_path / "again" / "weights").read_text() == "w" * 1000


def test_a_signature_the_operator_exchanges_in_its_database_is_not_believed(stage, trained, undo):
    name = stage.name("slope")
    run = stage.sdk.session.catalogue().run(name).run
    order = stage.sdk.session.datasets.statement(stage.sdk.session.runs.evidence(run).order)
    (signature,) = json.loads(order.to_json())["signatures"]
    exchange(stage, order.digest, signature["sig"], base64.b64encode(bytes(64)).decode(), undo)
    assert "signature" in stage.customer.kifabrik("model", "verify", name, expect=6).err
    undo.close()
    stage.customer.kifabrik("model", "verify", name)


def environments(stage):
    """The trees of all environments in the node's cache of the tenant."""
    cache = stage.factory.home / "factory" / "node" / "environments" / stage.sdk.session.tenant
    return [path for path in cache.glob("*/tree") if path.is_dir()]


def plant(stage, undo):
    """Put a module into every cached environment that Python imports at its start."""
    for tree in environments(stage):
        for packages in tree.glob("lib/python*/site-packages"):
            path = packages / "sitecustomize.py"
            path.write_text("print('substituted')\n")
            undo.callback(path.unlink)


def test_an_environment_exchanged_between_check_and_start_never_runs(stage, tmp_path, undo):
    """The launcher has checked it and waits for its key, which a person may give hours later."""
    with stage.without_keyholder():
        future = stage.order(tmp_path, "print('ran')")
        stage.wait_until(future.run, lambda view: view.state is RunState.WAITING_FOR_KEY, "waiting for its key")
        assert environments(stage)
        plant(stage, undo)
    view = stage.end(future)
    assert (view.state, view.attempts[-1].outcome) == (RunState.FAILED, Outcome.INTEGRITY)
    said = stage.log(view.run)
    assert any("environment was changed on the node" in line for line in said)
    assert not {"ran", "substituted"} & set(said)


def test_nothing_is_kept_of_a_job_whose_environment_was_exchanged_while_it_ran(stage, tmp_path, undo):
    code = """
import json, os, subprocess, sys, time
from pathlib import Path

print("begun", flush=True)
while not Path("/env/lib").exists() or "substituted" not in subprocess.run(
    [sys.executable, "-c", ""], capture_output=True, text=True
).stdout:
    time.sleep(0.1)
print("computed with it", flush=True)
os.mkdir("/out/model")
Path("/out/model/m").write_text("wrong")
with open(os.environ["KIFABRIK_METRICS"], "a") as file:
    print(json.dumps({"name": "auc", "value": 0.99}), file=file)
"""
    future = stage.order(tmp_path, code, outputs={"model": "/out/model"}, publish=["auc"])
    stage.wait_for_line(future.run, "begun")
    plant(stage, undo)
    view = stage.end(future)
    assert "computed with it" in stage.log(view.run), "the attack itself did not work"
    assert (view.state, view.attempts[-1].outcome) == (RunState.FAILED, Outcome.INTEGRITY)
    assert stage.sdk.session.runs.evidence(view.run).manifests == []
    assert not view.published


def test_an_environment_exchanged_before_the_check_is_built_anew(stage, tmp_path, undo):
    stage.order(tmp_path, "print('it is built now')").result(120)
    assert environments(stage)
    plant(stage, undo)
    undo.pop_all()
    result = stage.order(tmp_path, "print('ran')").result(120)
    assert [line.text for line in result.log()] == ["ran"]
