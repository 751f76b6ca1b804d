"""A node whose root is not honest among honest ones: it can end the attempt, and gets nothing by lying."""

from contextlib import contextmanager

import pytest
from test_multinode_runs import WAIT, assert_gone, ended, order

from kifabrik.ledger.entry import EntryKind
from kifabrik.runs.states import Outcome
from kifabrik.signatures.keys import SigningKey

pytestmark = [pytest.mark.xdist_group("multinode"), pytest.mark.slow, pytest.mark.timeout(400)]

MAIN = "\nfrom kifabrik.launcher.__main__ import main\nraise SystemExit(main())\n"
ALTERED_RECIPIENT = """
from dataclasses import replace
from kifabrik.launcher import gang
from kifabrik.seals.identities import Identity

true = gang.entries_of

def altered(*said):
    first, second, *rest = true(*said)
    return (first, replace(second, recipient=Identity.generate().recipient.text), *rest)

gang.entries_of = altered
"""
ADDED_NODE = """
from kifabrik.launcher import gang
from kifabrik.leases.statements import RequestingNode
from kifabrik.seals.identities import Identity
from kifabrik.signatures.keys import SigningKey

true = gang.entries_of
gang.entries_of = lambda *said: (
    *true(*said), RequestingNode(SigningKey.generate().public.hex, Identity.generate().recipient.text)
)
"""
OTHER_KEYS = """
from kifabrik.launcher import gang

true = gang._to_bytes
gang._to_bytes = lambda _keys, network: true(gang.AttemptKeys(), network)
"""
UNSIGNED = """
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.keys import SigningKey

true = Envelope.signature_by
Envelope.signature_by = lambda self, _key: true(self, SigningKey.generate())
"""
OTHER_ENVIRONMENT = """
from dataclasses import replace
from kifabrik.launcher import asking

true = asking.said_of
asking.said_of = lambda *said: replace(true(*said), environment="ab" * 32)
"""


@contextmanager
def dishonest(cluster, node, code):
    """A node whose launcher is another one while the block runs."""
    file = cluster.node_home(node) / "launcher.py"
    file.write_text(code + MAIN)
    try:
        yield
    finally:
        file.unlink()


@pytest.mark.parametrize(
    ("node", "code"),
    [
        pytest.param(0, ALTERED_RECIPIENT, id="the lead alters a peer's recipient"),
        pytest.param(0, ADDED_NODE, id="the lead adds a node"),
        pytest.param(0, OTHER_KEYS, id="the lead hands over keys of another request"),
        pytest.param(1, UNSIGNED, id="a node signs by another key"),
        pytest.param(1, OTHER_ENVIRONMENT, id="a node has built another environment"),
    ],
)
def test_a_node_that_lies_ends_the_attempt_and_no_job_starts(cluster, tmp_path, node, code):
    with dishonest(cluster, node, code):
        run = order(cluster, tmp_path, WAIT).run
        launchers = cluster.launchers_of(run)
        view = ended(cluster, run)
    assert view.attempts[-1].outcome in (Outcome.INTEGRITY, Outcome.NODE_FAILURE)
    assert not any("all are here" in line for line in cluster.log(run))
    released = [one for one in entries_of(cluster, run) if one.kind is EntryKind.LEASE_RELEASED]
    to_attempt = [one for one in released if one.refs["receiver"] == view.attempts[-1].attempt]
    assert len(to_attempt) == (1 if code is OTHER_KEYS else 0)
    assert_gone(cluster, launchers)


def test_control_honest_nodes_start(cluster, tmp_path):
    with dishonest(cluster, 0, ""), dishonest(cluster, 1, ""):
        run = order(cluster, tmp_path, WAIT).run
        cluster.wait_for_line(run, "all are here")
    cluster.sdk.session.runs.stop(run)
    assert ended(cluster, run).attempts[-1].outcome is Outcome.STOPPED


def test_a_node_with_a_key_that_is_not_enrolled_gets_no_keys(cluster, tmp_path):
    file = cluster.node_home(1) / "node.key"
    true = file.read_bytes()
    file.write_bytes(SigningKey.generate().seed)
    try:
        run = order(cluster, tmp_path, WAIT).run
        view = ended(cluster, run)
    finally:
        file.write_bytes(true)
    assert view.attempts[-1].outcome in (Outcome.INTEGRITY, Outcome.NODE_FAILURE)
    kinds = [one.kind for one in entries_of(cluster, run)]
    assert EntryKind.LEASE_REQUESTED not in kinds


def entries_of(cluster, run):
    """What the log says of a run."""
    return [one for one in cluster.sdk.session.catalogue().entries if one.refs.get("run") == run]
