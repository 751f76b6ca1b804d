"""Two parties and a node with a TPM: the ceremony, a run that needs it, and nodes that are refused."""

import json

import pytest
from ceremony import enrol_node, name_tpm, without_tpm

from kifabrik.errors import IntegrityError, UsageError
from kifabrik.runs.states import RunState
from swtpm import needs_swtpm, switched_on

pytestmark = [pytest.mark.xdist_group("acceptance"), needs_swtpm]

PURPOSE = "attested-upkeep"


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    yield from switched_on(tmp_path_factory.mktemp("tpm"), "node")


@pytest.fixture(scope="module")
def node(stage, machine):
    """The node's home, with the TPM named in its settings."""
    home = stage.factory.home / "factory" / "node"
    settings = name_tpm(home, machine)
    yield home
    (home / "node.toml").write_text(settings)


@pytest.fixture(scope="module")
def enrolled(stage, node, machine, tmp_path_factory):
    """The node is listed, its boot is accepted, and the dataset is granted for attested nodes only."""
    endorsement = enrol_node(stage, node, machine, tmp_path_factory.mktemp("ceremony"))
    words = ("--purpose", PURPOSE, "--attested", "--country", "DE", "--passphrase-file", stage.secret)
    stage.customer.kifabrik("dataset", "grant", stage.name("line"), *words)
    return endorsement


CODE = "from pathlib import Path; Path('/out/m').write_text('m')"


def run_of(stage, folder, name):
    run = stage.order(folder, CODE, name=stage.name(name), purpose=PURPOSE, outputs={"model": "/out/m"})
    return run, stage.end(run)


def test_a_node_that_booted_as_accepted_gets_keys_and_everybody_can_verify_it(stage, enrolled, tmp_path):
    run, view = run_of(stage, tmp_path, "attested")
    assert view.state is RunState.SUCCEEDED, view.reason
    shown = stage.customer.kifabrik("model", "verify", stage.name("attested"), "--json").json()
    (link,) = [link for link in shown["links"] if link["what"] == "node 1"]
    assert "tpm2-quote/v1: booted into golden" in link["says"]
    entries = stage.customer.kifabrik("ledger", "show", "--json").json()
    (released,) = [one for one in entries if one["kind"] == "lease.released" and one["refs"]["run"] == run.run]
    assert released["refs"]["attested"] == ["tpm2-quote/v1"]
    refused = [one for one in entries if one["kind"] == "lease.refused" and one["refs"]["run"] == run.run]
    assert [one["refs"]["reason"] for one in refused] in ([], ["stale-quote"])
    assert "attestation policy 2" in stage.customer.kifabrik("ledger", "show").out


def test_a_node_in_another_state_or_that_shows_nothing_is_refused_with_the_reason(
    stage, enrolled, node, machine, tmp_path
):
    machine.extend(16)
    _, view = run_of(stage, tmp_path / "wrong", "wrong")
    assert view.state is RunState.REFUSED
    assert "register 16" in view.reason
    machine.reboot()
    with without_tpm(node):
        _, view = run_of(stage, tmp_path / "nothing", "nothing")
    assert view.state is RunState.REFUSED
    assert "shows no evidence" in view.reason


def test_a_node_whose_tpm_is_away_fails_with_a_sentence_and_not_the_run(stage, enrolled, machine, tmp_path):
    machine.stop()
    _, view = run_of(stage, tmp_path, "away")
    machine.reboot()
    assert view.state is RunState.FAILED
    assert "cannot show what it is" in view.reason


def test_a_node_that_is_taken_off_the_list_is_refused_at_once(stage, enrolled, tmp_path):
    unlock = ("--passphrase-file", stage.secret)
    shown = stage.customer.kifabrik("keyholder", "attestation", "show", "--json", *unlock).json()
    name = shown["policy"]["nodes"][0]["name"]
    stage.customer.kifabrik("keyholder", "attestation", "remove-node", name, *unlock)
    _, view = run_of(stage, tmp_path, "removed")
    assert view.state is RunState.REFUSED
    assert "not on the list of endorsed nodes" in view.reason


def test_grants_that_do_not_ask_work_on_any_node(stage, tmp_path):
    run = stage.order(tmp_path, CODE, name=stage.name("plain"), outputs={"model": "/out/m"})
    assert stage.end(run).state is RunState.SUCCEEDED


@pytest.mark.parametrize("file", ["", "{}", '{"payload": 1}', "\0", '{"sha256": {"0": "00"}}', '{"sha1": {}}'])
def test_files_that_are_something_else_are_refused_with_a_sentence(stage, tmp_path, file):
    path = tmp_path / "file"
    path.write_text(file)
    unlock = ("--passphrase-file", stage.secret)
    for words in (
        ("challenge", path, "--out", tmp_path / "c"),
        ("add-node", path, "--answer", path, "--ek", "ab" * 32),
        ("set-pcrs", path, "--name", "x", "--pcr", "0"),
        ("set-guests", path),
    ):
        ran = stage.customer.here("keyholder", "attestation", *words, *unlock)
        assert isinstance(ran.exception, UsageError | IntegrityError), ran.output
        assert ran.exception.message


def test_a_node_without_a_tpm_in_its_settings_is_told_the_setting(stage, tmp_path):
    home = stage.factory.home / "factory" / "node"
    with without_tpm(home):
        words = ("node", "attest", "init", "--home", home, "--out", tmp_path / "e")
        said = stage.factory.kifabrik(*words, expect=2)
    assert "tpm = " in said.err


def test_the_command_says_what_is_accepted(stage, enrolled):
    unlock = ("--passphrase-file", stage.secret)
    said = stage.customer.kifabrik("keyholder", "attestation", "show", *unlock)
    assert "golden" in said.out
    assert json.loads(enrolled.read_text())
