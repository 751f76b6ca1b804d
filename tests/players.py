"""Real players for runs: people who order, a keyholder that releases, a launcher that does as it is told.

Imported, this module orders runs and answers requests for keys. Run as a program it is a launcher: a
process that speaks the attempts API with real keys and signatures, and plays the script that
`<node home>/scripts/<run>.json` (else `default.json`) holds: a list of steps. What the steps would do in
earnest (environment, sandbox, sealing) is left out; random bytes stand for ciphertext.
"""

import hashlib
import json
import os
import secrets
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from kifabrik.client.attempts import Attempts
from kifabrik.client.connection import Connection
from kifabrik.client.datasets import Datasets
from kifabrik.client.leases import Leases, Mailbox
from kifabrik.client.objects import Objects
from kifabrik.client.runs import Runs
from kifabrik.datasets.manifest import BodyRef, Manifest, sign_manifest
from kifabrik.errors import ConflictError, KifabrikError, RefusedError
from kifabrik.leases.statements import AttemptRequest, Lease, LeasedItem, Refusal, RequestingNode
from kifabrik.meters.reading import EnergyReading, EnergySource, Reading
from kifabrik.orders.order import Input, Order, RetryCause, sign_order
from kifabrik.runs.statements import Finish, LogSegment, LogStream, PublishedMetric
from kifabrik.runs.states import Outcome, RunState
from kifabrik.seals.identities import Identity
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.keys import SigningKey
from kifabrik.signatures.statements import read_unverified, sign_statement
from kifabrik.values import Kind, Place, Resources, format_time, new_id, now_utc, sha256_hex
from kifabrik.wire.attempts import Finished
from kifabrik.wire.leases import MailKind, RequestState

LOCK = "# kifabrik lock 1: python 3.11, x86_64-manylinux_2_28\n"
PATIENCE_S = 90.0
"""How long to wait for what only a hung process would never do."""
DONE = ["building", "keys", "log hello", "running", "finish succeeded"]


def later(**delta) -> str:
    """A time from now."""
    return format_time(now_utc() + timedelta(**delta))


def bundle(store: Objects, tenant: str, owner: str, recipient: str, key: SigningKey, **more) -> Envelope:
    """Upload random objects and sign a manifest over them."""
    bodies = [secrets.token_bytes(300) for _ in range(3)]
    headers, contents, shard = (BodyRef(store.upload_bytes(body), len(body)) for body in bodies)
    manifest = Manifest(
        tenant=tenant,
        owner=owner,
        version=more.pop("version", 1),
        previous=more.pop("previous", ""),
        recipient=recipient,
        headers=headers.sha256,
        headers_size=headers.size,
        sealed_manifest=contents,
        shards=(shard,),
        created=format_time(now_utc()),
    )
    return sign_manifest(manifest, key)


def an_order(person, **wishes) -> tuple[Envelope, Envelope]:
    """Sign an order and its code bundle's manifest; the bundle is uploaded."""
    run = wishes.pop("run", None) or new_id(Kind.RUN)
    inputs = tuple(
        Input(said.owner, said.version, one.digest)
        for one in wishes.pop("inputs", ())
        for said, _ in [read_unverified(one, Manifest)]
    )
    inputs += tuple(Input(owner, 1, "") for owner in wishes.pop("awaited", ()))
    recipient = Identity.generate().recipient.text
    code = wishes.pop("code_manifest", None) or bundle(
        Objects(person.connection), person.party.tenant, f"{run}/code", recipient, person.key
    )
    order = Order(
        **{
            "run": run,
            "tenant": person.party.tenant,
            "member": person.member,
            "purpose": "p-test",
            "inputs": inputs,
            "code": code.digest,
            "lock": sha256_hex(LOCK.encode()),
            "python": "3.11",
            "resources": Resources(cpus=1, memory_bytes=10**6),
            "place": Place(),
            "outputs": 0,
            "publish": (),
            "checkpoint": False,
            "attempts": 1,
            "retry_on": (),
            "max_duration_s": 3600,
            "budget_micro_eur": 0,
            "priority": 0,
            "ask": False,
            "created": format_time(now_utc()),
            "deadline": later(days=1),
            "nonce": secrets.token_hex(16),
            "keyholder": 1,
        }
        | wishes
    )
    return sign_order(order, person.key), code


def order(person, **wishes):
    """Order a run and return its view."""
    signed, code = an_order(person, **wishes)
    return Runs(person.connection).order(signed, code, LOCK, None)


def wait_for(runs: Runs, run: str, *states: str, seconds: float = PATIENCE_S):
    """Wait until a run is in one of these states, and return it."""
    until = time.monotonic() + seconds
    view = runs.show(run)
    while str(view.state) not in states:
        assert time.monotonic() < until, f"the run is {view.state}: {view.reason}"
        view = runs.show(run, revision=view.revision, wait_s=5)
    return view


def eventually(test, seconds: float = PATIENCE_S):
    """Wait until something holds, and return it."""
    until = time.monotonic() + seconds
    while not (found := test()):
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.02)
    return found


RETRY_NODE = (RetryCause.NODE_FAILURE,)


class KeyholderPlayer:
    """Releases a lease for every request of an attempt; `refuse` makes it refuse."""

    def __init__(self, party) -> None:
        self.party = party
        self.refuse = False
        self.output = Identity.generate().recipient.text
        self._over = threading.Event()
        self._connection = Connection(party.factory.url, party.token, patience_s=30)
        self._mailbox = Mailbox(self._connection)
        self._datasets = Datasets(self._connection)
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def close(self) -> None:
        """Stop answering."""
        self._over.set()
        self._thread.join()
        self._connection.close()

    def _work(self) -> None:
        after = 0
        while not self._over.is_set():
            try:
                letters = self._mailbox.mail(after=after, wait_s=0.15)
            except KifabrikError:
                self._over.wait(0.2)
                continue
            for letter in letters:
                after = letter.number
                if letter.kind is MailKind.REQUEST:
                    self._answer(self._datasets.statement(letter.digest))

    def _answer(self, request: Envelope) -> None:
        said, _ = read_unverified(request, AttemptRequest)
        headers = {item: secrets.token_bytes(170) for item in said.items}
        if self.refuse:
            told = Refusal(
                said.tenant, request.digest, "no-grant", "There is no grant.", final=True, created=later()
            )
            self._mailbox.decide(self.party.sign(told, self.party.keyholder_key), {}, None)
            return
        lease = Lease(
            lease=new_id(Kind.LEASE),
            tenant=said.tenant,
            request=request.digest,
            order=said.order,
            run=said.run,
            receiver=said.attempt,
            run_key=said.run_key,
            node_keys=said.node_keys,
            recipient=said.recipient,
            items=tuple(LeasedItem(item, hashlib.sha256(headers[item]).hexdigest()) for item in said.items),
            grants=(),
            output_recipient=self.output,
            environment=said.environment,
            log_index=0,
            log_size=1,
            log_root="00" * 32,
            created=later(),
            expires=later(hours=1),
        )
        try:
            self._mailbox.decide(self.party.sign(lease, self.party.keyholder_key), headers, None)
        except (ConflictError, RefusedError):
            return


@contextmanager
def keyholder(party) -> Iterator[KeyholderPlayer]:
    """A keyholder that answers while the block runs."""
    player = KeyholderPlayer(party)
    try:
        yield player
    finally:
        player.close()


class LauncherPlayer:
    """A launcher that plays a script."""

    def __init__(self, assignment: dict, node_key: SigningKey) -> None:
        self.assignment = assignment
        self.connection = Connection(assignment["factory"], assignment["token"], patience_s=60)
        self.api = Attempts(self.connection, assignment["attempt"])
        self.attempt, self.tenant = assignment["attempt"], assignment["tenant"]
        self.node_key, self.run_key = node_key, SigningKey.generate()
        self.identity = Identity.generate()
        self.started = now_utc()
        self.lease = self.request = None
        self.number, self.tail, self.checkpoint = 0, "", ""
        self.outputs: list[Envelope] = []
        self.published: tuple[PublishedMetric, ...] = ()

    def take_work(self) -> str:
        """Fetch the work and return the run's id."""
        self.work = self.api.work()
        self.order, _ = read_unverified(Envelope.from_json(self.work.order), Order)
        return self.work.run

    def play(self, steps: list[str]) -> None:
        """Play all steps."""
        for step in steps:
            verb, _, rest = step.partition(" ")
            getattr(self, f"do_{verb}")(rest)

    def do_building(self, _rest: str) -> None:
        self.api.progress(RunState.BUILDING)

    def do_running(self, _rest: str) -> None:
        self.api.progress(RunState.RUNNING)

    def do_keys(self, _rest: str) -> None:
        leases = Leases(self.connection)
        request = self.request or self.signed_request()  # one made before is the same, whatever the second now is
        leases.request(request)
        while True:
            answer = leases.answer(request.digest, wait_s=5)
            if answer.state is RequestState.RELEASED:
                break
            if answer.state is RequestState.REFUSED:
                self.do_finish("refused")
                sys.exit(0)
        self.lease = Envelope.from_json(answer.decision)
        self.output = read_unverified(self.lease, Lease)[0].output_recipient
        self.open_log()

    def signed_request(self, **changes) -> Envelope:
        """Sign a request for the keys of the attempt."""
        checkpoint = [Envelope.from_json(self.work.checkpoint)] if self.work.checkpoint else []
        named = [Envelope.from_json(text) for text in (self.work.code, *self.work.inputs)] + checkpoint
        said = {
            "tenant": self.tenant,
            "run": self.work.run,
            "attempt": self.attempt,
            "number": self.work.number,
            "order": Envelope.from_json(self.work.order).digest,
            "items": tuple(one.digest for one in named),
            "nodes": (RequestingNode(self.node_key.public.hex, self.identity.recipient.text),),
            "place": self.work.place,
            "run_key": self.run_key.public.hex,
            "recipient": self.identity.recipient.text,
            "environment": "ee" * 32,
            "created": format_time(now_utc()),
        } | changes
        keys = (self.run_key, self.node_key)
        return sign_statement(AttemptRequest(**said), {"order": said["order"]}, *keys)

    def open_log(self) -> None:
        header = secrets.token_bytes(200)
        said = LogStream(self.tenant, self.work.run, self.attempt, self.lease.digest, sha256_hex(header), later())
        self.api.open_stream(sign_statement(said, {"header": said.header}, self.run_key), header)

    def do_log(self, text: str) -> None:
        self.segment(text.encode())

    def do_flood(self, size: str) -> None:
        self.segment(secrets.token_bytes(int(size)))

    def segment(self, body: bytes) -> Envelope:
        """Sign and send a log segment."""
        said = LogSegment(self.work.run, self.attempt, self.number, self.tail, sha256_hex(body), len(body), later())
        envelope = sign_statement(said, {"body": said.body}, self.run_key)
        self.api.add_segment(envelope, body)
        self.number, self.tail = self.number + 1, envelope.digest
        return envelope

    def do_publish(self, text: str) -> None:
        name, value = text.split("=")
        self.published = (PublishedMetric(name, float(value)),)

    def do_checkpoint(self, _rest: str) -> None:
        before = Envelope.from_json(self.work.checkpoint) if self.work.checkpoint else None
        version = read_unverified(before, Manifest)[0].version + 1 if before else 1
        envelope = self.sealed("checkpoint", version=version, previous=before.digest if before else "")
        self.api.add_checkpoint(envelope)
        self.checkpoint = envelope.digest

    def do_output(self, number: str) -> None:
        self.outputs.append(self.sealed(number))

    def sealed(self, part: str, **more) -> Envelope:
        """Upload something sealed and sign its manifest."""
        store = Objects(self.connection)
        return bundle(store, self.tenant, f"{self.work.run}/{part}", self.output, self.run_key, **more)

    def do_sleep(self, seconds: str) -> None:
        time.sleep(float(seconds))

    def do_die(self, _rest: str) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def do_exit(self, status: str) -> None:
        sys.exit(int(status))

    def do_until_told(self, _rest: str) -> None:
        while not (said := self.api.control(wait_s=5)).stop:
            pass
        self.do_finish({"stop": "stopped", "cap": "cap", "preemption": "preempted"}[said.cause])
        sys.exit(0)

    def do_hand_over(self, path: str) -> None:
        """Leave the attempt to whoever reads the file: a test that plays launcher itself."""
        partial = Path(path + ".partial")
        partial.write_text(json.dumps(self.assignment))
        partial.replace(path)
        while not self.api.control(wait_s=5).stop:
            pass
        sys.exit(0)

    def do_wait_for(self, path: str) -> None:
        while not Path(path).exists():
            time.sleep(0.02)

    def do_finish(self, text: str) -> None:
        self.api.finish(self.closing(text))

    def closing(self, text: str = "succeeded", **changes) -> Finished:
        """Sign the end."""
        outcome, _, message = text.partition(" ")
        ended = now_utc()
        wall_ms = max(1000, int((ended - self.started).total_seconds() * 1000))
        energy = (EnergyReading(EnergySource.ESTIMATED, "cpu", 5000),)
        started = format_time(self.started)
        reading = Reading(started, format_time(ended), wall_ms, wall_ms // 2, 0, "", 0, 10**6, 5, energy)
        said = {
            "tenant": self.tenant,
            "run": self.work.run,
            "attempt": self.attempt,
            "order": Envelope.from_json(self.work.order).digest,
            "lease": self.lease.digest if self.lease else "",
            "outcome": Outcome(outcome),
            "exit_status": 0 if outcome == "succeeded" else 1,
            "outputs": tuple(one.digest for one in self.outputs),
            "checkpoint": self.checkpoint,
            "segments": self.number,
            "log_tail": self.tail,
            "environment": "ee" * 32,
            "reading": reading,
            "published": self.published,
            "started": started,
            "finished": format_time(ended),
        } | changes
        envelope = sign_statement(Finish(**said), {"order": said["order"]}, self.run_key, self.node_key)
        outputs = [one.to_json() for one in self.outputs]
        return Finished(finish=envelope.to_json(), outputs=outputs, provenance="", message=message)


def main() -> None:
    """Be a launcher."""
    home = Path(sys.argv[1])
    line = sys.stdin.readline()
    if not line:
        return
    player = LauncherPlayer(json.loads(line), SigningKey((home / "node.key").read_bytes()))
    if (home / "scripts" / "never-come").exists():
        return
    script = home / "scripts" / f"{player.take_work()}-{player.work.number}.json"
    default = home / "scripts" / "default.json"
    steps = json.loads((script if script.exists() else default).read_text())
    try:
        player.play(steps)
    finally:
        player.connection.close()


if __name__ == "__main__":
    main()
