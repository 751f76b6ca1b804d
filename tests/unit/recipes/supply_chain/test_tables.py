import csv
import time
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from kifabrik.cli.supply_chain_import import import_network
from kifabrik.cli.supply_chain_template import template
from kifabrik.cli.supply_chain_validate import validate
from kifabrik.errors import NotFoundError, UsageError
from kifabrik.recipes.supply_chain import willems
from kifabrik.recipes.supply_chain.distributions import Distribution, Kind
from kifabrik.recipes.supply_chain.network import (
    Allocation,
    Demand,
    Disruption,
    Effect,
    Lane,
    Network,
    Node,
    Policy,
    Rule,
)
from kifabrik.recipes.supply_chain.tables import examine, read_network, read_tables, scenario_names
from kifabrik.recipes.supply_chain.tables.columns import TABLES
from kifabrik.recipes.supply_chain.tables.template import markdown, write_example
from kifabrik.recipes.supply_chain.tables.write import write_tables

ONE = {"product_site": "product,site,level\nA,X,5\n", "sourcing": "product,site,supplier\nA,X,L1\n"}


def write(folder, **tables):
    folder.mkdir(exist_ok=True)
    for name, text in tables.items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    return folder


def said(folder):
    return "\n".join(str(problem) for problem in examine(folder).problems[""])


def willems_folder():
    for above in Path(__file__).resolve().parents:
        if (above.parent / "shared/data/supply_chain" / willems.STAGES).exists():
            return above.parent / "shared/data/supply_chain"
    pytest.skip("the Willems tables are not beside the checkout, in shared/data/supply_chain")


def test_a_network_of_one_node_is_read(tmp_path):
    network = read_network(write(tmp_path, **ONE))
    assert [node.name for node in network.nodes] == ["A@X"]
    assert network.nodes[0].policy.level == 5
    assert network.lanes == (Lane(source="", target="A@X", component="A", supplier="L1"),)


def test_sap_headings_mean_the_same_as_ours(tmp_path):
    ours = write(
        tmp_path / "ours",
        product_site="product,site,safety_stock,delivery_time,value\nA,X,7,3,2\nB,X,1,4,1\n",
        bom="product,site,component,quantity,base_quantity,scrap\nA,X,B,30,10,5\n",
        sourcing="product,site,supplier,lead_time,unit_cost,price_unit\nB,X,L1,9,250,100\n",
        demand="product,site,mean\nA,X,10\n",
    )
    theirs = write(
        tmp_path / "theirs",
        MARC="MATNR,WERKS,EISBE,PLIFZ,DISPO\nA,X,7,3,001\nB,X,1,4,001\n",
        MBEW="MATNR,BWKEY,STPRS\nB,X,1\nA,X,2\n",
        STPO="MATNR,WERKS,IDNRK,MENGE,BMENG,AUSSS\nA,X,B,30,10,5\n",
        EINE="MATNR,WERKS,LIFNR,APLFZ,NETPR,PEINH\nB,X,L1,9,250,100\n",
        demand="product,site,mean\nA,X,10\n",
    )
    one, other = read_network(ours), read_network(theirs)
    assert one.nodes == other.nodes
    assert one.lanes == other.lanes
    assert one.lanes[0].quantity == pytest.approx(3.15)
    assert one.lanes[1].unit_cost == 2.5
    assert one.nodes[0].policy.level == 10 * 1 + 7


@pytest.mark.parametrize(
    ("headings", "cells", "periods"),
    [
        ("lead_time", "14", 2),
        ("lead_time", "3 weeks", 3),
        ("lead_time,lead_time_unit", "336,hours", 2),
        ("lead_time,lead_time_unit", "2,Wochen", 2),
        ("lead_time_weeks", "4", 4),
        ("lead_time,lead_time_unit", "5,periods", 5),
        ("lead_time", "11", 2),
        ("lead_time", "10", 1),
    ],
)
def test_times_become_whole_periods_whatever_their_unit(tmp_path, headings, cells, periods):
    tables = ONE | {"network": "period_days\n7\n", "sourcing": f"product,site,{headings}\nA,X,{cells}\n"}
    assert read_network(write(tmp_path, **tables)).lanes[0].lead_time.mean == periods


def test_weekly_demand_is_spread_over_days(tmp_path):
    tables = ONE | {"demand": "product,site,mean,cv,per\nA,X,70,0.1,week\n"}
    each = read_network(write(tmp_path, **tables)).nodes[0].demand.each
    assert each.mean == pytest.approx(10)
    assert each.sd == pytest.approx(7 / 7**0.5)


def test_monthly_factors_fill_a_year_of_days(tmp_path):
    factors = " ".join(str(month) for month in range(1, 13))
    tables = ONE | {"demand": f"product,site,mean,factors,factor_time\nA,X,1,{factors},1 month\n"}
    spread = read_network(write(tmp_path, **tables)).nodes[0].demand.factors
    assert len(spread) == 365
    assert list(spread) == sorted(spread)
    assert {spread.count(month) for month in range(1, 13)} == {30, 31}


def test_lead_time_variation_is_a_coefficient(tmp_path):
    tables = ONE | {"sourcing": "product,site,lead_time,lead_time_cv\nA,X,2 weeks,0.25\n"}
    time = read_network(write(tmp_path, **tables)).lanes[0].lead_time
    assert (time.kind, time.mean, time.sd) == (Kind.GAMMA, 14, 3.5)


def test_semicolons_bring_decimal_commas(tmp_path):
    tables = ONE | {"product_site": "product;site;level;value\nA;X;1.234,5;0,75\n"}
    node = read_network(write(tmp_path, **tables)).nodes[0]
    assert (node.policy.level, node.value) == (1234.5, 0.75)


def test_a_workbook_reads_like_a_folder(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    write_example(tmp_path / "pumps")
    book = openpyxl.Workbook()
    for file in (tmp_path / "pumps").glob("*.csv"):
        sheet = book.create_sheet(file.stem)
        with file.open(encoding="utf-8") as lines:
            for row in csv.reader(lines):
                sheet.append([float(cell) if cell.replace(".", "", 1).isdigit() else cell for cell in row])
    book.save(tmp_path / "pumps.xlsx")
    one, other = read_network(tmp_path / "pumps"), read_network(tmp_path / "pumps.xlsx")
    assert one.nodes == other.nodes
    assert one.lanes == other.lanes


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"product_site": "product,site,level\nA,X,5\nA,X,6\n"}, "product_site, row 3, column product"),
        ({"demand": "product,site,mean\nB,X,1\n"}, "demand, row 2, column product: B at X is not in product_site"),
        ({"sourcing": "product,site,lead_time\nA,X,-3\n"}, "sourcing, row 2, column lead_time: -3 is negative"),
        ({"sourcing": "product,site,lead_time\nA,X,3 moons\n"}, "column lead_time: There is no unit 'moons'"),
        (
            {"sourcing": "product,site,lead_time,lead_time_unit\nA,X,3,moons\n"},
            "sourcing, row 2, column lead_time_unit: There is no unit 'moons'",
        ),
        ({"sourcing": "product,site\nA,\n"}, "sourcing, row 2, column site: The value is missing"),
        ({"product_site": "product,site,levle\nA,X,5\n"}, "Did you mean level?"),
        ({"product_site": "product,site,level\nA,X,many\n"}, "column level: 'many' is not a number"),
        ({"product_site": "product,site,level\nA,X,nan\n"}, "'nan' is not a finite number"),
        ({"product_site": "product,site,rule\nA,X,s-S\n"}, "The rule s-S needs a reorder_point"),
        (
            {"product_site": "product,site\nA,X\nB,X\n", "demand": "product,site,mean\nB,X,1\n"},
            "demand, row 2, column product: There is demand for B@X but no supply",
        ),
        ({"products": "product\nC\n"}, "products, row 2, column product: C is held nowhere"),
        (
            {"disruptions": "name,effect,target\nfire,outage,A@Y\n"},
            "disruptions, row 2, column target: There is no node",
        ),
        (
            {"demand": "product,site,kind,mean,sd\nA,X,negative-binomial,5,1\n"},
            "demand, row 2, column kind: A negative binomial distribution needs a variance above its mean",
        ),
        ({"scenarios": "name,table,column,factor\nw,demnd,mean,2\n"}, "'demnd' is no table that can change"),
    ],
)
def test_a_problem_names_table_row_and_column(tmp_path, change, expected):
    folder = write(tmp_path, **(ONE | change))
    assert expected in said(folder)
    with pytest.raises(UsageError):
        read_network(folder)


def test_a_cycle_in_the_bill_of_material_is_shown(tmp_path):
    folder = write(
        tmp_path,
        product_site="product,site\nA,X\nB,X\nC,X\n",
        bom="product,site,component\nA,X,B\nB,X,C\nC,X,A\n",
    )
    text = said(folder)
    assert text.startswith("bom, row ")
    around = text.rpartition("the cycle is ")[2].rstrip(".").split(" → ")
    assert around[0] == around[-1]
    assert set(around) == {"A@X", "B@X", "C@X"}


def test_all_problems_are_listed_and_the_rest_counted(tmp_path):
    rows = "".join(f"A{number},X,-1\n" for number in range(30))
    with pytest.raises(UsageError, match="has 60 problems") as caught:
        read_network(write(tmp_path, product_site="product,site,level\n" + rows))
    assert len(caught.value.message.splitlines()) == 22
    assert caught.value.message.endswith("and 40 more")


def test_nothing_there_is_said(tmp_path):
    with pytest.raises(NotFoundError, match="nothing at"):
        read_network(tmp_path / "none")
    with pytest.raises(UsageError, match="no table"):
        read_network(tmp_path)
    (tmp_path / "a.xlsx").write_bytes(b"no workbook")
    with pytest.raises(UsageError, match="cannot be read"):
        read_network(tmp_path / "a.xlsx")


def test_every_what_if_of_the_example_changes_something(tmp_path):
    write_example(tmp_path / "pumps")
    base = read_network(tmp_path / "pumps")
    names = scenario_names(read_tables(tmp_path / "pumps"))
    assert len(names) >= 4
    for name in names:
        assert read_network(tmp_path / "pumps", name) != base


def test_a_what_if_multiplies_only_the_rows_of_its_key(tmp_path):
    folder = write(
        tmp_path,
        product_site="product,site,level\nA,X,5\nB,X,5\n",
        sourcing="product,site,lead_time\nA,X,2 weeks\nB,X,2 weeks\n",
        scenarios="name,table,key,column,factor\nslow,sourcing,A@*,lead_time,1.5\nbad,sourcing,C@X,lead_time,2\n",
    )
    assert [lane.lead_time.mean for lane in read_network(folder, "slow").lanes] == [21, 14]
    with pytest.raises(UsageError, match="no row of sourcing matches 'C@X'"):
        read_network(folder, "bad")
    with pytest.raises(NotFoundError, match="no scenario 'fast'"):
        read_network(folder, "fast")


def test_what_is_written_reads_back_the_same(tmp_path):
    network = Network(
        name="all of it",
        period_days=7,
        currency="CHF",
        nodes=(
            Node(
                product="A",
                site="X",
                policy=Policy(
                    rule=Rule.MIN_MAX, level=9.1, reorder_point=-2.5, review=3, offset=1, minimum=2, lot=4
                ),
                demand=Demand(
                    each=Distribution(kind=Kind.EMPIRICAL, values=(0.0, 1 / 3), weights=(0.25, 0.75)),
                    factors=(0.5, 1.5),
                    shared_luck="weather",
                    loading=-0.3,
                ),
                backorder_share=0.4,
                allocation=Allocation.PROPORTIONAL,
                initial_stock=0.0,
                holding_cost=0.1,
                in_transit_cost=0.2,
                stockout_cost=3,
                lost_sale_cost=4,
                order_cost=5,
                price=6,
                value=7,
                order_capacity=80,
                making_capacity=70,
                making_time=2,
                yields=0.9,
                storage=99,
                service_target=0.95,
                promised_time=1,
                place=(1.5, -2.5),
                unit="kg",
            ),
            Node(product="B", site="Y"),
        ),
        lanes=(
            Lane(
                source="B@Y",
                target="A@X",
                component="B2",
                mode="rail",
                quantity=0.3,
                quota=2,
                rank=1,
                customer_rank=2,
                order_time=3,
                lead_time=Distribution(kind=Kind.UNIFORM, values=(1.0, 4.0)),
                crossing=False,
                capacity=12,
                lot=5,
                unit_cost=1.1,
                order_cost=2.2,
                in_transit_cost=0.0,
                initial_orders=1.5,
                initial_shipments=2.5,
            ),
            Lane(source="", target="B@Y", component="B", supplier="L1"),
            Lane(source="", target="B@Y", component="raw", supplier="L2", quantity=2),
        ),
        disruptions=(
            Disruption(name="storm", effect=Effect.LANE_OUTAGE, target="B@Y → A@X (rail)", start=0, duration=2),
            Disruption(
                name="wear", effect=Effect.CAPACITY_LOSS, target="*@X", probability=0.1, recovery=0.5, share=0.3
            ),
        ),
    )
    write_tables(network, tmp_path / "out")
    assert read_network(tmp_path / "out") == network
    with pytest.raises(UsageError, match="has tables already"):
        write_tables(network, tmp_path / "out")


THREE = {
    "product_site": "product,site,level\nA,X,9\nB,X,9\nC,Y,9\n",
    "sourcing": "product,site\nA,X\nB,X\nC,Y\n",
    "demand": "product,site,mean,sd\nA,X,9,2\nB,X,9,2\nC,Y,9,2\n",
}
PAIRS = "MATNR,WERKS,other_product,other_site,coefficient\n"


def test_correlations_are_read_and_written(tmp_path):
    network = read_network(write(tmp_path, **THREE, correlations=f"{PAIRS}A,X,B,X,0.5\nA,X,C,Y,-0.2\n"))
    assert [(x.one, x.other, x.coefficient) for x in network.correlations] == [
        ("A@X", "B@X", 0.5),
        ("A@X", "C@Y", -0.2),
    ]
    write_tables(network, tmp_path / "out")
    assert read_network(tmp_path / "out") == network


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("A,X,C,Z,0.5\n", "row 2, column coefficient: The correlation of A@X and C@Z: C@Z is no node with outside"),
        ("A,X,B,X,2\n", "row 2, column coefficient: The correlation of A@X and B@X is 2; it can be -1 to 1."),
        ("A,X,B,X,.9\nB,X,C,Y,.9\n", "correlations, column coefficient: The correlations contradict each other"),
        ("A,X,B,X,.9\nB,X,A,X,.9\n", "The correlation of B@X and A@X is given twice."),
    ],
)
def test_correlations_that_cannot_be_are_reported_where_they_are(tmp_path, rows, said):
    found = examine(write(tmp_path, **THREE, correlations=PAIRS + rows)).problems[""]
    assert [said in str(problem) for problem in found] == [True], found


def test_all_chains_of_willems_load_and_read_back(tmp_path):
    folder = willems_folder()
    numbers = willems.chains(folder / willems.STAGES)
    assert len(numbers) >= 25
    for number in numbers:
        network = willems.load(folder, number)
        assert any(node.demand for node in network.nodes)
        if number > 6:
            continue
        write_tables(network, tmp_path / str(number))
        again = read_network(tmp_path / str(number))
        assert again.nodes == network.nodes
        assert sorted(map(str, again.lanes)) == sorted(map(str, network.lanes))


def test_values_of_willems_stages_are_cumulated(tmp_path):
    (tmp_path / "stages.csv").write_text(
        "chain,Stage Name,stageCost,stageTime,avgDemand,stdDevDemand,serviceLevel,maxServiceTime\n"
        "1,Part,10,5,,,,\n1,Shop,2,3,20,4,0.9,1\n"
    )
    (tmp_path / "arcs.csv").write_text("chain,source,destination\n1,Part,Shop\n")
    network = willems.read(tmp_path / "stages.csv", tmp_path / "arcs.csv", 1, holding_rate=0.365)
    part, shop = network.nodes
    assert (part.value, shop.value) == (10, 12)
    assert shop.holding_cost == pytest.approx(0.012)
    assert shop.policy.level == pytest.approx(20 * 4 + 1.2815515655 * 4 * 2)
    with pytest.raises(NotFoundError, match="no chain 2"):
        willems.read(tmp_path / "stages.csv", tmp_path / "arcs.csv", 2)


def test_ten_thousand_nodes_are_read_in_seconds(tmp_path):
    numbers = range(5000)
    write(
        tmp_path,
        product_site="product,site\n" + "".join(f"A{n},X\nA{n},Y\n" for n in numbers),
        sourcing="product,site,lead_time\n" + "".join(f"A{n},X,9\n" for n in numbers),
        lanes="product,from_site,to_site,lead_time\n" + "".join(f"A{n},X,Y,2\n" for n in numbers),
        demand="product,site,mean,sd\n" + "".join(f"A{n},Y,10,3\n" for n in numbers),
    )
    began = time.process_time()
    network = read_network(tmp_path)
    assert len(network.nodes) == 10_000
    assert time.process_time() - began < 30


def test_the_template_explains_every_column_in_both_languages(tmp_path):
    run = CliRunner().invoke(template, [str(tmp_path / "new")])
    assert run.exit_code == 0
    for file in ("README.md", "LIESMICH.md"):
        text = (tmp_path / "new" / file).read_text(encoding="utf-8")
        for table in TABLES.values():
            assert f"## {table.name}\n" in text
            for column in table.columns:
                assert f"| `{column.name}` |" in text
    assert "Bedeutung" in markdown("de")
    for name, table in TABLES.items():
        headings = (tmp_path / "new" / f"{name}.csv").read_text(encoding="utf-8").strip().split(",")
        assert set(table.by_name) <= set(headings)
    assert said(tmp_path / "new") == "product_site: There is no row, so there is no network."


def test_the_example_is_in_order_and_problems_set_the_exit_status(tmp_path):
    runner = CliRunner()
    assert runner.invoke(template, [str(tmp_path / "pumps"), "--example"]).exit_code == 0
    fine = runner.invoke(validate, [str(tmp_path / "pumps")])
    assert (fine.exit_code, fine.output[:9]) == (0, "In order:")
    (tmp_path / "pumps/demand.csv").write_text("product,site,mean\nPUMP-S,MOON,1\n")
    wrong = runner.invoke(validate, [str(tmp_path / "pumps"), "--json"])
    assert wrong.exit_code == 2
    assert '"table": "demand", "row": 2' in wrong.output


def test_a_chain_is_imported_as_tables(tmp_path):
    folder = willems_folder()
    command = ["willems", str(folder / willems.STAGES), str(folder / willems.ARCS), "--chain", "1"]
    run = CliRunner().invoke(import_network, [*command, str(tmp_path / "out")])
    assert run.exit_code == 0
    expected = willems.load(folder, 1)
    assert replace(read_network(tmp_path / "out"), lanes=expected.lanes) == expected


def test_demand_without_a_mean_is_a_problem(tmp_path):
    tables = ONE | {"demand": "product,site,kind,mean,values\nA,X,,,\n"}
    (found,) = examine(write(tmp_path, **tables)).problems[""]
    assert str(found) == "demand, row 2, column mean: The value is missing."


def test_an_empty_file_says_that_it_has_no_headings(tmp_path):
    (found,) = examine(write(tmp_path, **(ONE | {"demand": ""}))).problems[""]
    assert "demand: It has no headings" in str(found)


def test_what_excel_calls_unicode_text_is_read_and_no_text_is_refused(tmp_path):
    folder = write(tmp_path, **ONE)
    (folder / "demand.csv").write_bytes("product\tsite\tmean\nA\tX\t5\n".encode("utf-16"))
    assert read_network(folder).nodes[0].demand.each.mean == 5
    (folder / "demand.csv").write_bytes(b"\x00\x01product")
    with pytest.raises(UsageError, match="is not a text file"):
        read_network(folder)


def test_levels_that_no_table_gives_are_sized_for_what_amends_the_tables(tmp_path):
    folder = write(
        tmp_path,
        product_site="product,site,safety_stock\nA,X,5\n",
        sourcing="product,site,supplier,lead_time\nA,X,L1,3\n",
    )
    demand = Demand(each=Distribution(kind=Kind.FIXED, mean=10))

    def asked(network):
        return replace(network, nodes=tuple(replace(node, demand=demand) for node in network.nodes))

    assert read_network(folder).nodes[0].policy.level == 5
    assert read_network(folder, amended=asked).nodes[0].policy.level == 5 + 10 * (3 + 1)
