"""Asking meters by Modbus TCP and hearing them by MQTT, and keeping what they tell.

Invariants:
    - A meter that does not answer, or tells no number, leaves a gap, never an invented value; that is said once,
      and again when it is back. The same holds for a broker.
    - A counter that rises or falls by a factor between units is told so, and leaves a gap: what it counts is not
      known until a person says in which unit.
    - What was read is written at each round, so a crash loses a round at most.
"""

import json
import logging
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from kifabrik.errors import UnavailableError, UsageError
from kifabrik.plant.metering.connecting import Connections, Modbus, Mqtt, Watched
from kifabrik.plant.metering.readings import Readings, readings_of
from kifabrik.plant.metering.store import Store

_PATIENCE: Final = 3.0
_REGISTERS: Final = {
    "uint16": 1, "int16": 1, "uint32": 2, "int32": 2, "float32": 2, "uint64": 4, "int64": 4, "float64": 4,
}  # fmt: skip


def ask(place: Modbus) -> float:
    """Ask a meter by Modbus TCP.

    Returns:
        Its value in its own unit.

    Raises:
        UnavailableError: It cannot be reached, refuses, or tells no number.
    """
    from pymodbus.client import ModbusTcpClient  # noqa: PLC0415 - slow to import
    from pymodbus.exceptions import ModbusException  # noqa: PLC0415

    logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)  # what goes wrong is said by us
    where = f"{place.host}:{place.port}, device {place.device}, register {place.register_at}"
    client: Any = ModbusTcpClient(place.host, port=place.port, timeout=_PATIENCE, retries=0)
    try:
        if not client.connect():
            raise UnavailableError(f"{where} cannot be reached.", hint="Check address, port and firewall.")
        read = client.read_holding_registers if place.table == "holding" else client.read_input_registers
        answer = read(place.register_at, count=_REGISTERS[place.type], device_id=place.device)
        if answer.isError():
            raise UnavailableError(
                f"{where} answers with an error: {answer}.", hint="Check the register and its table."
            )
        kind = client.DATATYPE[place.type.upper()]
        value: Any = client.convert_from_registers(answer.registers, kind, word_order=place.words)
    except (ModbusException, OSError) as error:
        raise UnavailableError(f"{where} does not answer: {error}.", hint="Check address and device.") from error
    finally:
        client.close()
    return _finite(float(value) * place.scale, where)


def heard(place: Mqtt, payload: bytes) -> float:
    """The value in a message.

    Raises:
        UnavailableError: There is no number in it.
    """
    where = f"topic {place.topic}"
    try:
        told: Any = json.loads(payload)
        for key in filter(None, place.key.split(".")):
            told = told[key]
        number = math.nan if isinstance(told, bool) else float(told)
        return _finite(number * place.scale, where)
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        shown = payload[:40].decode(errors="replace")
        raise UnavailableError(f"{where} tells {shown!r}: no number.", hint="Check `key`.") from error


class Listener:
    """Hears meters by MQTT, on a thread of its own for each broker.

    Args:
        meters: Those with `mqtt`.
        tell: Called with what goes wrong.

    Raises:
        UnavailableError: A broker cannot be reached.
    """

    def __init__(self, meters: Sequence[Watched], tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._lock = threading.Lock()
        self._heard: dict[str, list[tuple[int, float]]] = {}
        self._silent: set[str] = set()
        self._clients: list[Any] = []
        brokers: dict[tuple[str, int, str], list[Watched]] = {}
        for one in meters:
            if one.mqtt:
                brokers.setdefault((one.mqtt.host, one.mqtt.port, one.mqtt.user), []).append(one)
        try:
            for at, those in brokers.items():
                self._clients.append(self._connect(at, those))
        except BaseException:
            self.close()
            raise

    def take(self) -> Mapping[str, list[tuple[int, float]]]:
        """What was heard since the last call, by meter."""
        with self._lock:
            taken, self._heard = self._heard, {}
        return taken

    def close(self) -> None:
        """Hear no more."""
        for client in self._clients:
            client.loop_stop()
            client.disconnect()

    def _once(self, who: str, words: str) -> None:
        if who not in self._silent:
            self._silent.add(who)
            self._tell(words)

    def _back(self, who: str) -> None:
        if who in self._silent:
            self._silent.discard(who)
            self._tell(f"{who}: answers again.")

    def _connect(self, at: tuple[str, int, str], those: Sequence[Watched]) -> Any:
        from paho.mqtt.client import Client  # noqa: PLC0415 - slow to import
        from paho.mqtt.enums import CallbackAPIVersion  # noqa: PLC0415

        host, port, _ = at
        client = Client(CallbackAPIVersion.VERSION2)
        _secure(client, those[0].mqtt)
        self._hear(client, f"{host}:{port}", those)
        try:
            client.connect(host, port, keepalive=30)
        except OSError as error:
            raise UnavailableError(
                f"{host}:{port} cannot be reached: {error}.", hint="Is the broker up?"
            ) from error
        client.loop_start()
        return client

    def _hear(self, client: Any, broker: str, those: Sequence[Watched]) -> None:
        """Say what a client does when it is connected, told something, or cut off."""

        def subscribe(connected: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
            if reason.is_failure:
                self._once(broker, f"{broker} refuses: {reason}.")
                return
            self._back(broker)
            for one in those:
                if one.mqtt:
                    connected.subscribe(one.mqtt.topic, qos=1)

        def receive(_client: Any, _data: Any, message: Any) -> None:
            now = round(time.time())
            for one in those:
                if one.mqtt and message.topic == one.mqtt.topic:
                    self._keep(one, now, message.payload)

        def lost(_client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
            if reason.is_failure:
                self._once(broker, f"{broker} is gone: {reason}.")

        client.on_connect, client.on_message, client.on_disconnect = subscribe, receive, lost

    def _keep(self, one: Watched, now: int, payload: bytes) -> None:
        if one.mqtt is None:
            return
        try:
            value = heard(one.mqtt, payload)
        except UnavailableError as error:
            self._once(one.name, f"{one.name}: {error.message}")
            return
        self._back(one.name)
        with self._lock:
            self._heard.setdefault(one.name, []).append((now, value))


def watch(
    connections: Connections,
    store: Store,
    *,
    rounds: int | None,
    tell: Callable[[str], None],
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, int]:
    """Read all meters again and again.

    Args:
        connections: Meters and where they are.
        store: Where readings go.
        rounds: How many; None: until it is interrupted.
        tell: Called with what a person should know: a meter that does not answer, or does again.
        sleep: Waits so many seconds.

    Returns:
        Readings kept, by meter.

    Raises:
        UnavailableError: A broker cannot be reached at the start.
        CapacityError: The disk is full.
    """
    kept = {one.name: 0 for one in connections.meters}
    by_name = {one.name: one for one in connections.meters}
    silent: set[str] = set()
    doubtful: set[str] = set()

    def keep(one: Watched, pairs: Sequence[tuple[int, float]]) -> None:
        readings = _of_one_unit(one, pairs, store, doubtful, tell)
        if readings is not None:
            store.append(readings)
            kept[one.name] += len(pairs)

    listener = Listener(connections.meters, tell)
    done = 0
    try:
        while rounds is None or done < rounds:
            if done:
                sleep(connections.every)
            for one in connections.meters:
                keep(one, _asked(one, silent, tell))
            for name, pairs in listener.take().items():
                keep(by_name[name], pairs)
            done += 1
    finally:
        listener.close()
        for name, pairs in listener.take().items():
            keep(by_name[name], pairs)
    return kept


def _asked(one: Watched, silent: set[str], tell: Callable[[str], None]) -> list[tuple[int, float]]:
    if one.modbus is None:
        return []
    try:
        pair = (round(time.time()), ask(one.modbus))
    except UnavailableError as error:
        if one.name not in silent:
            silent.add(one.name)
            tell(f"{one.name}: {error.message}")
        return []
    if one.name in silent:
        silent.discard(one.name)
        tell(f"{one.name}: answers again.")
    return [pair]


def _of_one_unit(
    one: Watched, pairs: Sequence[tuple[int, float]], store: Store, doubtful: set[str], tell: Callable[[str], None]
) -> Readings | None:
    """Return what a meter told; None if that is nothing, or if a counter's unit seems to have changed meanwhile."""
    if not pairs:
        return None
    readings = readings_of(one.meter, pairs)
    last = store.last(one.name) if one.meter.counter else None
    values = ([last[1]] if last else []) + [float(value) for value in readings.value]
    series = Readings(one.meter, np.arange(len(values), dtype=np.int64), np.array(values))
    odd = series.changes_of_unit() if one.meter.counter else []
    if odd and one.name not in doubtful:
        doubtful.add(one.name)
        tell(
            f"{one.name}: {odd[0][1]}. Nothing of it is kept. Give the unit it tells now; if the value is right, "
            "import one such reading with --accept."
        )
    if not odd and one.name in doubtful:
        doubtful.discard(one.name)
        tell(f"{one.name}: goes on in its unit.")
    return None if odd else readings


def _secure(client: Any, place: Mqtt | None) -> None:
    if place is not None and place.tls:
        client.tls_set()
    if place is not None and place.user:
        client.username_pw_set(place.user, _password(place))


def _password(place: Mqtt) -> str:
    if place.password_file is None:
        return ""
    try:
        return place.password_file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise UsageError(
            f"{place.password_file} cannot be read: {error.strerror}.", hint="Check its name."
        ) from None


def _finite(value: Any, where: str) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise UnavailableError(f"{where} tells {value!r}: no number.", hint="Check type and word order.")
    return number
