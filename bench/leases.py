"""What a lease costs: one for a run on 1,250 nodes, and many for runs on one.

    python bench/leases.py [--nodes 1250] [--singles 500] [--json PATH]

Service and keyholder are processes of their own, with a real grant on a dataset of two files; the launchers'
side is played here with real keys, signatures and seals over HTTP, but starts nothing. Seconds of a processor
are read from /proc for the keyholder and the service, and from this process's own clock for the launchers.
What is measured is from the first word of a launcher to the keys in its hands.
"""

import base64
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Self

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/integration")]

from report import Bar, Picture, hand_on, parser
from runs_room import Desk
from test_keyholder_service import PURPOSE, Customer, order, seal

from kifabrik.client.attempts import Attempts
from kifabrik.client.leases import Leases
from kifabrik.customer.session import open_session
from kifabrik.factory.allowances import Limits
from kifabrik.factory.node_records import NodeRecord
from kifabrik.launcher.lease import AttemptKeys
from kifabrik.leases.joining import NodeJoined, check_composed, entries_of, merge_signatures, verify_joined
from kifabrik.leases.statements import AttemptRequest, Lease
from kifabrik.leases.verify import verify_attempt_lease, verify_attempt_request, verify_headers
from kifabrik.runs.gathering import Stage
from kifabrik.seals.identities import Identity
from kifabrik.seals.opening import open_header
from kifabrik.seals.recipients import Recipient
from kifabrik.seals.sealing import make_header, new_file_key, seal_bytes
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.keys import SigningKey, VerifyKey
from kifabrik.signatures.statements import read_unverified, sign_statement
from kifabrik.values import Kind, Place, Resources, format_time, new_id, now_utc
from kifabrik.wire.leases import RequestState

GPUS = 10_000
CHECKED = 20
GPUS_OF_A_NODE = 8
TICK = os.sysconf("SC_CLK_TCK")
SERVE = """
import sys, threading
from pathlib import Path
from kifabrik.keyholder.keyholder import open_keyholder
from kifabrik.keyholder.unlocking import Passphrase
with open_keyholder(Path(sys.argv[1]), Passphrase(sys.argv[2])) as keyholder:
    print("serving", flush=True)
    keyholder.serve(threading.Event())
"""
FOUND: dict[str, float] = {}


def line(what: str, value: float, unit: str) -> None:
    FOUND[what] = value
    print(f"{what:68} {value:12,.2f} {unit}", flush=True)


def cpu_s(pid: int) -> float:
    """Processor time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


@contextmanager
def keyholder_process(customer: Customer):
    """The customer's keyholder in a process of its own."""
    command = [sys.executable, "-c", SERVE, str(customer.home / "keyholder"), "correct horse"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield process.pid
        finally:
            process.kill()


class Measured:
    """Processor seconds of all parties while a block runs."""

    def __init__(self, keyholder: int, service: int) -> None:
        self._pids = {"keyholder": keyholder, "service": service}

    def __enter__(self) -> Self:
        self._before = {name: cpu_s(pid) for name, pid in self._pids.items()}
        self._own, self._began = time.process_time(), time.perf_counter()
        return self

    def __exit__(self, *_error: object) -> None:
        self.wall_s = time.perf_counter() - self._began
        self.launchers_s = time.process_time() - self._own
        self.keyholder_s, self.service_s = (cpu_s(pid) - self._before[name] for name, pid in self._pids.items())


def enrol(desk: Desk, name: str, count: int, cpus: int) -> dict[str, SigningKey]:
    """Enrol nodes; return their keys by id."""
    keys = {}
    for number in range(count):
        key, node = SigningKey.generate(), new_id(Kind.NODE)
        record = NodeRecord(
            node=node,
            name=f"{name}{number:04}",
            key=key.public.hex,
            place=Place("DE"),
            cpus=cpus,
            memory_bytes=10**12,
            gpus=(),
            pythons=("3.11",),
            created=format_time(now_utc()),
        )
        desk.driven.runs.fleet.enrol(record)
        keys[node] = key
    return keys


def answered(leases: Leases, request: Envelope):
    view = leases.answer(request.digest, wait_s=60)
    while view.state not in (RequestState.RELEASED, RequestState.REFUSED):
        view = leases.answer(request.digest, wait_s=60)
    assert view.state is RequestState.RELEASED, view
    return view


def cpu_of(act):
    """Call it; return what it gave and the processor seconds it took here."""
    before = time.process_time()
    found = act()
    return found, time.process_time() - before


class Large:
    """A run on many nodes that has started: the launchers' side of it."""

    def __init__(self, desk: Desk, session, folder: Path, data: str, nodes: int) -> None:
        keys = enrol(desk, "large", nodes, 8)
        run = order(session, folder, data, resources=Resources(cpus=8, memory_bytes=10**6, nodes=nodes))
        desk.drive()
        self.player = desk.launcher(SimpleNamespace(connection=session.connection), run)
        with desk.driven.store.read() as transaction:
            attempt = transaction.runs.attempt(self.player.tenant, self.player.attempt)
        assert attempt is not None
        self.nodes = nodes
        self.keys = [keys[share.node] for share in attempt.placement]
        self.identities = [Identity.generate() for _ in self.keys]
        self.mine = AttemptKeys()
        self.asked = read_unverified(self.player.signed_request(), AttemptRequest)[0]
        self.api = [Attempts(self.player.connection, self.player.attempt, rank) for rank in range(nodes)]
        self.leases = Leases(self.player.connection)

    def join(self) -> dict[int, str]:
        """Every node joins; what the first then sees."""
        for rank, key in enumerate(self.keys):
            said = NodeJoined(
                tenant=self.asked.tenant,
                run=self.asked.run,
                attempt=self.asked.attempt,
                order=self.asked.order,
                rank=rank,
                node_key=key.public.hex,
                recipient=self.identities[rank].recipient.text,
                evidence="",
                environment=self.asked.environment,
                underlay=f"10.{rank >> 16 & 255}.{rank >> 8 & 255}.{rank & 255}",
                mtu=9000,
                created=format_time(now_utc()),
            )
            self.api[rank].leave(Stage.JOINED, sign_statement(said, {}, key).to_json())
        return self.api[0].stage(Stage.JOINED, wait_s=5).notes

    def compose(self, joined: dict[int, NodeJoined]) -> Envelope:
        """The first node's request."""
        said = {"nodes": entries_of(joined, joined[0], self.nodes), "recipient": self.mine.identity.recipient.text}
        draft = self.player.signed_request(**said, run_key=self.mine.run_key.public.hex)
        return Envelope.sign(draft.payload, self.mine.run_key, self.keys[0])

    def sign(self, request: Envelope, joined: dict[int, NodeJoined]) -> tuple[dict[int, str], float]:
        """Every other node signs; the signatures, and what one of them needs to check the request."""
        self.api[0].leave(Stage.REQUEST, request.to_json())
        empty = {"nodes": (), "run_key": "", "recipient": "", "created": ""}
        expected = AttemptRequest(**{**vars(self.asked), **empty})
        check_s = 0.0
        for rank in range(1, self.nodes):
            if rank <= CHECKED:  # each does the same
                _, one_s = cpu_of(lambda rank=rank: check_composed(request, expected, joined[rank], self.nodes))
                check_s += one_s / min(CHECKED, self.nodes - 1)
            signature = base64.b64encode(request.signature_by(self.keys[rank])).decode()
            self.api[rank].leave(Stage.SIGNED, signature)
        return self.api[0].stage(Stage.SIGNED, wait_s=5).notes, check_s

    def wrap(self) -> tuple[bytes, list[bytes]]:
        """The attempt's keys for every node."""
        secret = {"run_key": "0" * 64, "identity": self.mine.identity.text, "underlays": ["10.9.9.9"] * self.nodes}
        file_key = new_file_key()
        headers = [make_header(file_key, [Recipient.from_text(one.recipient.text)]) for one in self.identities]
        return seal_bytes(json.dumps(secret).encode(), file_key), headers


def one_large(desk: Desk, session, folder: Path, data: str, nodes: int, pids: tuple[int, int]) -> None:
    large = Large(desk, session, folder, data, nodes)
    key = VerifyKey.from_hex(session.keyholder.keyholder_key)
    with Measured(*pids) as whole:
        notes = large.join()
        joined, verify_s = cpu_of(
            lambda: {rank: verify_joined(Envelope.from_json(text)) for rank, text in notes.items()}
        )
        request, compose_s = cpu_of(lambda: large.compose(joined))
        signed, check_s = large.sign(request, joined)
        complete, merge_s = cpu_of(lambda: merge_signatures(request, signed))
        with Measured(*pids) as lease_only:
            large.leases.request(complete)
            view = answered(large.leases, complete)
        decision = Envelope.from_json(view.decision)

        def believe() -> None:
            lease = verify_attempt_lease(decision, key, verify_attempt_request(complete), now_utc())
            verify_headers(lease.predicate, view.headers)

        _, believe_s = cpu_of(believe)
        (body, headers), wrap_s = cpu_of(large.wrap)
        large.api[0].hand_over(body, headers)
        last = large.api[nodes - 1].stage(Stage.KEYS, wait_s=5).notes
        open_header(base64.b64decode(last[nodes - 1]), [large.identities[-1]])
    found = [one for one in session.catalogue().entries if one.refs.get("request") == complete.digest]
    label = f"one lease for {nodes:,} nodes:"
    line(f"{label} keyholder", lease_only.keyholder_s, "CPU s")
    line(f"{label} service, request and answer", lease_only.service_s, "CPU s")
    line(f"{label} service, notes besides", whole.service_s - lease_only.service_s, "CPU s")
    line(f"{label} from request to keys", lease_only.wall_s, "s")
    line(f"{label} from the first join to the last keys", whole.wall_s, "s")
    line(f"{label} first node, verifies all joins", 1000 * verify_s, "CPU ms")
    line(f"{label} first node, composes, merges signatures", 1000 * (compose_s + merge_s), "CPU ms")
    line(f"{label} first node, believes the lease", 1000 * believe_s, "CPU ms")
    line(f"{label} first node, wraps the keys for all", 1000 * wrap_s, "CPU ms")
    line(f"{label} another node, checks the request", 1000 * check_s, "CPU ms")
    for what, size in (
        ("bytes of the request", len(complete.to_json())),
        ("bytes of the lease", len(view.decision)),
        ("bytes of the lease's headers", sum(map(len, view.headers.values()))),
        ("bytes of the log entry of the request", max(len(one.to_bytes()) for one in found)),
        ("bytes of the keys wrapped for one node", len(headers[0])),
        ("bytes of what these open, the same for all", len(body)),
    ):
        line(what, size, "B")
    large.player.connection.close()


def many_small(desk: Desk, session, folder: Path, data: str, count: int, pids) -> None:
    (key,) = enrol(desk, "small", 1, 4 * count).values()
    for _ in range(count):
        order(session, folder, data)
    players = []
    while len(players) < count:
        desk.drive()
        for attempt in list(desk.engine.tasks.values())[len(players) :]:
            with desk.driven.store.read() as transaction:
                run = transaction.runs.attempt(attempt.tenant, attempt.attempt).run
            player = desk.launcher(SimpleNamespace(connection=session.connection), run)
            player.node_key = key
            players.append(player)
    requests = [(Leases(player.connection), player.signed_request()) for player in players]
    with Measured(*pids) as together:
        for leases, request in requests:
            leases.request(request)
        for leases, request in requests:
            answered(leases, request)
    lease = read_unverified(Envelope.from_json(answered(*requests[-1]).decision), Lease)[0]
    assert lease.grants
    label = f"{count} leases for one node each, all asked for at once:"
    line(f"{label} keyholder", 1000 * together.keyholder_s / count, "CPU ms each")
    line(f"{label} service", 1000 * together.service_s / count, "CPU ms each")
    line(f"{label} leases", count / together.wall_s, "/s")
    for player in players:
        player.connection.close()


def fresh(folder: Path, desk: Desk, name: str):
    """A tenant of its own with one sealed and granted dataset."""
    home = folder / name
    home.mkdir()
    customer = Customer(desk, home)
    return customer, home


def main(nodes: int, singles: int) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        desk = Desk(folder / "factory")
        try:
            customer, home = fresh(folder, desk, "customer")
            desk.driven.runs.fleet.enable("box", enabled=False)
            with desk.driven.store.write() as transaction:
                transaction.runs.set_limits(customer.tenant, Limits(most_runs=100_000))
            with keyholder_process(customer) as keyholder, open_session(customer.enrol()) as session:
                data = seal(session, home)
                owner = session.catalogue().datasets()[0].dataset
                with customer.steward() as steward:
                    steward.grant(owner, PURPOSE)
                pids = (keyholder, desk.process.pid)
                many_small(desk, session, home, data, singles, pids)
                one_large(desk, session, home, data, nodes, pids)
        finally:
            desk.close()
    summary(nodes, singles)


def summary(nodes: int, singles: int) -> None:
    """What it comes to for a factory of ten thousand GPUs."""
    each_s = FOUND[f"{singles} leases for one node each, all asked for at once: keyholder"] / 1000
    large_s = FOUND[f"one lease for {nodes:,} nodes: keyholder"]
    line(f"keyholder, to start {GPUS:,} GPUs as one run", large_s * GPUS / GPUS_OF_A_NODE / nodes, "CPU s")
    line(f"keyholder, as {GPUS // GPUS_OF_A_NODE:,} runs of one node", each_s * GPUS / GPUS_OF_A_NODE, "CPU s")
    line(f"keyholder, as {GPUS:,} tasks of one GPU", each_s * GPUS, "CPU s")


def picture() -> Picture:
    """Keyholder seconds for ten thousand GPUs."""
    bars = tuple(Bar(what, value, "ours") for what, value in FOUND.items() if what.startswith("keyholder, "))
    note = "Processor seconds of the customer's keyholder until every node has its keys."
    return Picture(f"Keys for {GPUS:,} GPUs", "seconds", bars, note)


if __name__ == "__main__":
    made = parser(__doc__)
    made.add_argument("--nodes", type=int, default=1250)
    made.add_argument("--singles", type=int, default=500)
    wishes = made.parse_args()
    main(wishes.nodes, wishes.singles)
    hand_on(wishes.json, picture())
