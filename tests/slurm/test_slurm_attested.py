"""Attested nodes on a real cluster: each shows its own TPM; who shows none, or another boot, gets no keys."""

import os
import shutil
from contextlib import ExitStack, contextmanager

import pytest
from ceremony import enrol_node, name_tpm
from slurm_stage import three_nodes
from waiting import eventually

from kifabrik.runs.states import Outcome, RunState
from swtpm import needs_swtpm, switched_on

pytestmark = [pytest.mark.timeout(300), needs_swtpm]  # a cluster and two parties start within the first test

PURPOSE = "attested-upkeep"
FEATURE = "tpm"
*WITH, WITHOUT = "n1", "n2", "n3"
"""The one that has no TPM is alone behind its switch, so Slurm takes it first wherever nobody says otherwise."""
CODE = """
import os
from pathlib import Path
print("devices", [name for name in os.listdir("/dev") if "tpm" in name])
tops = "/tmp", "/run", "/var", "/home", "/root", "/srv"
print("sockets", [str(path) for top in tops for path in Path(top).rglob("tpm.sock")])
Path("/out/m").write_text("m")
"""
TALK = """
import os, socket, time
rank, port = int(os.environ["KIFABRIK_NODE_RANK"]), int(os.environ["MASTER_PORT"])
if rank == 0:
    peer, _ = socket.create_server(("", port)).accept()
    open("/out/m", "w").write(peer.makefile().readline())
for _ in range(1200 * rank):
    try:
        socket.create_connection((os.environ["MASTER_ADDR"], port), 5).sendall(b"here\\n")
        break
    except OSError:
        time.sleep(0.1)
"""


@pytest.fixture(scope="module")
def stage():
    """Three nodes; a customer with a sealed dataset, granted for one purpose on any of them."""
    with three_nodes("attested", settings=f'attested = "{FEATURE}"\n') as playing:
        yield playing


@pytest.fixture(scope="module")
def machines(stage, tmp_path_factory):
    """The TPMs by node: each is listed by the tenant, and its boot is accepted."""
    folder = tmp_path_factory.mktemp("tpms")
    has_feature(stage, WITH)
    with ExitStack() as cleanup:
        made = {name: cleanup.enter_context(contextmanager(switched_on)(folder, name)) for name in WITH}
        for name, machine in made.items():
            name_tpm(stage.node_home(name), machine)
            enrol_node(stage, stage.node_home(name), machine, folder / f"ceremony-{name}")
        words = ("--purpose", PURPOSE, "--attested", "--country", "DE", "--passphrase-file", stage.secret)
        stage.customer.kifabrik("dataset", "grant", stage.name("line"), *words)
        yield made


@pytest.fixture
def parts():
    """Every run needs attested nodes, unless it says otherwise."""
    return {"purpose": PURPOSE}


@contextmanager
def only(stage, *names):
    """Let no other node take jobs for a while."""
    others = ",".join(name for name in stage.spec.node_names if name not in names)
    stage.cluster.run("scontrol", "update", f"NodeName={others}", "State=DRAIN", "Reason=not now")
    try:
        yield
    finally:
        stage.cluster.run("scontrol", "update", f"NodeName={others}", "State=RESUME")


def has_feature(stage, names):
    """Say which nodes have the feature, as an operator does."""
    for name in stage.spec.node_names:
        features = f"standard,de,{FEATURE}" if name in names else "standard,de"
        words = (f"NodeName={name}", f"AvailableFeatures={features}", f"ActiveFeatures={features}")
        stage.cluster.run("scontrol", "update", *words)


def nodes_of(stage, run):
    number = str(stage.job_of(run.run))
    return next(nodes for _, _, found, nodes in stage.jobs() if found == number)


def why(stage, run):
    """What the customer is told."""
    return " ".join(stage.customer.kifabrik("why", run.run).out.split())


def proven_nodes(stage, model):
    """What `kifabrik model verify` says of the nodes, on the customer's own machine."""
    shown = stage.customer.kifabrik("model", "verify", stage.name(model), "--json").json()
    return [link["says"] for link in shown["links"] if link["what"].startswith("node ")]


def test_a_run_whose_grant_asks_goes_to_a_node_with_a_tpm_which_quotes_and_anybody_can_verify_it(
    stage, machines, order
):
    run = order(CODE, name=stage.name("attested"), outputs={"model": "/out/m"})
    view = stage.end(run)
    assert view.state is RunState.SUCCEEDED, view.reason
    assert nodes_of(stage, run) in WITH
    assert [said.partition(",")[0] for said in proven_nodes(stage, "attested")] == [
        "tpm2-quote/v1: booted into golden"
    ]
    assert stage.log(run.run) == ["devices []", "sockets []"], "the TPM is the node's, not the run's"


def test_a_run_whose_grant_does_not_ask_goes_anywhere_and_shows_nothing(stage, machines, order):
    run = order("print('here')", purpose="upkeep")
    assert stage.end(run).state is RunState.SUCCEEDED
    assert nodes_of(stage, run) == WITHOUT


def test_all_nodes_of_a_gang_quote_their_own_tpm(stage, machines, order):
    run = order(
        TALK,
        name=stage.name("gang"),
        resources={"cpu": 1, "memory": "300MB", "nodes": 2},
        outputs={"model": "/out/m"},
    )
    view = stage.end(run)
    assert view.state is RunState.SUCCEEDED, view.reason
    said = proven_nodes(stage, "gang")
    assert len(said) == len(WITH)
    assert all("booted into golden" in one for one in said)


def test_a_node_that_booted_otherwise_is_refused_and_the_customer_is_told_the_register(stage, machines, order):
    machines["n1"].extend(16)
    try:
        with only(stage, "n1"):
            run = order(CODE)
            assert stage.end(run).state is RunState.REFUSED
    finally:
        machines["n1"].reboot()
    assert "register 16" in why(stage, run)


def test_a_node_that_slurm_takes_for_an_attested_one_and_has_no_tpm_is_refused(stage, machines, order):
    has_feature(stage, stage.spec.node_names)
    try:
        with only(stage, WITHOUT):
            run = order(CODE)
            assert stage.end(run).state is RunState.REFUSED
    finally:
        has_feature(stage, WITH)
    assert "shows no evidence" in why(stage, run)


def test_a_node_whose_tpm_is_another_ones_is_refused(stage, machines, order):
    """Its agent is told of the other node's TPM, as a cable or a forwarded socket would: the list names its own."""
    settings = stage.node_home("n1") / "node.toml"
    own = settings.read_text()
    settings.write_text(own.replace(machines["n1"].connection, machines["n2"].connection))
    keys = stage.node_home("n1") / "tpm.json", stage.node_home("n2") / "tpm.json"
    own_key = keys[0].read_text()
    shutil.copy(keys[1], keys[0])
    try:
        with only(stage, "n1"):
            run = order(CODE)
            assert stage.end(run).state is RunState.REFUSED
    finally:
        settings.write_text(own)
        keys[0].write_text(own_key)
    assert "another TPM than the one endorsed for this node" in why(stage, run)


def test_a_node_whose_tpm_is_away_is_a_failed_node_and_without_it_the_run_succeeds(stage, machines, order):
    machines["n1"].stop()
    try:
        with only(stage, "n1"):
            run = order(CODE)
            view = stage.end(run)
        assert (view.state, view.attempts[-1].outcome) == (RunState.FAILED, Outcome.NODE_FAILURE)
        assert "The node cannot show what it is" in why(stage, run)
        with only(stage, "n2", WITHOUT):
            run = order(CODE)
            assert stage.end(run).state is RunState.SUCCEEDED
            assert nodes_of(stage, run) == "n2"
    finally:
        machines["n1"].reboot()


def test_where_no_node_has_the_feature_the_run_says_so_and_the_check_names_what_to_write(stage, machines, order):
    has_feature(stage, [])
    try:
        run = order(CODE)
        assert stage.end(run).state is RunState.FAILED
        assert f"It needs attested nodes (feature {FEATURE}), as a grant asks for them." in why(stage, run)
        found = stage.factory.kifabrik("admin", "slurm", "check", "--json", expect=6).json()["findings"]
        (one,) = [one for one in found if one["setting"] == "attested"]
        assert (one["standing"], one["value"]) == ("missing", f"no node has the feature {FEATURE}")
    finally:
        has_feature(stage, WITH)


def test_the_groups_of_a_job_let_its_launcher_open_the_device_of_a_tpm(stage):
    """Slurm denies devices it gives away itself. 10:224 is that of the first TPM."""
    device = stage.cluster.folder / "tpm0"
    os.mknod(device, 0o020600, os.makedev(10, 224))
    look = (
        "import errno, os\n"
        f"try: os.open({str(device)!r}, os.O_RDWR)\n"
        "except OSError as error: print(errno.errorcode[error.errno])\n"
    )
    outside = stage.cluster.run("python3", "-c", look)
    inside = stage.cluster.run("srun", "--quiet", "--mem=50M", "--chdir=/", "python3", "-c", look)
    assert inside == outside != "EPERM\n"
    eventually(lambda: not stage.cluster.run("squeue", "--noheader", "--user=root"))
