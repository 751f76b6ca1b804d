import re
import socket
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner
from plant_sites import munich

from kifabrik.cli.main import cli
from kifabrik.errors import ConflictError, UsageError
from kifabrik.plant.live.app import app_of
from kifabrik.plant.live.state import Live
from kifabrik.plant.live.words import WORDS
from kifabrik.plant.metering.kinds import Kind, Meter
from kifabrik.plant.metering.readings import readings_of
from kifabrik.plant.metering.store import Store

TIME = datetime(2026, 7, 1, 12, tzinfo=UTC)
NOW = round(TIME.timestamp())


def client(tmp_path, store=None, name="Ort <b>"):
    from starlette.testclient import TestClient

    return TestClient(app_of(Live(munich(name=name), store, 0.8, tmp_path), clock=lambda: TIME))


def test_the_page_shows_the_plant_and_escapes_its_name(tmp_path):
    answer = client(tmp_path).get("/")
    assert answer.status_code == 200
    assert "Ort &lt;b&gt;" in answer.text
    assert "<script" not in answer.text
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert answer.text.count('title="limit"') == 4


def test_a_german_page_has_no_english_word_and_decimal_commas(tmp_path):
    from starlette.testclient import TestClient

    live = Live(munich(), None, 0.8, tmp_path)
    text = TestClient(app_of(live, language="de", clock=lambda: TIME)).get("/").text
    english = {pair[1] for pair in WORDS.values()} - {pair[0] for pair in WORDS.values()}
    shown = re.sub(r"<style>.*?</style>|<[^>]*>", " ", text, flags=re.DOTALL)
    words = set(re.findall(r"[A-Za-z]+", shown))
    assert not {one for one in english if re.fullmatch(r"[A-Za-z]+", one)} & words
    assert re.search(r"\d,\d\d MW", shown)
    assert not re.search(r"\d\.\d\d MW", shown)


def test_meters_stand_for_series_of_their_name_and_the_twin_for_the_rest(tmp_path):
    store = Store(tmp_path / "meters")
    store.add(readings_of(Meter(name="river", kind=Kind.TEMPERATURE, unit="°C"), [(NOW - 60, 21.6)]))
    store.add(readings_of(Meter(name="it", kind=Kind.ENERGY, unit="kWh"), [(NOW - 3600, 0.0), (NOW, 9000.0)]))
    store.add(readings_of(Meter(name="flow", kind=Kind.FLOW, unit="m³/s"), [(NOW - 7200, 3.0)]))
    values = client(tmp_path, store).get("/values.json").json()
    assert values["river"] == {"value": 21.6, "measured": True, "age": 60.0}
    assert values["it"]["value"] == pytest.approx(9e6)
    assert not values["flow"]["measured"], "a reading of two hours ago is not now"
    assert values["flow"]["value"] == 25.0
    assert values["permitted"]["value"] < munich().fleet().full_watts
    assert values["river_mixed"]["value"] == 21.6, "too warm by itself: nothing more goes in"


def test_a_counter_that_was_reset_is_not_shown(tmp_path):
    store = Store(tmp_path / "meters")
    store.add(readings_of(Meter(name="it", kind=Kind.ENERGY, unit="kWh"), [(NOW - 60, 500.0), (NOW, 1.0)]))
    assert not client(tmp_path, store).get("/values.json").json()["it"]["measured"]


def test_a_broken_store_is_said_and_not_a_traceback(tmp_path):
    (tmp_path / "meters").mkdir()
    (tmp_path / "meters/it.parquet").write_bytes(b"x")
    answer = client(tmp_path, Store(tmp_path / "meters")).get("/")
    assert answer.status_code == 503
    assert "does not hold a meter's readings" in answer.text


def test_a_port_that_is_taken_is_said():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        words = ["plant", "serve", "munich", "--port", str(port)]
        with pytest.raises(ConflictError, match=f"Port {port} of 127.0.0.1 is taken"):
            CliRunner().invoke(cli, words, catch_exceptions=False)


def test_an_address_of_another_machine_cannot_be_listened_on():
    words = ["plant", "serve", "munich", "--host", "192.0.2.1", "--port", "0"]
    with pytest.raises(UsageError, match=r"192\.0\.2\.1:0 cannot be listened on"):
        CliRunner().invoke(cli, words, catch_exceptions=False)
