"""Closing an attempt: what its launcher signs at the end, checked against all the factory knows of it.

Invariants:
- only the run key of the attempt's lease and the key of its first node together close an attempt; what they say
  of its other nodes is what those have signed, and it ends well only if it ended well on each;
- outputs are entered with the run's end or not at all; each is signed by the run key and sealed to the
  recipient the lease names;
- closing it again with the same statement changes nothing; with another one is a conflict.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from kifabrik.datasets.manifest import Manifest, verify_manifest
from kifabrik.errors import ConflictError, IntegrityError, UsageError
from kifabrik.factory.attempts import Attempts, node_key, node_keys_of
from kifabrik.factory.endings import End, Endings
from kifabrik.factory.gathering import ended_nodes
from kifabrik.factory.journals import lease_of
from kifabrik.factory.log import Log
from kifabrik.factory.ports import Store, Transaction
from kifabrik.factory.records import Recorded
from kifabrik.factory.run_book import find_attempt
from kifabrik.factory.run_records import Attempt, Run
from kifabrik.factory.statements import Statements
from kifabrik.factory.versions import Versions
from kifabrik.leases.statements import Lease
from kifabrik.ledger.entry import EntryKind, RefValue
from kifabrik.meters.reading import Reading
from kifabrik.orders.order import Order
from kifabrik.runs.statements import Finish, OtherNode
from kifabrik.runs.states import Outcome, RunState
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.keys import VerifyKey
from kifabrik.signatures.statements import Statement, read_unverified, verify_statement

_MOST_PUBLISHED = 64


@dataclass(frozen=True)
class Closing:
    """What a launcher hands in at the end."""

    finish: Envelope
    outputs: tuple[Envelope, ...]
    provenance: Envelope | None
    message: str


class Finishing:
    """Takes checkpoints and the end of attempts.

    Args:
        store: Opens transactions.
        log: Where ends are recorded.
        statements: Keeps what launchers sign.
        versions: Enters outputs and checkpoints.
        attempts: Knows which attempts go on.
        endings: Ends them.
    """

    def __init__(
        self,
        store: Store,
        log: Log,
        statements: Statements,
        versions: Versions,
        attempts: Attempts,
        endings: Endings,
    ) -> None:
        self._store = store
        self._log = log
        self._statements = statements
        self._versions = versions
        self._attempts = attempts
        self._endings = endings

    def checkpoint(self, tenant: str, attempt: str, manifest: Envelope) -> Recorded:
        """Enter a sealed checkpoint as the next version of the run's chain.

        Raises:
            IntegrityError: Not signed by the run key, or not continuing the chain.
            ConflictError: Objects are missing, or the attempt has ended.
            UsageError: The order keeps no checkpoints.
        """
        with self._store.write(tenant) as transaction:
            found, run = self._attempts.going_on(transaction, tenant, attempt)
            order = _order(transaction, run)
            if not order.checkpoint:
                raise UsageError("the order keeps no checkpoints")
            statement = self._made(transaction, found, run, manifest, "checkpoint")
            newest = transaction.datasets.newest(tenant, f"{run.run}/checkpoint")
            if newest is None or newest.manifest != manifest.digest:
                self._versions.enter(transaction, statement)
                transaction.statements.add(tenant, manifest)
                transaction.runs.save_attempt(replace(found, checkpoint=manifest.digest))
            index = transaction.logs.state(tenant)
        return Recorded(manifest.digest, index.tree.size - 1 if index else 0)

    def finish(self, tenant: str, attempt: str, closing: Closing) -> None:
        """Close an attempt.

        Raises:
            IntegrityError: A signature or a digest does not fit.
            ConflictError: It was closed otherwise before, or objects are missing.
        """
        with self._store.write(tenant) as transaction:
            known = find_attempt(transaction, tenant, attempt)
            if known.finish == closing.finish.digest:
                return
            found, run = self._attempts.going_on(transaction, tenant, attempt)
            said = _verified(transaction, found, closing.finish)
            _check_against(transaction, found, run, said)
            verdict = self._endings.judge(run, found, said.outcome)
            others = _check_others(transaction, found, said)
            outputs = self._outputs(transaction, found, run, said, closing.outputs)
            if verdict.state is not RunState.QUEUED:
                for statement, envelope in zip(outputs, closing.outputs, strict=True):
                    self._versions.enter(transaction, statement)
                    transaction.statements.add(tenant, envelope)
            provenance = self._provenance(transaction, found, closing.provenance)
            self._endings.end(
                transaction,
                run,
                found,
                End(
                    outcome=said.outcome,
                    message=closing.message,
                    exit_status=said.exit_status,
                    reading=said.reading,
                    others=others,
                    published={metric.name: metric.value for metric in said.published},
                    outputs=said.outputs if verdict.state is not RunState.QUEUED else (),
                    finish=closing.finish.digest,
                    provenance=provenance,
                ),
            )
            self._statements.put_on_record(
                transaction,
                tenant,
                closing.finish,
                EntryKind.RUN_FINISHED,
                _refs(said, closing.finish, provenance)
                | self._endings.recorded(run, found, (said.reading, *others)),
            )

    def _made(
        self, transaction: Transaction, attempt: Attempt, run: Run, manifest: Envelope, part: str
    ) -> Statement[Manifest]:
        """Verify the manifest of something the attempt has sealed."""
        lease = _lease(transaction, attempt)
        statement = verify_manifest(manifest, [VerifyKey.from_hex(lease.run_key)])
        said = statement.predicate
        if (said.tenant, said.owner) != (run.tenant, f"{run.run}/{part}"):
            raise IntegrityError(f"the manifest is not of {run.run}/{part}")
        if said.recipient != lease.output_recipient:
            raise IntegrityError("sealed to another recipient than the lease names")
        return statement

    def _outputs(
        self, transaction: Transaction, attempt: Attempt, run: Run, said: Finish, manifests: Sequence[Envelope]
    ) -> list[Statement[Manifest]]:
        if tuple(one.digest for one in manifests) != said.outputs:
            raise IntegrityError("the outputs handed in are not the ones the end names")
        most = run.outputs if said.outcome is Outcome.SUCCEEDED else 0
        if len(manifests) != most and (said.outcome is Outcome.SUCCEEDED or len(manifests) > run.outputs):
            raise IntegrityError(f"{len(manifests)} outputs were handed in; the order declares {run.outputs}")
        return [self._made(transaction, attempt, run, one, str(number)) for number, one in enumerate(manifests, 1)]

    def _provenance(self, transaction: Transaction, attempt: Attempt, provenance: Envelope | None) -> str:
        if provenance is None:
            return ""
        keys = [attempt.run_key, *node_keys_of(transaction, attempt)]
        provenance.verify([VerifyKey.from_hex(key) for key in keys if key])
        transaction.statements.add(attempt.tenant, provenance)
        return provenance.digest


def _verified(transaction: Transaction, attempt: Attempt, envelope: Envelope) -> Finish:
    """Verify that the run key, as far as there is one, and the attempt's first node have signed."""
    said, _ = read_unverified(envelope, Finish)
    keys = [node_key(transaction, attempt, 0), *([attempt.run_key] if attempt.run_key else [])]
    for key in keys:
        said = verify_statement(envelope, Finish, [VerifyKey.from_hex(key)]).predicate
    return said


def _check_against(transaction: Transaction, attempt: Attempt, run: Run, said: Finish) -> None:
    if (said.tenant, said.run, said.attempt, said.order) != (run.tenant, run.run, attempt.attempt, run.order):
        raise IntegrityError("the end is of another attempt")
    if (said.segments, said.log_tail) != (attempt.segments, attempt.tail):
        raise ConflictError(
            f"the end names {said.segments} log segments; {attempt.segments} have arrived",
            hint="Send the missing ones, then finish again.",
        )
    if said.lease and said.lease != lease_of(transaction, attempt):
        raise IntegrityError("the end names another lease")
    if not said.lease and (said.outputs or said.outcome is Outcome.SUCCEEDED):
        raise IntegrityError("nothing can come out of an attempt without a lease")
    newest = transaction.datasets.newest(run.tenant, f"{run.run}/checkpoint")
    if said.checkpoint and (newest is None or said.checkpoint != newest.manifest):
        raise IntegrityError("the end names a checkpoint that is not the last one")
    allowed = set(_order(transaction, run).publish)
    if len(said.published) > _MOST_PUBLISHED or not {metric.name for metric in said.published} <= allowed:
        raise IntegrityError("the end publishes metrics the order does not allow the factory to see")


def _check_others(transaction: Transaction, attempt: Attempt, said: Finish) -> tuple[Reading, ...]:
    """Check what the end says of the other nodes against what each has signed; return what they used.

    An attempt that got no keys may say nothing of them: perhaps its first node never met the others.
    """
    ended = ended_nodes(transaction, attempt)
    keys = node_keys_of(transaction, attempt)
    expected = []
    for rank in range(1, len(keys)):
        envelope, end = ended.get(rank, (None, None))
        said_there = (envelope.digest, end.segments, end.log_tail) if envelope and end else ("", 0, "")
        expected.append(OtherNode(rank, keys[rank], *said_there))
    if said.others != tuple(expected) and (said.lease or said.others):
        raise ConflictError(
            "the end says otherwise of the other nodes than they have signed", hint="Look again, then finish."
        )
    if said.outcome is Outcome.SUCCEEDED:
        for rank in range(1, len(keys)):
            if rank not in ended or ended[rank][1].outcome is not Outcome.SUCCEEDED:
                raise IntegrityError(f"the attempt cannot have ended well: on node {rank} it has not")
    for envelope, _ in ended.values():
        transaction.statements.add(attempt.tenant, envelope)
    return tuple(one.reading for _, one in ended.values())


def _order(transaction: Transaction, run: Run) -> Order:
    envelope = transaction.statements.get(run.tenant, run.order)
    if envelope is None:
        raise IntegrityError(f"the order of run {run.run} is missing")
    return read_unverified(envelope, Order)[0]


def _lease(transaction: Transaction, attempt: Attempt) -> Lease:
    envelope = transaction.statements.get(attempt.tenant, lease_of(transaction, attempt))
    if envelope is None:
        raise IntegrityError(f"the lease of attempt {attempt.attempt} is missing")
    return read_unverified(envelope, Lease)[0]


def _refs(said: Finish, envelope: Envelope, provenance: str) -> dict[str, RefValue]:
    refs: dict[str, RefValue] = {
        "run": said.run,
        "attempt": said.attempt,
        "order": said.order,
        "outcome": str(said.outcome),
        "finish": envelope.digest,
        "segments": said.segments,
    }
    named = {
        "lease": said.lease,
        "log_tail": said.log_tail,
        "checkpoint": said.checkpoint,
        "environment": said.environment,
        "provenance": provenance,
    }
    refs |= {name: digest for name, digest in named.items() if digest}
    if said.outputs:
        refs["outputs"] = said.outputs
    return refs
