"""The page a manager reads: well formed, safe whatever names hold, and right in both languages."""

import math
import re
import string
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from studied import critical_of, frontier_of, network_of, outage_of, results_of

from kifabrik.recipes.supply_chain.network import Disruption, Effect, Lane, Network, Node
from kifabrik.recipes.supply_chain.report import write_report
from kifabrik.recipes.supply_chain.report.words import WORDS
from kifabrik.recipes.supply_chain.studies import CriticalNode, Estimate

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>&{{ 7*7 }}\u202e\x00"


class Seen(HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.said = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)

    def handle_data(self, data):
        self.said.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.said).split())


def page(tmp_path, network, language="en", *, results=None, **studies):
    results = results or results_of(network)
    return write_report(results, tmp_path, language=language, **studies).read_text(encoding="utf-8")


def full(tmp_path, network, language="en", **more):
    return page(
        tmp_path,
        network,
        language,
        outages=[outage_of()],
        critical=critical_of(network),
        frontier=frontier_of("plan A", "plan B", "plan C"),
        **more,
    )


def test_both_languages_have_the_same_texts_with_the_same_parts():
    assert set(WORDS["de"]) == set(WORDS["en"])
    parts = {
        language: {
            key: {part[1] for part in string.Formatter().parse(text)} - {None} for key, text in texts.items()
        }
        for language, texts in WORDS.items()
    }
    assert parts["de"] == parts["en"]


def test_no_text_is_missing_or_unused_in_one_language_only():
    same = {key for key in WORDS["en"] if WORDS["en"][key] == WORDS["de"][key]}
    assert same <= {"money", "seed_from", "seconds_value", "axis_time", "plus_minus", "node_beta", "node_alpha",
                    "p95", "guide_p95_name", "plan"}  # fmt: skip


@pytest.mark.parametrize("language", ["de", "en"])
def test_every_drawing_is_well_formed_xml_with_finite_coordinates(tmp_path, language):
    text = full(tmp_path, network_of([3, 4, 2]), language)
    drawings = re.findall(r"<svg .*?</svg>", text, flags=re.DOTALL)
    assert len(drawings) > 20
    for drawing in drawings:
        for part in ET.fromstring(drawing).iter():
            for name in ("x", "y", "x1", "y1", "x2", "y2", "cx", "cy", "r", "width", "height"):
                assert math.isfinite(float(part.get(name, "0")))
            assert "nan" not in part.get("d", "")


def test_names_from_tables_are_text_and_nothing_else(tmp_path):
    network = Network(
        name=EVIL,
        nodes=(Node(product=EVIL, site=EVIL, unit=EVIL),),
        lanes=(Lane(source="", target=f"{EVIL}@{EVIL}", component=EVIL, supplier=EVIL, mode=EVIL),),
        currency=EVIL,
    )
    text = page(
        tmp_path,
        network,
        outages=[outage_of(EVIL)],
        critical=[CriticalNode(name=network.nodes[0].name, cost=1.0, error=0.1)],
        frontier=frontier_of(EVIL, EVIL),
    )
    seen = Seen(text)
    assert not {"script", "img", "iframe", "link", "object"} & set(seen.tags)
    assert not [name for name, _ in seen.attributes if name.startswith("on")]
    assert "<script>alert(1)</script>" in seen.text
    assert "49" not in Seen(page(tmp_path, network, results=results_of(network, fill=0.0))).text
    assert "\u202e" not in text
    assert "\x00" not in text


def test_the_page_asks_nothing_of_a_network(tmp_path):
    text = full(tmp_path, network_of([3, 4, 2]))
    seen = Seen(text)
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in seen.attributes
    assert not [name for name, _ in seen.attributes if name in {"src", "href", "xlink:href"}]
    assert set(re.findall(r"https?://[^\"' ]+", text)) == {"http://www.w3.org/2000/svg"}
    assert "@import" not in text
    assert set(re.findall(r"url\(([^)]*)\)", text)) == {"#hatched"}


def test_figures_that_are_not_numbers_become_dashes(tmp_path):
    network = network_of([2, 2])
    text = page(tmp_path, network, results=results_of(network, fill=np.nan), critical=[
        CriticalNode(name=network.nodes[0].name, cost=np.nan, error=np.nan)])  # fmt: skip
    said = Seen(text).text
    assert "nan" not in said.lower().replace("finance", "")
    assert said.count("–") > 6
    assert WORDS["en"]["no_figures"] in said


@pytest.mark.parametrize("fill", [0.0, 1e30, -1e30, 1e-30, -0.0])
def test_extreme_figures_are_still_drawn(tmp_path, fill):
    network = network_of([2, 2])
    assert "</html>" in page(tmp_path, network, results=results_of(network, fill=fill))


def test_headline_figures_are_the_means_of_the_scenarios_in_the_language_of_the_reader(tmp_path):
    network = network_of([2, 2])
    results = results_of(network)
    results.scenarios["cost"][:] = np.linspace(1_234_000, 1_236_000, 40)
    results.scenarios["beta"][:] = 0.98765
    results.scenarios["stock_value"][:] = 12_345.4
    german = Seen(page(tmp_path, network, "de", results=results)).text
    english = Seen(page(tmp_path, network, "en", results=results)).text
    assert "98,8 %" in german
    assert "98.8 %" in english
    assert "12.345" in german
    assert "12,345" in english
    assert "1,24 Mio." in german
    p95 = float(np.percentile(results.scenarios["cost"], 95))
    assert f"{p95 / 1e6:.2f}" in english


def test_one_scenario_has_no_interval_and_says_so(tmp_path):
    network = network_of([1, 1])
    text = Seen(page(tmp_path, network, results=results_of(network, scenarios=1))).text
    assert "no confidence interval from one scenario" in text
    assert "In 1 scenario of" in text


def test_the_ten_most_critical_nodes_are_listed_the_dearest_first(tmp_path):
    network = network_of([6, 6])
    said = Seen(page(tmp_path, network, critical=critical_of(network))).text
    table = said[said.index(WORDS["en"]["critical"]) :]
    named = re.findall(r"part \d-\d@plant", table)[:10]
    assert named == [node.name for node in reversed(network.nodes[2:12])]
    assert "Shown: 10 of 12 nodes" in said


def test_a_recovery_beyond_the_time_simulated_is_said_in_words(tmp_path):
    said = Seen(full(tmp_path, network_of([2, 2]))).text
    assert "more than 36" in said
    assert "25" in said[said.index("Scenarios not recovered") :][:60]
    assert "−1.25 percentage points" in said


def test_the_same_study_gives_the_same_bytes(tmp_path):
    network = network_of([3, 3])
    assert full(tmp_path / "a", network) == full(tmp_path / "b", network)


def test_a_report_that_cannot_be_written_leaves_the_one_before(tmp_path):
    network = network_of([1, 1])
    path = write_report(results_of(network), tmp_path, language="en")
    before = path.read_bytes()
    (tmp_path / "report-en.html.new").mkdir()
    with pytest.raises(OSError, match=r"report-en\.html\.new"):
        write_report(results_of(network, seed=2), tmp_path, language="en")
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("language", "names"),
    [("en", ("today", "β 95\u202f%", "β 99.5\u202f%")), ("de", ("heute", "β 95\u202f%", "β 99,5\u202f%"))],
)
def test_plans_of_the_optimiser_are_called_in_the_readers_language(tmp_path, language, names):
    frontier = frontier_of("today", "beta 0.95", "beta 0.995")
    targets = (None, 0.95, 0.995)
    points = tuple(replace(one, target=target) for one, target in zip(frontier.points, targets, strict=True))
    text = page(tmp_path, network_of([1, 1]), language, frontier=replace(frontier, points=points))
    for name in names:
        assert f'<td class="long">{name}' in text
    assert "beta 0.95" not in text


def test_a_plan_is_compared_by_cost_less_revenue_against_today(tmp_path):
    frontier = frontier_of("today", "other")
    points = (
        replace(frontier.points[0], cost=Estimate(-3e6, -3.1e6, -2.9e6)),
        replace(frontier.points[1], cost_difference=Estimate(-4321, -4331, -4311)),
    )
    text = page(tmp_path, network_of([1, 1]), frontier=replace(frontier, points=points))
    assert "Cost less revenue against today" in text
    assert "−4,321" in text
    assert "−3.00" not in text


def test_dated_disruptions_within_the_study_are_shaded_and_named(tmp_path):
    network = network_of([1, 1])
    name = network.nodes[0].name
    events = (
        Disruption(name="fire", effect=Effect.ORDERS_PAUSE, target=name, start=7, duration=3),
        Disruption(name="much later", effect=Effect.ORDERS_PAUSE, target=name, start=100_000, duration=3),
        Disruption(name="now and then", effect=Effect.ORDERS_PAUSE, target=name, probability=0.1, recovery=0.5),
    )
    usual, troubled = (
        page(
            tmp_path / place,
            network,
            results=replace(results_of(network), network=replace(network, disruptions=some)),
        )
        for place, some in (("usual", ()), ("troubled", events))
    )
    assert 'class="shade"' not in usual
    assert 'class="shade"' in troubled
    assert "Shaded: fire (day 7 to 10)." in troubled
