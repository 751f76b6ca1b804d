"""The launchers of one attempt on several nodes find each other here, and hear why they cannot go on.

Invariants:
- a rank joins and ends by the enrolled key of the node that the attempt was given for it. Its signature under the
  request is verified with the whole request, which is what goes on record;
- a note stands once: the same again changes nothing, another one is a conflict;
- whoever waits for a stage is woken when it is complete, and when the attempt has ended or cannot go on;
- notes are dropped with the attempt's end. None holds a key that opens anything here.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from kifabrik.errors import ConflictError, IntegrityError, UsageError
from kifabrik.factory.attempts import Attempts, node_key
from kifabrik.factory.log_records import RankLog
from kifabrik.factory.ports import Store, Transaction
from kifabrik.factory.run_book import RunBook
from kifabrik.factory.run_records import Attempt, Run
from kifabrik.leases.joining import verify_joined
from kifabrik.runs.gathering import Fault, Stage, check_rank
from kifabrik.runs.statements import NodeEnded
from kifabrik.runs.states import Outcome
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.keys import VerifyKey
from kifabrik.signatures.statements import read_unverified, verify_statement

_WHOLE = (Stage.JOINED, Stage.SHOWN, Stage.SIGNED, Stage.ENDED)
"""Stages whose notes the lead is given: of the ends those there are, else only all of them."""
_OF_LEAD = frozenset({Stage.JOINED, Stage.PROPOSED, Stage.REQUEST, Stage.READY})
_OF_OTHERS = frozenset({Stage.JOINED, Stage.SHOWN, Stage.SIGNED, Stage.READY, Stage.ENDED})
"""What each leaves by `leave`; the rest has a way of its own."""
_LONGEST_MESSAGE = 500
_SIGNATURE_CHARACTERS = 88
"""64 bytes in base64."""


@dataclass(frozen=True)
class Gathered:
    """How far a stage has come.

    Args:
        here: Number of ranks that have left a note.
        complete: Whether all have from whom one is expected.
        notes: Text by rank, where the stage is complete and the caller needs them.
        over: Whether the attempt cannot go on.
    """

    here: int
    complete: bool
    notes: Mapping[int, str]
    over: bool


class Gathering:
    """Takes and shows notes.

    Args:
        store: Opens transactions.
        book: Wakes who waits.
        attempts: Knows which attempts go on.
    """

    def __init__(self, store: Store, book: RunBook, attempts: Attempts) -> None:
        self._store = store
        self._book = book
        self._attempts = attempts

    def leave(self, tenant: str, attempt: str, stage: Stage, rank: int, text: str) -> None:
        """Leave a note of one rank.

        Raises:
            UsageError: There is no such rank, or this stage is not for it to say.
            IntegrityError: It is not by the key of the node the attempt was given for this rank.
            ConflictError: The attempt has ended, or the rank has said otherwise before.
        """
        with self._store.write(tenant) as transaction:
            found, run = self._attempts.going_on(transaction, tenant, attempt)
            nodes = run.resources.nodes
            check_rank(rank, nodes)
            if stage not in (_OF_LEAD if rank == 0 else _OF_OTHERS):
                raise UsageError(f"node {rank} leaves no note of stage {stage}")
            _check(transaction, found, stage, rank, text)
            if not transaction.runs.put_note(tenant, attempt, stage, rank, text):
                if transaction.runs.note(tenant, attempt, stage, rank) != text:
                    raise ConflictError(
                        f"node {rank} of attempt {attempt} has said otherwise before",
                        hint="Another launcher works as this node; this one must end.",
                    )
                return
            if transaction.runs.count_notes(tenant, attempt, stage) == _expected(stage, nodes):
                self._book.complete(transaction, found, stage)

    def hand_over(self, tenant: str, attempt: str, notes: Mapping[int, str]) -> None:
        """Leave what rank 0 has sealed for every rank; the same again changes nothing.

        Raises:
            UsageError: A rank is missing, or there is none like it.
            ConflictError: The attempt has ended, or something else was left before.
        """
        with self._store.write(tenant) as transaction:
            found, run = self._attempts.going_on(transaction, tenant, attempt)
            if sorted(notes) != list(range(run.resources.nodes)):
                raise UsageError(f"keys are handed to {len(notes)} nodes; the run has {run.resources.nodes}")
            before = transaction.runs.notes(tenant, attempt, Stage.KEYS)
            if before == notes:
                return
            if before:
                raise ConflictError(
                    f"other keys of attempt {attempt} were handed over before",
                    hint="Another launcher works as node 0; this one must end.",
                )
            for rank, text in notes.items():
                transaction.runs.put_note(tenant, attempt, Stage.KEYS, rank, text)
            self._book.complete(transaction, found, Stage.KEYS)

    def fail(self, tenant: str, attempt: str, fault: Fault) -> None:
        """Note that an attempt cannot go on; the first reason counts, and every launcher is told to stop.

        Raises:
            UsageError: There is no such rank or outcome.
            ConflictError: The attempt has ended.
        """
        if fault.outcome not in set(Outcome) - {Outcome.SUCCEEDED}:
            raise UsageError(f"{fault.outcome!r} is no way for an attempt to fail")
        with self._store.write(tenant) as transaction:
            found, run = self._attempts.going_on(transaction, tenant, attempt)
            check_rank(fault.rank, run.resources.nodes)
            text = json.dumps(asdict(fault) | {"message": fault.message[:_LONGEST_MESSAGE]})
            if transaction.runs.put_note(tenant, attempt, Stage.FAULT, 0, text):
                self._book.speak_to(transaction, found)
                for stage in Stage:
                    self._book.complete(transaction, found, stage)

    def gathered(self, tenant: str, attempt: str, stage: Stage, rank: int) -> Gathered:
        """How far a stage has come, as one rank may see it.

        Raises:
            NotFoundError: There is no such attempt.
            ConflictError: It has ended.
        """
        with self._store.read() as transaction:
            _, run = self._attempts.going_on(transaction, tenant, attempt)
            check_rank(rank, run.resources.nodes)
            over = transaction.runs.note(tenant, attempt, Stage.FAULT, 0) is not None
            here = transaction.runs.count_notes(tenant, attempt, stage)
            complete = here >= _expected(stage, run.resources.nodes)
            return Gathered(here, complete, _readable(transaction, attempt, run, stage, rank, complete), over)


def ended_nodes(transaction: Transaction, attempt: Attempt) -> dict[int, tuple[Envelope, NodeEnded]]:
    """How an attempt ended on its other nodes, by rank: each statement and what it says."""
    found = {}
    for rank, text in transaction.runs.notes(attempt.tenant, attempt.attempt, Stage.ENDED).items():
        envelope = Envelope.from_json(text)  # verified when it came
        found[rank] = (envelope, read_unverified(envelope, NodeEnded)[0])
    return found


def _expected(stage: Stage, nodes: int) -> int:
    if stage in (Stage.SHOWN, Stage.SIGNED, Stage.ENDED):
        return nodes - 1
    return 1 if stage in (Stage.PROPOSED, Stage.REQUEST) else nodes


def _readable(
    transaction: Transaction, attempt: str, run: Run, stage: Stage, rank: int, complete: bool
) -> Mapping[int, str]:
    """What a rank needs of a stage: the lead everything it gathers, the others what was left for them."""
    if stage is Stage.READY or not (complete or stage is Stage.ENDED):
        return {}
    if stage in _WHOLE:
        return transaction.runs.notes(run.tenant, attempt, stage) if rank == 0 else {}
    texts = {one: transaction.runs.note(run.tenant, attempt, stage, one) for one in {0, rank}}
    return {one: text for one, text in texts.items() if text is not None}


def _check(transaction: Transaction, attempt: Attempt, stage: Stage, rank: int, text: str) -> None:
    longest = {Stage.READY: 0, Stage.SIGNED: _SIGNATURE_CHARACTERS}
    if len(text) > longest.get(stage, len(text)):
        raise UsageError(f"a note of stage {stage} has at most {longest[stage]} characters")
    if stage in longest:
        return  # a signature is verified where the whole request is
    envelope = Envelope.from_json(text)
    key = node_key(transaction, attempt, rank)
    if stage in (Stage.JOINED, Stage.SHOWN):
        joined = verify_joined(envelope)
        said = (joined.tenant, joined.run, joined.attempt, joined.rank, joined.node_key)
    elif stage is Stage.ENDED:
        ended = verify_statement(envelope, NodeEnded, [VerifyKey.from_hex(key)]).predicate
        said = (ended.tenant, ended.run, ended.attempt, ended.rank, ended.node_key)
        _check_log(transaction, attempt, ended)
    else:
        envelope.verify([VerifyKey.from_hex(key)])
        return
    if said != (attempt.tenant, attempt.run, attempt.attempt, rank, key):
        raise IntegrityError(f"node {rank} speaks of another attempt, rank or node than its own")


def _check_log(transaction: Transaction, attempt: Attempt, ended: NodeEnded) -> None:
    empty = RankLog(attempt.tenant, attempt.attempt, ended.rank)
    log = transaction.runs.rank_log(attempt.tenant, attempt.attempt, ended.rank) or empty
    if (ended.segments, ended.log_tail) != (log.segments, log.tail):
        raise ConflictError(
            f"node {ended.rank} names {ended.segments} log segments; {log.segments} have arrived",
            hint="Send the missing ones, then end again.",
        )
