"""A node of a cluster claims its part of an attempt, and is given the attempt's token.

Invariants:
- a token goes to an enrolled node alone, for an attempt the cluster's scheduler has given it to, as the
  scheduler itself says;
- a node claims its part of an attempt once, and each rank is claimed once: a launcher that was killed ends
  the attempt;
- a share is taken by the same conditional update that any share is, so what the scheduler gave twice is refused.
"""

from dataclasses import dataclass, replace
from typing import Final

from kifabrik.errors import ConflictError, IntegrityError, NotFoundError, RefusedError
from kifabrik.factory.accounts import Accounts
from kifabrik.factory.capacity import Placement, Share
from kifabrik.factory.engine import Cluster
from kifabrik.factory.node_records import NodeRecord
from kifabrik.factory.ports import Store, Transaction
from kifabrik.factory.run_book import RunBook, find_run
from kifabrik.factory.run_records import Attempt, Run
from kifabrik.runs.claims import NodeClaim, verify_claim
from kifabrik.runs.states import RunState
from kifabrik.seals.recipients import Recipient
from kifabrik.seals.sealing import seal_file
from kifabrik.signatures.dsse import Envelope

_NOBODY: Final = Share("", 0, 0)
"""Holds the place of a rank whose node has not come yet."""


@dataclass(frozen=True)
class Claimed:
    """What a node is answered.

    Args:
        tenant: Tenant id.
        token: The attempt's token, an age file for the recipient the node named.
    """

    tenant: str
    token: bytes


class Claims:
    """Answers nodes.

    Args:
        store: Opens transactions.
        accounts: Issues attempts' tokens.
        book: Moves runs.
        cluster: Says what was given to whom; None for a factory that starts launchers itself.
    """

    def __init__(self, store: Store, accounts: Accounts, book: RunBook, cluster: Cluster | None) -> None:
        self._store = store
        self._accounts = accounts
        self._book = book
        self._cluster = cluster

    def claim(self, envelope: Envelope) -> Claimed:
        """Give a node the token of an attempt.

        Args:
            envelope: A signed `NodeClaim`.

        Raises:
            IntegrityError: The claim is not signed by the node it names, or says otherwise than the order.
            NotFoundError: There is no such node or attempt.
            RefusedError: The claim is old, the node is disabled, or the scheduler did not give it this attempt.
            ConflictError: The attempt has ended, this node has claimed it before, or its share is still held.
            UnavailableError: The scheduler does not answer now.
        """
        if self._cluster is None:
            raise NotFoundError("this factory starts its launchers itself; nothing is claimed here")
        claim = verify_claim(envelope, self._book.clock()).predicate
        with self._store.read() as transaction:
            node = _node(transaction, claim.node_key)
            found = _attempt(transaction, claim.attempt)
        user = self._cluster.user_of(found.tenant)
        if claim.user != user or not self._cluster.holds(claim.attempt, claim.job, user, node.name):
            raise RefusedError(
                f"the cluster has not given attempt {claim.attempt} to node {node.name}",
                hint="The job that claims it is another one, or its node's name is not Slurm's.",
            )
        with self._store.write(found.tenant) as transaction:
            token = self._take(transaction, claim, node, found.tenant)
        return Claimed(found.tenant, seal_file(token.encode(), [Recipient.from_text(claim.recipient)]))

    def _take(self, transaction: Transaction, claim: NodeClaim, node: NodeRecord, tenant: str) -> str:
        found = _attempt(transaction, claim.attempt)
        run = find_run(transaction, tenant, found.run)
        share = _share(claim, node, run)
        placement = _placed(found, share, claim.rank, run.resources.nodes, node)
        if found.placement and found.place != node.place:
            raise RefusedError(
                f"the nodes of a run are in one place; {node.name} is in {node.place}, others in {found.place}",
                hint="Give the nodes of each place a partition or a feature of their own; see docs/slurm.md.",
            )
        if not transaction.runs.take((share,)):
            raise ConflictError(f"an earlier run still holds its share of node {node.name}")
        changed = replace(found, placement=placement, place=node.place)
        if run.state is RunState.PENDING:
            where = f"on {node.name}" if run.resources.nodes == 1 else f"on {run.resources.nodes} nodes"
            run = self._book.change(transaction, run, state=RunState.STARTING, reason=f"Starting {where}.")
            changed = replace(changed, state=run.state)
        transaction.runs.save_attempt(changed)
        return self._accounts.issue_attempt_token(
            transaction, tenant, found.run, found.attempt, beside=bool(found.placement)
        )


def _node(transaction: Transaction, key: str) -> NodeRecord:
    found = transaction.runs.node_by_key(key)
    if found is None:
        raise NotFoundError(
            f"no node with the key {key[:16]}… is enrolled", hint="Enrol it: kifabrik admin nodes --enrol FILE"
        )
    if not found.enabled:
        raise RefusedError(f"node {found.name} takes no runs", hint="kifabrik admin nodes --resume NAME")
    return found


def _attempt(transaction: Transaction, attempt: str) -> Attempt:
    for found in transaction.runs.attempts_named([attempt]):
        if found.finished:
            raise ConflictError(f"attempt {attempt} ended at {found.finished}")
        return found
    raise NotFoundError(f"there is no attempt {attempt}")


def _share(claim: NodeClaim, node: NodeRecord, run: Run) -> Share:
    usable = node.capacity.usable_gpus(run.resources)
    if len(set(claim.gpus)) != run.resources.gpu_count or not usable.issuperset(claim.gpus):
        raise IntegrityError(
            f"node {node.name} was given the GPUs {list(claim.gpus)}; the order asks for {run.resources.gpu_count}"
        )
    if not run.place.admits(node.place):
        raise RefusedError(
            f"the order is for {run.place}; node {node.name} is in {node.place}",
            hint="Give the nodes of each place a partition or a feature of their own; see docs/slurm.md.",
        )
    return Share(node.node, run.resources.cpus, run.demand.memory_bytes, tuple(sorted(claim.gpus)))


def _placed(attempt: Attempt, share: Share, rank: int, nodes: int, node: NodeRecord) -> Placement:
    """The attempt's placement with this share at its rank; ranks that have not come yet hold nothing."""
    if not 0 <= rank < nodes:
        raise IntegrityError(f"node {node.name} claims rank {rank}; the order names {nodes} nodes")
    placement = [*attempt.placement, *[_NOBODY] * (nodes - len(attempt.placement))]
    if placement[rank] != _NOBODY or any(one.node == node.node for one in placement):
        raise ConflictError(f"node {node.name} has claimed attempt {attempt.attempt} before")
    placement[rank] = share
    return tuple(placement)
