"""Master data to a network the simulator runs, history to a forecast that goes back: each one command."""

import csv
import io
import json
import shutil
from datetime import date
from statistics import fmean

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from kifabrik.cli.main import cli
from kifabrik.errors import NotFoundError, UsageError
from kifabrik.recipes.supply_chain.calibrating import calibrate
from kifabrik.recipes.supply_chain.engine import simulate
from kifabrik.recipes.supply_chain.history import with_history
from kifabrik.recipes.supply_chain.results import Settings
from kifabrik.recipes.supply_chain.tables import read_network

NETWORK = """
network:
  name: Ventile
  tables:
    products: {from: Products, columns: {product: ID, value: value, price: price}, constants: {holding_rate: "0.2"}}
    sites: {from: Plants, columns: {site: ID, longitude: longitude, latitude: latitude}}
    product_site: {from: Stock, columns: {product: product, site: plant, safety_stock: safetyStock}}
    inventory: {from: Stock, columns: {product: product, site: plant, on_hand: quantity}}
    sourcing:
      from: Sources
      columns: {product: product, site: plant, supplier: supplier, lead_time: leadTimeDays,
                lead_time_sd: leadTimeDeviation, unit_cost: netPrice}
      constants: {lead_time_unit: days}
  history: {from: Sales, product: product, site: plant, date: day, quantity: quantity}
"""
SOME = "filter: \"product lt 'M-000002' and plant eq 'DE01'\""
SALES = "product lt 'M-000002' and plant eq 'DE01' and day lt 2024-04-01"
SETS = (
    "{entity_set: Products, fields: [value, price], rows: 50, filter: \"ID lt 'M-000002'\"}",
    "{entity_set: Plants, fields: [longitude, latitude], rows: 50}",
    f"{{entity_set: Stock, fields: [quantity, safetyStock], rows: 500, {SOME}}}",
    f"{{entity_set: Sources, fields: [leadTimeDays, leadTimeDeviation, netPrice], rows: 500, {SOME}}}",
    f'{{entity_set: Sales, fields: [plant, product, day, quantity], rows: 9000, filter: "{SALES}"}}',
)


def run(house, command, text, *words):
    """Run a command of kifabrik in this process, on the customer's home."""
    plan = house.folder / f"{command}.yaml"
    plan.write_text(text)
    ran = CliRunner().invoke(
        cli, ["sap", command, str(plan), "--home", str(house.session.home), *words], catch_exceptions=False
    )
    assert ran.exit_code == 0, ran.output
    return ran


def test_master_data_become_a_network_that_runs(house):
    run(house, "network", house.plan_text(*SETS) + NETWORK)
    folder = house.opened()
    network = read_network(folder)
    assert {node.name for node in network.nodes} == {f"M-00000{n}@DE01" for n in range(2)}
    fitted = with_history(network, calibrate(folder / "history.csv"))
    results = simulate(fitted, Settings(scenarios=8, periods=30, warm_up=0, seed=1))
    assert 0 < results.interval("beta")[0] <= 1
    assert (folder / "Stock").is_dir()


def test_the_network_says_what_the_service_says(house):
    run(house, "network", house.plan_text(*SETS) + NETWORK)
    rows = {
        (row["product"], row["site"]): row
        for row in csv.DictReader(io.StringIO((house.opened() / "sourcing.csv").read_text()))
    }
    url = f"{house.peer.service('supply')}/Sources?$filter=plant eq 'DE01' and product eq 'M-000001'"
    theirs = house.ask("GET", url).json()["value"][0]
    ours = rows["M-000001", "DE01"]
    assert (ours["supplier"], ours["lead_time"], ours["unit_cost"]) == (
        theirs["supplier"],
        theirs["leadTimeDays"],
        theirs["netPrice"],
    )


RUN = ("--scenarios", "8", "--periods", "30", "--critical", "0")
ORDERED = (
    "{entity_set: Orders, rows: 9000, fields: [supplier, orderedOn]}",
    "{entity_set: OrderItems, rows: 9000, fields: [plant, product, quantity]}",
    "{entity_set: GoodsReceipts, rows: 9000, fields: [postedOn, quantity]}",
)
LEAD_TIMES = """  lead_times:
    lines: {from: OrderItems, order: parent_ID, line: position, product: product, site: plant, quantity: quantity}
    orders: {from: Orders, order: ID, supplier: supplier, ordered: orderedOn}
    receipts: {from: GoodsReceipts, order: order, line: position, received: postedOn, quantity: quantity}
"""


def lines_of(house, supplier, plant):
    """Days each order line took, and how many have not come: counted by somebody who knows nothing of our code."""
    url = house.peer.service("supply")
    asked = f"$filter=plant eq '{plant}' and parent/supplier eq '{supplier}'&$expand=parent($select=orderedOn)"
    came, waiting = [], 0
    for item in house.ask("GET", f"{url}/OrderItems?{asked}").json()["value"]:
        order = f"order eq '{item['parent_ID']}' and position eq {item['position']}"
        receipts = house.ask("GET", f"{url}/GoodsReceipts?$filter={order}").json()["value"]
        if sum(float(one["quantity"]) for one in receipts) < 0.95 * float(item["quantity"]):
            waiting += 1
            continue
        ordered = date.fromisoformat(item["parent"]["orderedOn"])
        came.append(max((date.fromisoformat(one["postedOn"]) - ordered).days for one in receipts))
    return came, waiting


def test_lead_times_are_those_of_the_orders_and_the_simulator_runs_on_them(house):
    some = "(product lt 'M-000006' or product eq 'M-000027')"
    sets = [one.replace("DE01", "DE02").replace("product lt 'M-000002'", some) for one in SETS]
    sets[0] = sets[0].replace("ID lt 'M-000002'", some.replace("product", "ID"))
    ran = run(house, "network", house.plan_text(*sets, *ORDERED) + NETWORK + LEAD_TIMES)
    folder = house.opened()
    account = {
        (row["supplier"], row["product"], row["site"]): row
        for row in csv.DictReader(io.StringIO((folder / "lead_times.csv").read_text()))
    }
    row = account["0000100027", "M-000027", "DE02"]
    assert row["fitted_to"] == "supplier and site"
    came, waiting = lines_of(house, "0000100027", "DE02")
    assert (int(row["observed"]), int(row["open"])) == (len(came), waiting)
    assert waiting > 0
    assert fmean(came) <= float(row["mean_days"]) < 1.2 * fmean(came)
    sourcing = {
        (row["supplier"], row["product"]): row
        for row in csv.DictReader(io.StringIO((folder / "sourcing.csv").read_text()))
    }
    assert sourcing["0000100027", "M-000027"]["lead_time"] == row["mean_days"]
    assert sourcing["0000100027", "M-000027"]["lead_time_cv"] == row["cv"]
    assert "not come yet" in ran.output
    plain = house.folder / "network"
    shutil.copytree(folder, plain, copy_function=shutil.copyfile)
    invoke = CliRunner().invoke
    valid = invoke(cli, ["supply-chain", "validate", str(plain)], catch_exceptions=False)
    assert valid.exit_code == 0, valid.output
    words = ["supply-chain", "run", str(plain), "--out", str(house.folder / "results"), "--workers", "1"]
    simulated = invoke(cli, [*words, *RUN], catch_exceptions=False)
    assert simulated.exit_code == 0, simulated.output
    assert (house.folder / "results" / "report-en.html").is_file()


def test_a_network_that_is_not_in_order_is_not_sealed(house):
    wrong = NETWORK.replace("lead_time: leadTimeDays", "lead_time: plant")
    with pytest.raises(UsageError, match="The network 'Ventile' has"):
        run(house, "network", house.plan_text(*SETS) + wrong)
    assert house.dataset not in {one.name for one in house.session.catalogue().datasets()}


def test_history_becomes_a_forecast_that_goes_back(house):
    text = house.plan_text("{entity_set: Sales, fields: [plant, product, day, quantity], rows: 50000}")
    more = (
        "forecast: {weeks: 6, history: {from: Sales, product: product, site: plant, date: day, quantity: quantity}}"
    )
    back = house.folder / "back.yaml"
    back.write_text(BACK.format(service=house.peer.service("supply"), token_url=house.peer.token_url))
    target = house.folder / "forecast.parquet"
    said = json.loads(
        run(house, "forecast", f"{text}\n{more}\n", "--to", str(target), "--push", str(back), "--json").stdout
    )
    assert said["forecast"]["wape"] < 0.5
    sealed = pq.read_table(house.opened() / "forecast.parquet")
    assert sealed.equals(pq.read_table(target))
    assert sealed.num_rows == 20 * 6
    assert min(sealed.column("quantity").to_pylist()) >= 0
    assert said["push"]["written"] is None
    assert len(said["push"]["difference"]["changes"]) == 120
    ran = run(house, "forecast", f"{text}\n{more}\n", "--push", str(back), "--apply")
    assert "120 rows added" in ran.output
    there = house.ask(
        "GET",
        f"{house.peer.service('supply')}/Forecasts?$filter=startswith(product,'M-0000')&$orderby=plant,product,week",
    ).json()["value"]
    first = sealed.sort_by([("site", "ascending"), ("product", "ascending"), ("week", "ascending")]).to_pylist()[0]
    assert (there[0]["plant"], there[0]["product"]) == (first["site"], first["product"])
    assert float(there[0]["quantity"]) == pytest.approx(first["quantity"], abs=0.0005)


FORECASTING = """
import collections, csv, datetime, pathlib, statistics
rows = list(csv.DictReader(open("/data/history/history.csv")))
last = max(datetime.date.fromisoformat(row["date"]) for row in rows)
monday = last + datetime.timedelta(days=1 + -(last.weekday() + 1) % 7)
series = collections.defaultdict(list)
for row in rows:
    series[row["product"], row["site"]].append(float(row["quantity"]))
out = pathlib.Path("/out/forecast")
out.mkdir()
with open(out / "forecast.csv", "w", newline="") as file:
    writer = csv.writer(file)
    writer.writerow(["product", "site", "week", "quantity", "safety_stock"])
    for (product, site), values in sorted(series.items()):
        for week in range(4):
            day = monday + datetime.timedelta(weeks=week)
            mean, deviation = statistics.fmean(values), statistics.stdev(values)
            writer.writerow([product, site, day, 7 * mean, 1.645 * deviation * 7**0.5])
"""


def test_a_run_on_sealed_history_gives_a_sealed_forecast_that_goes_back_through_memory(house, tmp_path):
    run(house, "network", house.plan_text(*SETS) + NETWORK)
    stage = house.stage
    stage.grant(house.dataset, "supply-planning")
    job = {"name": f"plan-{house.dataset}", "purpose": "supply-planning", "data": {"/data/history": house.dataset}}
    order = stage.order(tmp_path / "job", FORECASTING, **job, outputs={"forecast": "/out/forecast"})
    assert stage.end(order).state == "succeeded"
    back = house.folder / "back.yaml"
    back.write_text(BACK.format(service=house.peer.service("supply", 2), token_url=house.peer.token_url))
    words = ("sap", "push", str(back), "--run", job["name"], "--home", str(house.session.home))
    dry = CliRunner().invoke(cli, [*words, "--file", "forecast.csv"], catch_exceptions=False)
    assert "forecast/forecast.csv of r-" in dry.output
    assert "Dry run: nothing was written" in dry.output
    applied = CliRunner().invoke(cli, [*words, "--apply", "--json"], catch_exceptions=False)
    assert json.loads(applied.stdout)["written"] == {"added": 4, "changed": 0}
    again = CliRunner().invoke(cli, [*words, "--apply", "--json"], catch_exceptions=False)
    assert json.loads(again.stdout)["difference"]["same"] == 4
    with pytest.raises(NotFoundError, match=r"has no file 'forecasts\.csv'") as raised:
        CliRunner().invoke(cli, [*words, "--file", "forecasts.csv"], catch_exceptions=False)
    assert "forecast/forecast.csv" in raised.value.hint


BACK = """
service: {service}
purpose: supply-planning
confirmed: {{by: Anna Huber, on: 2026-11-20, because: "our own service"}}
sign_in:
  kind: oauth2
  token_url: {token_url}
  client_id: kifabrik
  client_secret: {{env: KIFABRIK_TEST_SAP_SECRET}}
push:
  entity_set: Forecasts
  fields: {{plant: site, product: product, week: week, quantity: quantity, safetyStock: safety_stock}}
  rows: 200
  create: true
"""
