import re

import pytest

from kifabrik.errors import UsageError
from kifabrik.plant.site_file import SHIPPED, find_site, load_site, parse_site, shipped_sites

TEXT = (SHIPPED / "munich.yaml").read_text(encoding="utf-8")


def test_munich_has_ten_thousand_gpus_and_at_most_fifteen_megawatts():
    fleet = load_site("munich").fleet()
    assert fleet.gpus == 10_000
    assert 12e6 < fleet.full_watts < 15e6
    assert {kind.name: kind.count for kind in fleet.nodes} == {"dgx-b200": 625, "rtx-pro-6000": 625}


def test_every_number_of_a_shipped_site_has_its_source_or_the_word_assumed():
    without = [
        line
        for line in TEXT.splitlines()
        if re.search(r"\d", line.split("#")[0].split(":", 1)[-1]) and len(line.split("#", 1)[-1].strip()) < 7
    ]
    assert not without


def test_gpus_scale_the_fleet():
    fleet = load_site("munich", {"it.gpus": 20_000}).fleet()
    assert fleet.gpus == 20_000
    assert fleet.full_watts == pytest.approx(2 * load_site("munich").fleet().full_watts)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("full: 14.3 kW", "full: 14.3", r"line 24: it\.nodes\.0\.full: 14\.3 is not a number with its unit"),
        ("full: 14.3 kW", "full: -3 kW", r"line 24: it\.nodes\.0\.full: '-3 kW' must not be less than 0"),
        ("full: 14.3 kW", "full: 14.3 K", r"'K' is not a unit for this: W or kW or MW"),
        ("full: 14.3 kW", "full: 2 kW", r"line 20: it\.nodes\.0: dgx-b200 takes more idle"),
        ("hot_out: 27 °C", "hot_out: 19 °C", "the exchanger's temperatures cross"),
        ("begin: 10-17", "begin: 13-17", "'13-17' is not a day of the year"),
        ("months: [12, 1, 2, 3]", "months: [1, 2, 3]", "each month must have exactly one limit"),
        ("captured: 98 %", "captured: 198 %", "cooling.loop.captured: Input should be less than or equal to 1"),
        ("name: Eisbach", "name: Eisbach\n  depth: 2", "river.depth is not known here"),
        ("flow: 25 m3/s ", "#", "river.flow is missing"),
        ("back: 45 °C", "back: 75 °C", "must be warmer than what comes back"),
    ],
)
def test_what_is_wrong_is_named_by_key_and_line(old, new, told):
    assert old in TEXT
    with pytest.raises(UsageError, match=told):
        parse_site(TEXT.replace(old, new, 1), "site.yaml")


@pytest.mark.parametrize("text", ["", "a: [", "- 1", "a: 1\na: 2", "x: *y", "x: &y [*y]", "\x00"])
def test_what_is_no_site_is_said_in_a_sentence(text):
    with pytest.raises(UsageError, match=r"site\.yaml"):
        parse_site(text, "site.yaml")


@pytest.mark.parametrize("key", ["river.depth", "nothing", "it.nodes.0.count", "river.flow.x"])
def test_a_change_of_what_is_not_there_is_refused(key):
    with pytest.raises(UsageError, match=f"A site has no {key}"):
        load_site("munich", {key: 1})


def test_a_shipped_site_is_found_by_name_and_a_file_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert shipped_sites() == ["munich"]
    assert find_site("munich.yaml").parent == SHIPPED
    (tmp_path / "munich.yaml").write_text("name: mine")
    assert str(find_site("munich.yaml")) == "munich.yaml"
    with pytest.raises(UsageError, match="There is no site file berlin"):
        find_site("berlin")
