"""Results written back to SAP's own server: compared first, bounded, and twice is as good as once."""

from datetime import date, timedelta
from decimal import Decimal

import pytest

from kifabrik.connectors.sap.asking import caller_of
from kifabrik.connectors.sap.plan import PushPlan, parse
from kifabrik.connectors.sap.push import compare
from kifabrik.connectors.sap.result_rows import Results
from kifabrik.connectors.sap.writing import write
from kifabrik.errors import CapacityError, KifabrikError

HEADING = "plant,product,week,forecast,safety\n"


@pytest.fixture(params=[4, 2], ids=["v4", "v2"])
def push(request, peer, tmp_path):
    """Push rows of a CSV; returns the difference, and what was written."""

    def push(rows, *, apply=False, limits="rows: 100, create: true", plant="DE01"):
        source = tmp_path / "forecast.csv"
        source.write_text(HEADING + "".join(f"{row}\n" for row in rows))
        text = f"""
service: {peer.service("supply", request.param)}
purpose: supply-planning
confirmed: {{by: Anna Huber, on: 2026-11-20, because: "our own service"}}
sign_in:
  kind: oauth2
  token_url: {peer.token_url}
  client_id: kifabrik
  client_secret: {{env: KIFABRIK_TEST_SAP_SECRET}}
limits: {{requests_per_second: 1000}}
push:
  entity_set: Forecasts
  fields: {{plant: plant, product: product, week: week, quantity: forecast, safetyStock: safety}}
  filter: "plant eq '{plant}'"
  {limits.replace(", ", chr(10) + "  ")}
"""
        plan = parse(PushPlan, text, "back.yaml")
        with caller_of(plan) as caller:
            difference, entity, service = compare(caller, plan, Results.of_file(source))
            return difference, write(caller, service, entity, difference) if apply else None

    push.version = request.param
    return push


def test_a_dry_run_writes_nothing_and_says_what_would_be(push, house):
    url = f"{house.peer.service('supply')}/Forecasts/$count"
    before = house.ask("GET", url).text
    difference, _ = push([f"DE01,DRY-{push.version},2026-12-07,12.5,3"])
    assert (difference.added, difference.changed, difference.same) == (1, 0, 0)
    assert house.ask("GET", url).text == before


def test_what_is_written_is_there_and_a_second_time_changes_nothing(push, house):
    product = f"O'Brien/ß {push.version}"
    rows = [f"DE01,{product},2026-12-07,12.5,3", f"DE01,{product},2026-12-14,0.0005,"]
    _, written = push(rows, apply=True)
    assert (written.added, written.changed) == (2, 0)
    difference, _ = push(rows)
    assert (difference.changes, difference.same) == ((), 2)
    _, written = push([rows[0].replace("12.5", "13.125"), rows[1]], apply=True)
    assert (written.added, written.changed) == (0, 1)
    found = house.ask(
        "GET", f"{house.peer.service('supply')}/Forecasts?$filter=startswith(product,'O''Brien/ß {push.version}')"
    )
    by_week = {row["week"]: row for row in found.json()["value"]}
    assert Decimal(by_week["2026-12-07"]["quantity"]) == Decimal("13.125")
    assert Decimal(by_week["2026-12-07"]["safetyStock"]) == 3
    assert Decimal(by_week["2026-12-14"]["quantity"]) == 0
    assert by_week["2026-12-14"]["safetyStock"] is None


def test_more_rows_than_the_plan_allows_are_refused(push):
    rows = [f"DE02,LIMIT-{number},2026-12-07,1,1" for number in range(4)]
    with pytest.raises(CapacityError, match="4 rows of Forecasts would change, and the plan allows 3"):
        push(rows, limits="rows: 3, create: true", apply=True, plant="DE02")


def test_rows_are_only_added_where_the_plan_says_so(push):
    with pytest.raises(CapacityError, match="1 rows are not in Forecasts"):
        push(["DE02,NEW,2026-12-07,1,1"], limits="rows: 3", plant="DE02")


def test_a_change_larger_than_the_plan_allows_is_refused(push):
    product = f"BIG-{push.version}"
    push([f"DE01,{product},2026-12-07,100,5"], apply=True)
    with pytest.raises(CapacityError, match=r"quantity would go from 100\.000 to 300\.000"):
        push([f"DE01,{product},2026-12-07,300,5"], limits="rows: 3, largest_change: 0.5")


def count(house, product):
    link = f"{house.peer.service('supply')}/Forecasts/$count?$filter=product eq '{product}'"
    return int(house.ask("GET", link).text)


def test_many_rows_are_change_sets_of_which_each_is_written_whole_or_not_at_all(push, house):
    product = f"MANY-{push.version}"
    weeks = [(date(2026, 1, 5) + timedelta(weeks=number)).isoformat() for number in range(120)]
    rows = [f"DE03,{product},{week},{number}.5,3" for number, week in enumerate(weeks)]
    _, written = push(rows[:60], apply=True, plant="DE03")
    assert (written.added, count(house, product)) == (60, 60)
    # Comparing with another plant does not see what is there, so row 59 is added once more: the service refuses it.
    limits = "rows: 200, create: true"
    with pytest.raises(
        KifabrikError, match=f"row plant=DE03, product={product}, week={weeks[59]}, so none of"
    ) as no:
        push([*rows[60:], rows[59]], apply=True, plant="XX", limits=limits)
    assert "50 of 61 rows are written" in no.value.message
    assert count(house, product) == 110
    difference, written = push(rows, apply=True, plant="DE03", limits=limits)
    assert (difference.same, written.added) == (110, 10)
    assert count(house, product) == 120
