"""A second `kifabrik up` on one machine: it stands by at a port of its own, behind the proxy both are named by."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kifabrik.wiring.factory import init_home, open_factory
from ports import free_port

KIFABRIK = Path(sys.executable).parent / "kifabrik"


class Beside:
    """Processes of one factory, each started as its operator would."""

    def __init__(self, home: Path) -> None:
        self.home, self.port, self.other = home, free_port(), free_port()
        self._running: list[subprocess.Popen[str]] = []
        init_home(home / "factory", port=self.port)

    def name_proxy(self) -> None:
        settings = self.home / "factory" / "factory.toml"
        settings.write_text('public_url = "http://proxy.example"\n' + settings.read_text())

    def up(self, *words: str) -> subprocess.Popen[str]:
        command = [KIFABRIK, "up", "--home", self.home, *words]
        environment = {**os.environ, "NO_COLOR": "1"}
        with (self.home / "up.log").open("ab") as log:
            pipes = {"stdout": log, "stderr": subprocess.PIPE, "text": True}
            process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, **pipes)
        self._running.append(process)
        return process

    def holder(self) -> int:
        """Process id of who drives the runs."""
        factory = open_factory(self.home / "factory")
        try:
            with factory.store.read() as transaction:
                found = transaction.runs.leader("runs")
        finally:
            factory.store.close()
        return int(found.holder.partition("/")[0]) if found else 0

    def close(self) -> None:
        for process in self._running:
            process.kill()
            process.communicate()


@pytest.fixture
def beside(tmp_path: Path) -> Iterator[Beside]:
    made = Beside(tmp_path)
    yield made
    made.close()


def answers(port: int) -> None:
    until = time.monotonic() + 40
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert time.monotonic() < until
        time.sleep(0.1)


def test_one_more_that_may_drive_answers_at_its_own_port_and_takes_over(beside: Beside) -> None:
    beside.name_proxy()
    first = beside.up()
    answers(beside.port)
    while beside.holder() != first.pid:
        time.sleep(0.1)
    second = beside.up("--port", str(beside.other))
    answers(beside.other)
    assert beside.holder() == first.pid
    assert second.stderr is not None
    assert "One more process of this factory" in [second.stderr.readline() for _ in range(2)][1]
    first.kill()
    until = time.monotonic() + 40
    while beside.holder() != second.pid:
        assert time.monotonic() < until
        time.sleep(0.2)


def test_another_port_without_a_proxy_is_refused_and_not_passed_over(beside: Beside) -> None:
    process = beside.up("--port", str(beside.other))
    _, said = process.communicate(timeout=40)
    assert process.returncode == 2
    assert f"error: this factory listens on port {beside.port}, not on {beside.other}" in said
    assert "public_url" in said


def test_a_single_party_has_no_second_process(beside: Beside) -> None:
    beside.name_proxy()
    process = beside.up("--single-party", "--port", str(beside.other))
    _, said = process.communicate(timeout=40)
    assert process.returncode == 2
    assert "error: a factory of a single party is one process" in said
