"""From inside a rank: its own run's ranks answer, and nothing else does, whatever it sends.

The probe below runs in both ranks of two runs that share their nodes, and, as a control, outside any room on a
node: there everything it tries succeeds.
"""

import json
import subprocess
import sys
from contextlib import contextmanager

import pytest
from test_multinode_runs import RENDEZVOUS, ended, lines_of, order

from kifabrik.runs.states import RunState
from kifabrik.sandbox.network import PORT

pytestmark = [pytest.mark.xdist_group("multinode"), pytest.mark.slow, pytest.mark.timeout(400)]

SERVICE = 7777
PROBE = '''
import json, os, socket, struct

def attempt(act):
    """What came of it: the answer, or the kind of error."""
    try:
        return ["reached", str(act())]
    except OSError as error:
        return ["failed", type(error).__name__ + " " + str(error.errno)]

def tcp(address, port, patience=3):
    with socket.create_connection((address, port), patience) as peer:
        peer.settimeout(patience)
        return peer.recv(100).decode()

def udp(address, port, payload=b"hello", **options):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.settimeout(2)
        if options.get("device"):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, options["device"])
        if options.get("broadcast"):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        if options.get("spoof"):
            probe.setsockopt(socket.IPPROTO_IP, 15, 1)  # IP_FREEBIND
            probe.bind((options["spoof"], 0))
        probe.sendto(payload, (address, port))
        return probe.recv(100).decode()

def vxlan(node, number):
    """A frame for another run, in the envelope its node would take it in."""
    return udp(node, WORLD["port"], struct.pack("!II", 0x08000000, number << 8) + b"\\x02" * 60)

def resolve():
    return socket.getaddrinfo("kifabrik.org", 443)[0][4]

def raw(kind):
    family = {"packet": socket.AF_PACKET, "icmp": socket.AF_INET}[kind]
    protocol = {"packet": socket.htons(3), "icmp": socket.IPPROTO_ICMP}[kind]
    with socket.socket(family, socket.SOCK_RAW, protocol):
        return "a raw socket"

def change():
    """Add an address to the device (SIOCSIFADDR)."""
    import fcntl
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        request = struct.pack("16sH2s4s8s", b"run0", socket.AF_INET, b"", socket.inet_aton("10.77.9.9"), b"")
        fcntl.ioctl(one, 0x8916, request)
        return "an address more"

def probe():
    found = {}
    for node in WORLD["nodes"]:
        found[f"service of node {node}"] = attempt(lambda: tcp(node, WORLD["service"]))
        found[f"vxlan to {node}"] = attempt(lambda: vxlan(node, WORLD["number"]))
    for name, address in WORLD["addresses"].items():
        found[f"{name} by TCP"] = attempt(lambda: tcp(address, WORLD["service"]))
        found[f"{name} by UDP"] = attempt(lambda: udp(address, WORLD["service"]))
        found[f"{name} by UDP through run0"] = attempt(lambda: udp(address, WORLD["service"], device=b"run0"))
        found[f"{name} by UDP as a node"] = attempt(lambda: udp(address, WORLD["service"], spoof=WORLD["nodes"][0]))
    found["factory"] = attempt(lambda: socket.create_connection(tuple(WORLD["factory"]), 3).getpeername())
    found["internet"] = attempt(lambda: tcp("192.0.2.1", 80))
    found["internet by IPv6"] = attempt(lambda: socket.create_connection(("2001:db8::1", 80), 3))
    found["names"] = attempt(resolve)
    found["broadcast"] = attempt(lambda: udp("255.255.255.255", WORLD["service"], broadcast=True))
    found["broadcast to the run"] = attempt(lambda: udp("10.77.255.255", WORLD["service"], broadcast=True))
    found["multicast"] = attempt(lambda: udp("224.0.0.1", WORLD["service"], device=b"run0"))
    found["an address nobody has"] = attempt(lambda: tcp("10.77.0.200", WORLD["service"]))
    found["frames"] = attempt(lambda: raw("packet"))
    found["ICMP"] = attempt(lambda: raw("icmp"))
    found["another address"] = attempt(change)
    return found
'''
JOB = f"""{RENDEZVOUS}
WORLD = json.loads('@WORLD@')
{PROBE}
import threading

def serve(word):
    server = socket.create_server(("", 6000))
    while True:
        peer, _ = server.accept()
        peer.sendall(word.encode())
        peer.close()

word = os.environ["WORD"]
threading.Thread(target=serve, args=(f"{{word}} {{rank}}",), daemon=True).start()
print("words", json.dumps(meet(f"{{word}} {{rank}}")), flush=True)

def hear_own():
    return json.dumps([attempt(lambda: tcp(f"10.77.0.{{one + 1}}", 6000, 60)) for one in range(nodes)])

print("own", hear_own(), flush=True)
print("interfaces", json.dumps([name for _, name in socket.if_nameindex()]), flush=True)
print("routes", json.dumps([line.split()[:3] for line in open("/proc/net/route").readlines()[1:]]), flush=True)
print("probed", json.dumps(probe()), flush=True)
# Every address of the run's network answers only if it is one of the own ranks: no word of another run comes.
heard = set()
for last in range(1, 9):
    for _ in range(20):
        address = f"10.77.0.{{last}}"
        said = attempt(lambda: tcp(address, 6000, 60) if last <= nodes else udp(address, 6000))
        heard.add(said[1] if said[0] == "reached" else "")
        if last > nodes:
            break
print("heard", json.dumps(sorted(heard - {{""}})), flush=True)
time.sleep(float(os.environ["LINGER"]))
print("again", hear_own(), flush=True)
meet("done")
"""


@contextmanager
def services(cluster):
    """Something that answers by TCP and UDP on every node, on the bridge, and on every address of both."""
    code = f"""
import socket, threading
tcp = socket.create_server(("", {SERVICE}))
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("", {SERVICE}))
def echo():
    while True:
        said, peer = udp.recvfrom(1000)
        udp.sendto(b"here", peer)
threading.Thread(target=echo, daemon=True).start()
print("up", flush=True)
while True:
    peer, _ = tcp.accept()
    peer.sendall(b"here")
    peer.close()
"""
    places = [[], *(cluster.fabric.inside(node) for node in range(3))]
    running = [
        subprocess.Popen([*place, sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        for place in places
    ]
    try:
        assert [process.stdout.readline() for process in running] == ["up\n"] * len(running)
        yield
    finally:
        for process in running:
            process.kill()
            process.communicate()


@pytest.fixture(scope="module")
def world(cluster):
    """What there is to be reached, for the probe."""
    return {
        "nodes": [cluster.fabric.node_address(node) for node in range(2)],
        "service": SERVICE,
        "port": PORT,
        "number": 4711,
        "addresses": {
            "the machine": cluster.fabric.factory,
            "another node": cluster.fabric.node_address(2),
        },
        "factory": [cluster.fabric.factory, cluster.port],
    }


@pytest.fixture(scope="module")
def probed(cluster, world, tmp_path_factory):
    """Two runs of one tenant at the same time on the same two nodes: what each of their ranks found out."""
    code = JOB.replace("@WORLD@", json.dumps(world))
    runs = {}
    with services(cluster):
        for word in ("alpha", "omega"):
            variables = {"WORD": word, "LINGER": "10"}
            resources = {"cpu": 2, "memory": "300MB", "nodes": 2}
            folder = tmp_path_factory.mktemp(word)
            runs[word] = order(cluster, folder, code, resources=resources, environment={"variables": variables}).run
        views = {word: ended(cluster, run) for word, run in runs.items()}
    assert all(view.state is RunState.SUCCEEDED for view in views.values())
    placed = [view.attempts[0].node for view in views.values()]
    assert placed[0] == placed[1], "both are to run on the same nodes"
    starts = [view.attempts[0].started for view in views.values()]
    ends = [view.attempts[0].finished for view in views.values()]
    assert max(starts) < min(ends), "both are to run at the same time"
    return {
        word: {rank: _said(lines) for rank, lines in lines_of(cluster, run).items()} for word, run in runs.items()
    }


def _said(lines):
    return {name: json.loads(rest) for name, _, rest in (line.partition(" ") for line in lines) if rest[:1] in "[{"}


def test_control_outside_a_room_everything_is_reached(cluster, world):
    probe = f"WORLD = {world!r}\n{PROBE}\nprint(json.dumps(probe()))"
    with services(cluster):
        command = [*cluster.fabric.inside(0), sys.executable, "-c", probe]
        said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    found = json.loads(said.stdout)
    reached = {name for name, (how, _) in found.items() if how == "reached"}
    assert {
        "factory",
        "the machine by TCP",
        "the machine by UDP",
        "another node by TCP",
        "frames",
        "ICMP",
    } <= reached
    assert {f"service of node {node}" for node in world["nodes"]} <= reached


def test_the_ranks_of_each_run_reach_each_other(probed):
    for word, ranks in probed.items():
        for said in ranks.values():
            assert said["words"] == [f"{word} 0", f"{word} 1"]
            assert said["own"] == said["again"] == [["reached", f"{word} {rank}"] for rank in range(2)]


def test_nothing_else_is_reached_from_any_rank(probed):
    for ranks in probed.values():
        for said in ranks.values():
            reached = {name: how for name, how in said["probed"].items() if how[0] == "reached"}
            assert reached == {}
            assert len(said["probed"]) == 23


def test_no_rank_hears_a_word_of_the_other_run_on_the_same_nodes(probed):
    for word, ranks in probed.items():
        for said in ranks.values():
            assert said["heard"] == [f"{word} 0", f"{word} 1"]


def test_a_room_has_two_interfaces_and_no_route_out_of_the_network_of_its_run(probed):
    for ranks in probed.values():
        for said in ranks.values():
            assert sorted(said["interfaces"]) == ["lo", "run0"]
            assert said["routes"] == [["run0", "00004D0A", "00000000"]]


def test_a_node_keeps_no_device_and_no_address_of_a_run(cluster, probed):
    for node in range(2):
        shown = subprocess.run(
            [*cluster.fabric.inside(node), "ip", "-json", "-details", "address"], capture_output=True, check=True
        )
        assert {link["ifname"] for link in json.loads(shown.stdout)} == {"lo", "eth0"}
