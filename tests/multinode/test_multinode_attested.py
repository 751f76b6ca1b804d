"""Three nodes for a grant that asks for attested ones: each shows its own TPM; one that does not spoils it."""

from contextlib import ExitStack, contextmanager

import pytest
from ceremony import enrol_node, name_tpm, without_tpm
from test_multinode_runs import TALK, order

from kifabrik.runs.states import RunState
from swtpm import needs_swtpm, switched_on

pytestmark = [pytest.mark.xdist_group("multinode"), pytest.mark.timeout(300), needs_swtpm]

PURPOSE = "attested-upkeep"
NODES = 3


@pytest.fixture(scope="module")
def machines(cluster, tmp_path_factory):
    """Each node has a TPM, is listed, and its boot accepted; the dataset is granted for attested nodes."""
    folder = tmp_path_factory.mktemp("tpms")
    settings = [cluster.node_home(number) / "node.toml" for number in range(NODES)]
    before = [file.read_text() for file in settings]
    with ExitStack() as cleanup:
        made = [cleanup.enter_context(contextmanager(switched_on)(folder, f"n{n}")) for n in range(NODES)]
        for number, machine in enumerate(made):
            name_tpm(cluster.node_home(number), machine)
            enrol_node(cluster, cluster.node_home(number), machine, folder / f"ceremony{number}")
        secret = ("--passphrase-file", cluster.secret)
        words = ("--purpose", PURPOSE, "--attested", "--country", "DE", *secret, "--json")
        granted = cluster.customer.kifabrik("dataset", "grant", cluster.name("line"), *words).json()
        yield made
        # The cluster is that of other modules, too: none of their runs is to be asked what it can no longer show.
        cluster.customer.kifabrik("dataset", "revoke", granted["grant"], *secret)
        for file, text in zip(settings, before, strict=True):
            file.write_text(text)


def test_every_node_shows_its_own_tpm_and_each_can_be_verified(cluster, machines, tmp_path):
    result = order(
        cluster, tmp_path, TALK, NODES, name=cluster.name("gang"), purpose=PURPOSE, outputs={"model": "/out/model"}
    )
    view = cluster.end(result.run)
    assert view.state is RunState.SUCCEEDED, (view.reason, cluster.said_by_launchers())
    shown = cluster.customer.kifabrik("model", "verify", cluster.name("gang"), "--json").json()
    nodes = [link for link in shown["links"] if link["what"].startswith("node ")]
    assert len({link["signer"] for link in nodes}) == NODES
    assert all("booted into golden" in link["says"] for link in nodes)


def test_one_node_that_shows_nothing_or_booted_otherwise_is_enough_to_refuse(cluster, machines, tmp_path):
    with without_tpm(cluster.node_home(1)):
        view = cluster.end(order(cluster, tmp_path / "nothing", TALK, NODES, purpose=PURPOSE).run)
    assert view.state is RunState.REFUSED, (view.reason, cluster.said_by_launchers())
    assert "shows no evidence" in view.reason
    machines[2].extend(16)
    view = cluster.end(order(cluster, tmp_path / "other", TALK, NODES, purpose=PURPOSE).run)
    machines[2].reboot()
    assert view.state is RunState.REFUSED, (view.reason, cluster.said_by_launchers())
    assert "register 16" in view.reason
