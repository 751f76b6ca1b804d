import csv
import io

import pytest

from kifabrik.customer.monthly import in_month, monthly
from kifabrik.customer.monthly_page import page
from kifabrik.customer.monthly_proof import prove_footprints
from kifabrik.customer.monthly_table import as_csv, as_json
from kifabrik.errors import IntegrityError, UsageError
from kifabrik.leases.statements import Lease
from kifabrik.ledger.entry import Entry, EntryKind, new_entry_id
from kifabrik.meters.footprint import Site, footprint
from kifabrik.meters.reading import EnergyReading, EnergySource, Reading
from kifabrik.meters.recorded import references
from kifabrik.runs.statements import Finish
from kifabrik.runs.states import Outcome
from kifabrik.signatures.keys import SigningKey
from kifabrik.signatures.statements import sign_statement
from kifabrik.values import Money

SITE = Site(380, 105, 20, 8, 180_000, 20)
SWEEP = "r-aaaaaaaaaaaaaaaa"
KWH = 3_600_000_000
LOG = (123, "ab" * 32)


def reading(hours: float, kwh: float, source: EnergySource = EnergySource.NVML) -> Reading:
    ms = round(hours * 3_600_000)
    energy = (EnergyReading(source, "GPU-1", round(kwh * KWH)),)
    return Reading("2026-11-23T08:00:00Z", "2026-11-23T09:00:00Z", ms, ms, ms, "H200", 1, 10**9, 500, energy)


def ended(run: str, attempt: str, time: str = "2026-11-23T09:00:00Z", **refs) -> Entry:
    return Entry(EntryKind.RUN_FINISHED, time, new_entry_id(), {"run": run, "attempt": attempt, **refs})


def with_footprint(run, attempt, readings, eur, *, site=SITE, time="2026-11-23T09:00:00Z", finish="") -> Entry:
    refs = references(footprint(readings, Money.from_eur(eur), site), site)
    return ended(run, attempt, time, **refs, **({"finish": finish} if finish else {}))


def test_the_lines_of_a_month_add_up_to_its_total():
    entries = [
        with_footprint(f"{SWEEP}-1", "a-1", [reading(2, 1.5)], "4"),
        with_footprint(f"{SWEEP}-2", "a-2", [reading(2, 1.5)], "4"),
        with_footprint("r-bbbbbbbbbbbbbbbb", "a-3", [reading(1, 0.5, EnergySource.ESTIMATED)], "2"),
    ]
    found = monthly("t-1", "2026-11", entries, {SWEEP: "search"}, LOG)
    assert [(line.name, line.runs, line.sums.cost_micro_eur) for line in found.lines] == [
        ("search", 2, 8_000_000),
        ("r-bbbbbbbbbbbbbbbb", 1, 2_000_000),
    ]
    total = found.total
    assert (total.attempts, total.gpu_ms, total.cost_micro_eur) == (3, 5 * 3_600_000, 10_000_000)
    assert (total.measured_mj, total.estimated_mj) == (3 * KWH, KWH // 2)
    assert total.drawn_mj == KWH * 3675 // 1000
    assert total.heat_mj == KWH * 28 // 100
    assert (total.withdrawn_ml, total.consumed_ml) == (630_000, 70)
    assert (total.carbon_mg, total.market_mg) == (1_396_500, 73_500)
    assert total.uncertain_percent == 11  # 3 kWh at 5 %, 0.5 kWh at 50 %
    assert found.sites == (SITE,)


def test_an_attempt_counts_in_the_month_of_its_end_and_in_no_other():
    entries = [ended("r-1", "a-1", "2026-10-31T23:59:59Z"), ended("r-1", "a-2", "2026-11-01T00:00:00Z")]
    assert [one.refs["attempt"] for one in in_month(entries, "2026-11")] == ["a-2"]
    assert [one.refs["attempt"] for one in in_month(entries, "2026-10")] == ["a-1"]
    with pytest.raises(UsageError, match="not a month: '2026-13'"):
        in_month(entries, "2026-13")


def test_attempts_without_a_footprint_are_named_and_not_filled_in():
    found = monthly("t-1", "2026-11", [ended("r-1", "a-old")], {}, LOG)
    assert (found.lines, found.without, found.total.attempts) == ((), ("a-old",), 0)
    assert as_json(found)["without_footprint"] == ["a-old"]


def test_what_the_operator_did_not_state_is_not_shown_as_nothing():
    found = monthly("t-1", "2026-11", [with_footprint("r-1", "a-1", [reading(1, 1)], "1", site=None)], {}, LOG)
    assert (found.total.unstated, found.sites) == (1, ())
    shown = page(found, "de")
    assert "Der Betreiber hat keine Angaben zum Standort gemacht" in shown
    assert shown.count("nicht angegeben") == 7  # a tile and six rows


def test_a_footprint_that_contradicts_itself_is_refused_with_its_attempt():
    refs = references(footprint([reading(1, 1)], Money(7), SITE), SITE)
    less = tuple("carbon_mg=1" if text.startswith("carbon_mg") else text for text in refs["footprint"])
    with pytest.raises(IntegrityError, match="attempt a-9: a footprint in the log says carbon_mg=1"):
        monthly("t-1", "2026-11", [ended("r-1", "a-9", **(refs | {"footprint": less}))], {}, LOG)


def test_the_csv_has_a_line_for_each_order_and_the_total():
    entries = [with_footprint("r-1", "a-1", [reading(2, 1.5)], "4")]
    rows = list(csv.DictReader(io.StringIO(as_csv(monthly("t-1", "2026-11", entries, {"r-1": "a, b"}, LOG)))))
    assert [(row["job"], row["eur"], row["energy_kwh"]) for row in rows] == [
        ("a, b", "4", "1.5"),
        ("total", "4", "1.5"),
    ]


@pytest.mark.parametrize(("language", "said"), [("de", "Monatsabrechnung"), ("en", "Monthly statement")])
def test_a_page_lets_no_markup_of_a_job_name_through(language, said):
    entries = [with_footprint("r-1", "a-1", [reading(2, 1.5)], "4")]
    shown = page(monthly("t-1", "2026-11", entries, {"r-1": "<script>x</script>"}, LOG), language)
    assert said in shown
    assert "<script" not in shown


@pytest.fixture
def signed():
    """A finish signed by the run key of a lease, and who gives the statements."""
    keyholder, run_key = SigningKey.generate(), SigningKey.generate()

    def make(used: Reading, by: SigningKey | None = None, receiver: str = "a-1"):
        lease = sign_statement(
            Lease(
                lease="l-1", tenant="t-1", request="", order="", run="r-1", receiver=receiver,
                run_key=run_key.public.hex, node_keys=(), recipient="", items=(), grants=(), output_recipient="",
                environment="", log_index=0, log_size=1, log_root="", created="", expires="",
            ),
            {},
            keyholder,
        )  # fmt: skip
        finish = sign_statement(
            Finish(
                "t-1", "r-1", "a-1", "", lease.digest, Outcome.SUCCEEDED, 0, (), "", 0, "", "", used, (), "", "",
            ),
            {},
            by or run_key,
        )  # fmt: skip
        known = {lease.digest: lease, finish.digest: finish}
        return finish.digest, known.__getitem__, keyholder.public

    return make


def test_a_footprint_is_proven_by_the_reading_the_run_key_signed(signed):
    finish, fetch, keyholder = signed(reading(2, 1.5))
    true = with_footprint("r-1", "a-1", [reading(2, 1.5)], "4", finish=finish)
    assert prove_footprints([true, ended("r-1", "a-2")], fetch, keyholder, lambda: None) == 1
    more = with_footprint("r-1", "a-1", [reading(2, 1.6)], "4", finish=finish)
    with pytest.raises(IntegrityError, match="attempt a-1: the log says another footprint"):
        prove_footprints([more], fetch, keyholder, lambda: None)


@pytest.mark.parametrize("how", [{"by": SigningKey.generate()}, {"receiver": "a-2"}])
def test_a_reading_of_another_key_or_attempt_proves_nothing(signed, how):
    finish, fetch, keyholder = signed(reading(2, 1.5), **how)
    entry = with_footprint("r-1", "a-1", [reading(2, 1.5)], "4", finish=finish)
    with pytest.raises(IntegrityError):
        prove_footprints([entry], fetch, keyholder, lambda: None)


def test_small_figures_are_no_powers_of_ten():
    entries = [with_footprint("r-1", "a-1", [reading(0.001, 0.000002)], "0.00004")]
    rows = list(csv.DictReader(io.StringIO(as_csv(monthly("t-1", "2026-11", entries, {}, LOG)))))
    assert (rows[0]["eur"], rows[0]["energy_kwh"]) == ("0.00004", "0.000002")


def test_an_order_without_a_known_name_has_its_id_once():
    entries = [with_footprint("r-1", "a-1", [reading(2, 1.5)], "4")]
    assert page(monthly("t-1", "2026-11", entries, {}, LOG), "de").count("r-1") == 1
