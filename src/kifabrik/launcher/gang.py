"""The launchers of one run on several nodes: one lease for all, one start, one end.

    rank 0                                    every other rank
    joins, waits for all                      joins
    (proposes the request, where a grant asks for attested nodes; the others show their evidence for it)
    composes the request, signs it            finds itself in it as it joined, signs it
    asks the keyholder, believes the lease
    wraps the attempt's keys for each    ───▶ opens them, believes the same lease
    ready, waits for all                      ready, waits for all
    waits for every end, closes the attempt   says how it ended

Invariants:
- what the nodes share is wrapped once for each recipient in the request that every node has signed, and for
  nobody else; it leaves rank 0 after the lease came;
- a node believes keys only if they are those of the request it has signed, and the lease only as the
  keyholder's answer to that request;
- what goes wrong on one node is told at once, and ends the attempt on all.
"""

import base64
import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from kifabrik.client.attempts import Attempts
from kifabrik.client.leases import Leases
from kifabrik.errors import ConflictError, IntegrityError, KifabrikError, UnavailableError, UsageError
from kifabrik.launcher.assignment import Assignment
from kifabrik.launcher.control import Control
from kifabrik.launcher.fabric import own_underlay
from kifabrik.launcher.lease import AttemptKeys, GrantedLease, Show, await_answer, sign_request, unless_taken
from kifabrik.launcher.node import Node
from kifabrik.launcher.work import VerifiedWork
from kifabrik.leases.joining import (
    NodeJoined,
    check_composed,
    check_shared,
    entries_of,
    merge_signatures,
    verify_joined,
)
from kifabrik.leases.statements import AttemptRequest
from kifabrik.leases.verify import verify_attempt_request
from kifabrik.runs.gathering import Stage
from kifabrik.runs.statements import NodeEnded, OtherNode
from kifabrik.runs.states import Outcome
from kifabrik.sandbox.network import RunNetwork, number_of, require_network
from kifabrik.seals.identities import Identity
from kifabrik.seals.opening import open_bytes, open_header
from kifabrik.seals.recipients import Recipient
from kifabrik.seals.sealing import make_header, new_file_key, seal_bytes
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.keys import SigningKey
from kifabrik.signatures.statements import Statement, key_named, sign_statement, verify_statement
from kifabrik.values import format_time, now_utc
from kifabrik.wire.leases import LeaseView

_WAIT_S: Final = 25.0
_PAUSE_S: Final = 0.2
_LONGEST_PAUSE_S: Final = 10.0
PATIENCE_S: Final = 3600.0
"""For the slowest node to build its environment, or to open its data."""
_SENTENCES: Final = {
    Outcome.ERROR: "its program ended with an error",
    Outcome.OUT_OF_MEMORY: "its program needed more memory than it asked for",
    Outcome.CAP: "the longest duration was over there first",
    Outcome.INTEGRITY: "something did not verify",
    Outcome.NODE_FAILURE: "the node failed",
}
_LAST_WORDS_S: Final = 120.0
"""For the other nodes to say how they ended once the attempt cannot go on."""


@dataclass(frozen=True)
class Shared:
    """What all nodes of an attempt have in common.

    Args:
        keys: Run key and attempt identity.
        lease: Verified on this node.
        network: As this node sees it.
    """

    keys: AttemptKeys
    lease: GrantedLease
    network: RunNetwork


class Gang:
    """One node's part in an attempt on several.

    Args:
        assignment: What to do.
        node: Where.
        api: Client of this attempt and rank.
        leases: Client with the attempt's token.
        control: Says when to stop.
        say: Told what is waited for; only rank 0 speaks for the run.
        show: Makes evidence about this node's hardware.
        keys: Of the attempt, where this node leads: what it signs at the end counts although no lease came.
    """

    def __init__(
        self,
        assignment: Assignment,
        node: Node,
        api: Attempts,
        leases: Leases,
        control: Control,
        say: Callable[[str], None],
        show: Show,
        keys: AttemptKeys,
    ) -> None:
        self._assignment = assignment
        self._node = node
        self._api = api
        self._leases = leases
        self._control = control
        self._say = say
        self._show = show
        self._keys = keys
        self._own = AttemptKeys()
        """Of this launcher alone: what is wrapped for this node opens with its identity."""
        self._node_keys: tuple[str, ...] = (node.key.public.hex,)

    @property
    def leads(self) -> bool:
        """Whether this is rank 0."""
        return self._assignment.rank == 0

    def obtain(
        self, work: VerifiedWork, asks: AttemptRequest, waiting: Callable[[LeaseView], None]
    ) -> Shared | None:
        """Join, agree on one request, and get the keys.

        Args:
            work: Verified.
            asks: What is asked for, from `said_of`.
            waiting: Told each time the keyholder's answer is still open.

        Returns:
            Nothing if the attempt was stopped meanwhile.

        Raises:
            UnavailableError: This node cannot make networks, or another did not come in time.
            IntegrityError: What another node says does not fit.
            RefusedError: The keyholder refused.
        """
        require_network()
        order = work.order.predicate
        nodes, rank = order.resources.nodes, self._assignment.rank
        if rank >= nodes:
            raise UsageError(f"this launcher was started as rank {rank}; the order names {nodes} nodes")
        joined = self._join(asks)
        if self.leads:
            return self._lead(work, asks, joined, nodes, waiting)
        return self._follow(work, asks, joined, nodes, waiting)

    def start_together(self) -> bool:
        """Wait until every node is ready to start; whether all are."""
        self._api.leave(Stage.READY)
        return self._gather(Stage.READY, "to open the data") is not None

    def fail(self, outcome: Outcome, message: str) -> None:
        """Tell the other nodes that this one cannot go on, unless the attempt has ended already."""
        with suppress(KifabrikError):
            self._api.fail(outcome, message or _SENTENCES.get(outcome, ""))

    def others_ended(self, until: float) -> bool:
        """Wait for the ends of all other nodes; whether all have come before the attempt must stop.

        Args:
            until: `time.monotonic()` at which to give up.
        """
        while self._control.cause is None and time.monotonic() < until:
            if self._api.stage(Stage.ENDED, wait_s=min(_WAIT_S, max(0.0, until - time.monotonic()))).complete:
                return True
        return False

    def last_words(self) -> Mapping[int, Envelope]:
        """How the other nodes have ended, by rank; those that are silent for two minutes are left out."""
        until = time.monotonic() + _LAST_WORDS_S
        while True:
            view = self._api.stage(Stage.ENDED, wait_s=0 if time.monotonic() >= until else 1)
            if view.complete or time.monotonic() >= until:
                return {rank: Envelope.from_json(text) for rank, text in view.notes.items()}
            time.sleep(_PAUSE_S)

    def other_nodes(self, ended: Mapping[int, Envelope]) -> tuple[OtherNode, ...]:
        """What the end of the attempt says of the other nodes, those included that went without a word.

        Args:
            ended: From `last_words`.

        Raises:
            IntegrityError: One of them is another node's, or of another attempt.
        """
        found = []
        for rank, key in enumerate(self._node_keys[1:], 1):
            if rank not in ended:
                found.append(OtherNode(rank, key, "", 0, ""))
                continue
            said = verify_statement(ended[rank], NodeEnded, [key_named(key)]).predicate
            if (said.attempt, said.rank) != (self._assignment.attempt, rank):
                raise IntegrityError(f"the factory showed another end as that of node {rank}")
            found.append(OtherNode(rank, key, ended[rank].digest, said.segments, said.log_tail))
        return tuple(found)

    def say_ended(self, ended: Envelope) -> None:
        """Say how this node has ended, unless the attempt has ended already."""
        with suppress(ConflictError):
            self._api.leave(Stage.ENDED, ended.to_json())

    def await_close(self) -> None:
        """Wait until the first node has closed the attempt, or would have to have.

        A cluster ends all launchers of a run as soon as one exits with a status that is not 0; the first must have
        said how the attempt ended by then.
        """
        until, pause = time.monotonic() + _LAST_WORDS_S, _PAUSE_S
        with suppress(KifabrikError):  # an attempt that has ended is there no more
            while time.monotonic() < until:
                self._api.stage(Stage.ENDED, wait_s=0)
                time.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_S)

    def _join(self, asks: AttemptRequest) -> NodeJoined:
        underlay, mtu = own_underlay(self._node.fabric, self._assignment.factory)
        joined = NodeJoined(
            tenant=asks.tenant,
            run=asks.run,
            attempt=asks.attempt,
            order=asks.order,
            rank=self._assignment.rank,
            node_key=self._node.key.public.hex,
            recipient=self._own.identity.recipient.text,
            evidence="",
            environment=asks.environment,
            underlay=underlay,
            mtu=mtu,
            created=format_time(now_utc()),
        )
        signed = sign_statement(joined, {"order": asks.order}, self._node.key)
        with unless_taken():
            self._api.leave(Stage.JOINED, signed.to_json())
        return joined

    def _lead(
        self,
        work: VerifiedWork,
        asks: AttemptRequest,
        own: NodeJoined,
        nodes: int,
        waiting: Callable[[LeaseView], None],
    ) -> Shared | None:
        texts = self._gather(Stage.JOINED, "to join")
        if texts is None:
            return None
        joined = {rank: verify_joined(Envelope.from_json(text)) for rank, text in texts.items()}
        keys, entries = self._keys, entries_of(joined, own, nodes)
        self._node_keys = tuple(entry.node_key for entry in entries)
        if work.attested:
            shown = self._shown(asks, joined, own, keys)
            if shown is None:
                return None
            entries = entries_of(shown, own, nodes)
        request = sign_request(asks, entries, keys, self._node.key, self._show)
        self._api.leave(Stage.REQUEST, request.to_json())
        signed = self._gather(Stage.SIGNED, "to sign the request for keys")
        if signed is None:
            return None
        whole = merge_signatures(request, signed)
        asked = verify_attempt_request(whole)
        with unless_taken():
            self._leases.request(whole)
        lease = await_answer(self._leases, asked, work, given_up=self._given_up, waiting=waiting)
        if lease is None:
            return None
        ranks = range(nodes)
        network = _network(asks.attempt, 0, [joined[rank] for rank in ranks])
        file_key = new_file_key()
        headers = [make_header(file_key, [Recipient.from_text(joined[rank].recipient)]) for rank in ranks]
        self._api.hand_over(seal_bytes(_to_bytes(keys, network), file_key), headers)
        return Shared(keys, lease, network)

    def _shown(
        self, asks: AttemptRequest, joined: Mapping[int, NodeJoined], own: NodeJoined, keys: AttemptKeys
    ) -> Mapping[int, NodeJoined] | None:
        """Let the other nodes quote for the request as it will be, once all are there; nothing if stopped.

        Raises:
            IntegrityError: A node shows something for another recipient than it joined with.
        """
        entries = entries_of(joined, own, len(joined))
        proposal = sign_request(asks, entries, keys, self._node.key)
        self._api.leave(Stage.PROPOSED, proposal.to_json())
        texts = self._gather(Stage.SHOWN, "to show what they booted into")
        if texts is None:
            return None
        shown = {rank: verify_joined(Envelope.from_json(text)) for rank, text in texts.items()}
        for rank, said in shown.items():
            if replace(said, evidence="", created="") != replace(joined[rank], created=""):
                raise IntegrityError(f"node {rank} joined otherwise before")
        return {0: own} | shown

    def _follow(
        self,
        work: VerifiedWork,
        asks: AttemptRequest,
        own: NodeJoined,
        nodes: int,
        waiting: Callable[[LeaseView], None],
    ) -> Shared | None:
        if work.attested:
            proposed = self._gather(Stage.PROPOSED, "to join")
            if proposed is None:
                return None
            wanted = check_composed(Envelope.from_json(proposed[0]), asks, own, nodes)
            own = replace(own, evidence=self._show(wanted, own.entry))
            text = sign_statement(own, {"order": asks.order}, self._node.key).to_json()
            self._api.leave(Stage.SHOWN, text)
        texts = self._gather(Stage.REQUEST, "to join")
        if texts is None:
            return None
        request = Envelope.from_json(texts[0])
        said = check_composed(request, asks, own, nodes)
        self._api.leave(Stage.SIGNED, base64.b64encode(request.signature_by(self._node.key)).decode())
        notes = self._gather(Stage.KEYS, "for the keys")
        if notes is None:
            return None
        keys, network = self._opened(notes, asks.attempt)
        check_shared(said, keys.run_key.public, keys.identity.recipient.text)
        asked = Statement(said, {}, key_named(said.run_key), request.digest)
        lease = await_answer(self._leases, asked, work, given_up=self._given_up, waiting=waiting)
        return None if lease is None else Shared(keys, lease, network)

    def _opened(self, notes: Mapping[int, str], attempt: str) -> tuple[AttemptKeys, RunNetwork]:
        """Open what rank 0 has sealed for this node.

        Raises:
            IntegrityError: It is not for this node, or not what rank 0 should seal.
        """
        try:
            body, header = (base64.b64decode(notes[rank]) for rank in (0, self._assignment.rank))
            content = json.loads(open_bytes(body, open_header(header, [self._own.identity])))
            keys = AttemptKeys(
                SigningKey(bytes.fromhex(content["run_key"])), Identity.from_text(content["identity"])
            )
            underlays = tuple(str(one) for one in content["underlays"])
            network = RunNetwork(number_of(attempt), self._assignment.rank, underlays, int(content["mtu"]))
        except (KeyError, TypeError, ValueError, UsageError):
            raise IntegrityError("the lead node handed over something else than keys") from None
        return keys, network

    def _gather(self, stage: Stage, what: str) -> Mapping[int, str] | None:
        """Wait for a stage; nothing if the attempt was stopped meanwhile.

        Raises:
            UnavailableError: It did not come in time.
        """
        until = time.monotonic() + PATIENCE_S
        while not self._given_up():
            view = self._api.stage(stage, wait_s=_WAIT_S)
            if view.complete:
                return view.notes
            if view.over:
                time.sleep(_PAUSE_S)  # what it is about comes by `control`
            elif time.monotonic() >= until:
                raise UnavailableError(f"{view.here} nodes came {what} within an hour; the others did not")
            else:
                self._say(f"Waiting for the other nodes {what}; {view.here} are there.")
        return None

    def _given_up(self) -> bool:
        return self._control.cause is not None


def _network(attempt: str, rank: int, joined: list[NodeJoined]) -> RunNetwork:
    try:
        underlays = tuple(one.underlay for one in joined)
        return RunNetwork(number_of(attempt), rank, underlays, min(one.mtu for one in joined))
    except UsageError as error:
        raise IntegrityError(error.message) from error


def _to_bytes(keys: AttemptKeys, network: RunNetwork) -> bytes:
    return json.dumps(
        {
            "run_key": keys.run_key.seed.hex(),
            "identity": keys.identity.text,
            "underlays": network.underlays,
            "mtu": network.mtu,
        }
    ).encode()
