import shutil
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pytest

from kifabrik.errors import UnavailableError, UsageError
from kifabrik.plant.metering import watching
from kifabrik.plant.metering.connecting import Connections, Modbus, Mqtt, read_connections
from kifabrik.plant.metering.readings import readings_of
from kifabrik.plant.metering.store import Store
from kifabrik.plant.metering.watching import Listener, ask, heard, watch
from ports import free_port

PATIENCE_S = 60


def until_open(port):
    for _ in range(1200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail(f"nothing listens on port {port}")


SERVER = """
import sys
from pymodbus.client import ModbusTcpClient as Client
from pymodbus.datastore import ModbusDeviceContext, ModbusSequentialDataBlock, ModbusServerContext
from pymodbus.server import StartTcpServer
words = [*Client.convert_to_registers(12.5, Client.DATATYPE.FLOAT32)]
words += Client.convert_to_registers(70_000, Client.DATATYPE.UINT32)
block = ModbusSequentialDataBlock(1, words + [0] * 10)
context = ModbusServerContext(devices=ModbusDeviceContext(hr=block, ir=block), single=True)
StartTcpServer(context, address=("127.0.0.1", int(sys.argv[1])))
"""


@pytest.fixture
def modbus(monkeypatch):
    """A Modbus TCP server whose registers from 0 on hold 12.5 as float32 and 70,000 as uint32.

    It is waited for longer than a meter, which leaves a gap when its machine stalls for some seconds.
    """
    monkeypatch.setattr(watching, "_PATIENCE", PATIENCE_S)
    port = free_port()
    running = subprocess.Popen([sys.executable, "-c", SERVER, str(port)], stderr=subprocess.DEVNULL)
    try:
        until_open(port)
        yield port
    finally:
        running.terminate()
        running.wait(60)


@contextmanager
def mosquitto(folder):
    """A broker of its own for a test: its port and its process."""
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
    if not program:
        pytest.skip("mosquitto is not installed (Debian: apt install mosquitto)")
    port = free_port()
    settings = folder / "mosquitto.conf"
    settings.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
    running = subprocess.Popen([program, "-c", settings], stderr=subprocess.DEVNULL)
    try:
        until_open(port)
        yield port, running
    finally:
        running.terminate()
        running.wait(60)


@pytest.fixture
def broker(tmp_path):
    with mosquitto(tmp_path) as (port, _):
        yield port


@pytest.fixture
def publish(broker, monkeypatch):
    """Says something on a topic and comes back when the listener has dealt with it.

    The broker keeps it, so that who subscribes only then is told as well.
    """
    from paho.mqtt.publish import single

    dealt_with, keep = threading.Semaphore(0), Listener._keep

    def kept(*words):
        keep(*words)
        dealt_with.release()

    def say(topic, payload):
        single(topic, payload, qos=1, retain=True, hostname="127.0.0.1", port=broker)
        assert dealt_with.acquire(timeout=PATIENCE_S)

    monkeypatch.setattr(Listener, "_keep", kept)
    return say


def test_a_modbus_meter_is_read_in_its_types(modbus):
    place = {"host": "127.0.0.1", "port": modbus}
    assert ask(Modbus(**place, register=0, type="float32")) == 12.5
    assert ask(Modbus(**place, register=2, type="uint32", scale=0.1)) == pytest.approx(7000)
    assert ask(Modbus(**place, register=2, type="uint32", table="input")) == 70_000


def test_a_register_that_is_not_there_is_said(modbus):
    with pytest.raises(UnavailableError, match="register 9000"):
        ask(Modbus(host="127.0.0.1", port=modbus, register=9000))


def test_a_meter_that_does_not_answer_leaves_a_gap_and_is_said_once(tmp_path):
    told = []
    dead = {"name": "grid", "kind": "energy", "unit": "kWh",
            "modbus": {"host": "127.0.0.1", "port": free_port(), "register": 0}}  # fmt: skip
    kept = watch(Connections(meters=[dead]), Store(tmp_path), rounds=3, tell=told.append, sleep=lambda _: None)
    assert kept == {"grid": 0}
    assert len(told) == 1
    assert Store(tmp_path).meters() == []


def test_modbus_and_mqtt_meters_are_kept_together(tmp_path, modbus, broker, publish):
    meters = Connections(
        every=0.1,
        meters=[
            {"name": "grid", "kind": "energy", "unit": "kWh",
             "modbus": {"host": "127.0.0.1", "port": modbus, "register": 0}},
            {"name": "heat", "kind": "energy", "unit": "MWh", "field": "heat_delivered",
             "mqtt": {"host": "127.0.0.1", "port": broker, "topic": "site/heat", "key": "energy.total"}},
        ],
    )  # fmt: skip
    told = []

    def tell(_):
        publish("site/heat", '{"energy": {"total": 4.5}}')
        publish("site/heat", '{"energy": {}}')

    store = Store(tmp_path / "meters")
    kept = watch(meters, store, rounds=3, tell=told.append, sleep=tell)
    assert kept == {"grid": 3, "heat": 2}
    assert store.read("heat").value[-1] == pytest.approx(4.5 * 3.6e9)
    assert any("no number" in one for one in told)


def test_a_counter_that_is_told_in_another_unit_leaves_a_gap_until_a_person_says_which(tmp_path, broker, publish):
    place = {"host": "127.0.0.1", "port": broker, "topic": "site/heat"}
    meters = Connections(every=0.1, meters=[{"name": "heat", "kind": "energy", "unit": "MWh", "mqtt": place}])
    store = Store(tmp_path / "meters")
    heat = meters.meters[0].meter
    store.append(readings_of(heat, [(1000, 1234.0)]))
    told, values = [], iter(("1234500", "1234500", "1235"))

    kept = watch(meters, store, rounds=4, tell=told.append, sleep=lambda _: publish("site/heat", next(values)))
    assert kept == {"heat": 1}
    assert (store.read("heat").value / 3.6e9).tolist() == pytest.approx([1234, 1235])
    assert len(told) == 2
    assert "heat: rises from 1234 to 1.2345e+06: the unit changed by a factor of 1000. Nothing of it is" in told[0]
    assert told[1] == "heat: goes on in its unit."


STOPPING = """
import socket, sys
with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as listening:
    while True:
        with listening.accept()[0] as caller:
            asked = caller.recv(64)
            caller.sendall(asked[:4] + bytes([0, 7]) + asked[6:8] + bytes([4, 65]))  # a header, half of the rest
"""


def test_a_modbus_server_that_stops_in_the_middle_of_an_answer_leaves_a_gap(tmp_path):
    port = free_port()
    running = subprocess.Popen([sys.executable, "-c", STOPPING, str(port)])
    told = []
    meter = {"name": "grid", "kind": "energy", "unit": "kWh",
             "modbus": {"host": "127.0.0.1", "port": port, "register": 0}}  # fmt: skip
    try:
        until_open(port)
        kept = watch(Connections(meters=[meter]), Store(tmp_path), rounds=2, tell=told.append, sleep=lambda _: None)
    finally:
        running.terminate()
        running.wait(60)
    assert kept == {"grid": 0}
    assert len(told) == 1
    assert "register 0 does not answer" in told[0]


def test_garbage_is_said_once_and_then_that_the_meter_is_back(tmp_path, broker, publish):
    meters = Connections(
        every=0.1,
        meters=[{"name": "heat", "kind": "energy", "unit": "MWh",
                 "mqtt": {"host": "127.0.0.1", "port": broker, "topic": "site/heat"}}],
    )  # fmt: skip
    told = []

    def tell(_):
        for payload in (b"\xff\x00", "9" * 400, "full", "4.5"):
            publish("site/heat", payload)

    kept = watch(meters, Store(tmp_path), rounds=2, tell=told.append, sleep=tell)
    assert kept["heat"] == 1
    assert len(told) == 2
    assert "no number" in told[0]
    assert told[1] == "heat: answers again."


def test_a_broker_that_goes_away_is_said(tmp_path):
    told, gone = [], threading.Event()

    def tell(words):
        told.append(words)
        gone.set()

    with mosquitto(tmp_path) as (port, running):

        def stop(_):
            running.terminate()
            running.wait(60)
            assert gone.wait(PATIENCE_S)

        meters = Connections(
            meters=[{"name": "a", "kind": "power", "unit": "W",
                     "mqtt": {"host": "127.0.0.1", "port": port, "topic": "x"}}]
        )  # fmt: skip
        watch(meters, Store(tmp_path / "meters"), rounds=2, tell=tell, sleep=stop)
    assert "is gone" in told[0]


def test_no_broker_is_said(tmp_path):
    meters = Connections(
        meters=[{"name": "a", "kind": "power", "unit": "W",
                 "mqtt": {"host": "127.0.0.1", "port": free_port(), "topic": "x"}}]
    )  # fmt: skip
    with pytest.raises(UnavailableError, match="cannot be reached"):
        watch(meters, Store(tmp_path), rounds=1, tell=print)


@pytest.mark.parametrize(
    "payload",
    [b"", b"nan", b"[1]", b'{"b": 1}', b"\xff", b'{"a": "x"}', b"[" * 100_000, b'{"a": true}', b'{"a": 1e999}',
     b'{"a": ' + b"9" * 400 + b"}", b'{"a": ' + b"9" * 5000 + b"}", b'{"a": null}', b'{"a": {}}'],
)  # fmt: skip
def test_messages_without_a_number_are_refused(payload):
    with pytest.raises(UnavailableError, match="no number"):
        heard(Mqtt(host="h", topic="t", key="a"), payload)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("meters: []", "at least 1 item"),
        ("meters: [{name: a, kind: energy, unit: kWh}]", "needs one of modbus and mqtt"),
        ("meters: [{name: a, kind: heat, unit: kWh, mqtt: {host: h, topic: t}}]", "meters.0.kind"),
        ("meters: [{name: a, kind: energy, unit: K, mqtt: {host: h, topic: t}}]", "'K' is no unit of energy"),
        ("meters: [{name: a, kind: power, unit: W, mqtt: {host: h, topic: site/+}}]", "meters.0.mqtt.topic"),
        ("every: .inf\nmeters: []", "every: Input should be less than or equal to 86400"),
        (
            "meters: [{name: a, kind: power, unit: W, mqtt: {host: h, topic: t, scale: .nan}}]",
            "meters.0.mqtt.scale",
        ),
        ("a: [", "not valid YAML"),
    ],
)
def test_a_bad_file_of_meters_is_named_by_key(tmp_path, text, told):
    path = tmp_path / "meters.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=told):
        read_connections(path)
