"""The factory hands out the log of a run: it tries to cut it, change it, or say that it has ended early."""

import json
from types import SimpleNamespace

import pytest

from keyhouse import Attempt, House
from kifabrik.customer.follow import read_log
from kifabrik.customer.log_lines import LogLine
from kifabrik.errors import IntegrityError, KifabrikError
from kifabrik.ledger.entry import EntryKind
from kifabrik.meters.reading import Reading
from kifabrik.runs.statements import Finish, LogSegment, OtherNode
from kifabrik.runs.states import Outcome, RunState
from kifabrik.seals.header import split_headers
from kifabrik.seals.opening import open_header
from kifabrik.seals.sealing import seal_bytes
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.statements import read_unverified, sign_statement
from kifabrik.values import sha256_hex
from kifabrik.wire.leases import LeaseView, RequestState
from kifabrik.wire.runs import AttemptView, Evidence, SegmentView, StreamView

LINES = ("epoch 1", "epoch 2", "loss is nan")


class LogRoom:
    """A finished run with three sealed segments, and a factory that shows as many of them as it likes."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.person = house.enrol()
        self.attempt: Attempt = self.person.order().attempt().obtain()
        self.stream = self.attempt.stream()
        self.shown: list[SegmentView] = []
        self.finishes: list[str] = []
        self.other_streams: list[str] = []
        self.others: tuple[OtherNode, ...] = ()
        self.tail = ""
        for text in LINES:
            self._add(text)

    def _add(self, text: str) -> None:
        record = {"at": 1.0, "kind": "out", "text": text}
        body = seal_bytes(json.dumps(record).encode() + b"\n", self._file_key())
        said = LogSegment(
            self.attempt.run.id,
            self.attempt.attempt,
            len(self.shown),
            self.tail,
            sha256_hex(body),
            len(body),
            self.house.now(),
        )
        envelope = sign_statement(said, {"body": said.body}, self.attempt.run_key)
        self.tail = envelope.digest
        self.shown.append(SegmentView(statement=envelope.to_json(), body=body))

    def _file_key(self) -> bytes:
        if not hasattr(self, "_key"):
            request = self.person.ask_for(self.attempt.run.id, self.stream)
            self.house.round.work()
            headers = self.house.factory.headers[request][self.stream.digest]
            self._key = open_header(split_headers(headers)[0], [self.person.identity])
        return self._key

    def finish(self) -> None:
        """The launcher signs the end."""
        lease, now = self.attempt.lease, self.house.now()
        said = Finish(
            tenant=self.house.factory.tenant,
            run=self.attempt.run.id,
            attempt=self.attempt.attempt,
            order=self.attempt.run.order.digest,
            lease=lease.digest,
            outcome=Outcome.ERROR,
            exit_status=1,
            outputs=(),
            checkpoint="",
            segments=len(LINES),
            log_tail=self.tail,
            environment="ee" * 32,
            reading=Reading(now, now, 1, 1, 0, "", 0, 1, 1, ()),
            published=(),
            started=now,
            finished=now,
            others=self.others,
        )
        envelope = sign_statement(said, {"order": said.order}, self.attempt.run_key, self.attempt.node_key)
        self.house.factory.put(EntryKind.RUN_FINISHED, envelope, run=said.run, finish=envelope.digest)
        self.finishes.append(envelope.digest)

    def request(self, envelope: Envelope) -> None:
        """Take a request for keys to the keyholder."""
        self.house.request(envelope, [self.stream])
        self.house.round.work()

    def answer(self, digest: str, wait_s: float) -> LeaseView:
        """Bring back its answer."""
        factory = self.house.factory
        return LeaseView(
            request=digest,
            state=RequestState.RELEASED,
            decision=factory.decisions[digest].to_json(),
            headers=factory.headers[digest],
            keyholder_seen="",
        )

    def read(self) -> list[LogLine]:
        """What the member's machine prints."""
        return list(read_log(self.session, self.attempt.run.id, follow=True))

    @property
    def session(self):
        """The member's session, over the simulated factory."""
        view = AttemptView(
            attempt=self.attempt.attempt,
            number=1,
            state=RunState.FAILED,
            stream=self.stream.digest,
            other_streams=self.other_streams,
        )
        empty = {key: [] for key in ("requests", "decisions", "streams", "manifests", "provenance")}
        evidence = Evidence(
            run=self.attempt.run.id, order="ab" * 32, code="ab" * 32, finishes=self.finishes, **empty
        )
        return SimpleNamespace(
            keyholder_key=self.house.keyholder_key,
            datasets=SimpleNamespace(statement=self.house.factory.statement),
            tenant=self.house.factory.tenant,
            profile=SimpleNamespace(opener=self.person.identity, member=self.person.member, device=self.person.key),
            leases=self,
            runs=SimpleNamespace(
                show=lambda _run: SimpleNamespace(attempts=[view], state=RunState.FAILED),
                log=lambda _attempt, after, rank, wait_s: StreamView(
                    stream="", header=b"", segments=self.shown[after + 1 :], ended=True
                ),
                evidence=lambda _run: evidence,
            ),
        )


@pytest.fixture
def room(house: House) -> LogRoom:
    """The log of one run."""
    return LogRoom(house)


def test_a_whole_log_is_shown(room: LogRoom) -> None:
    room.finish()
    assert [line.text for line in room.read()] == list(LINES)


def test_a_log_said_to_have_ended_early_is_refused(room: LogRoom) -> None:
    room.finish()
    del room.shown[2:]
    with pytest.raises(IntegrityError, match="2 segments came, and the launcher sent 3"):
        room.read()


def test_a_log_without_the_launchers_word_is_shown_with_a_remark(room: LogRoom) -> None:
    room.finish()
    del room.shown[2:], room.finishes[:]
    *lines, remark = room.read()
    assert [line.text for line in lines] == list(LINES[:2])
    assert remark.kind == "note"
    assert "may be missing" in remark.text


def test_segments_that_are_left_out_swapped_or_changed_are_refused(room: LogRoom) -> None:
    first, second, third = room.shown
    other = SegmentView(statement=first.statement, body=second.body)
    for shown in ([first, third], [second, first, third], [other, second, third], [first, first, third]):
        room.shown = shown
        with pytest.raises(KifabrikError):
            room.read()


def test_the_end_of_another_attempt_does_not_count(room: LogRoom) -> None:
    room.finish()
    said, _ = read_unverified(room.house.factory.statements[room.finishes.pop()], Finish)
    foreign: Envelope = sign_statement(said, {}, room.attempt.node_key)
    room.house.factory.statements[foreign.digest] = foreign
    room.finishes.append(foreign.digest)
    assert "may be missing" in room.read()[-1].text


def test_a_node_whose_log_is_left_out_is_missed(room: LogRoom) -> None:
    room.others = (OtherNode(1, "77" * 32, "ab" * 32, 2, "cd" * 32),)
    room.finish()
    room.other_streams = [""]
    for shown in ([""], []):
        room.other_streams = shown
        with pytest.raises(IntegrityError, match="the log of node 1 is left out"):
            room.read()


def test_the_log_of_one_node_does_not_pass_as_that_of_another(room: LogRoom) -> None:
    room.others = (OtherNode(1, "77" * 32, "ab" * 32, len(LINES), room.tail),)
    room.finish()
    room.other_streams = [room.stream.digest]
    room.stream = room.attempt.stream(rank=1)
    with pytest.raises(IntegrityError, match="not that of node 0"):
        room.read()
