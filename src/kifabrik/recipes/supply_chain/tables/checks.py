"""What must hold between tables: keys occur once, what is named is there, all is supplied, nothing goes round."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

from kifabrik.errors import UsageError
from kifabrik.recipes.supply_chain.correlating import score_weights
from kifabrik.recipes.supply_chain.distributions import Kind
from kifabrik.recipes.supply_chain.network import Correlation, Effect, Lane, Node, Rule
from kifabrik.recipes.supply_chain.tables.build import made_at, pair
from kifabrik.recipes.supply_chain.tables.cells import Parsed, Row
from kifabrik.recipes.supply_chain.tables.columns import TABLES
from kifabrik.recipes.supply_chain.tables.schema import Table

_NEEDS = {
    Rule.MIN_MAX: ("level", "reorder_point"),
    Rule.FIXED_LOT: ("reorder_point", "quantity"),
    Rule.FIXED_QUANTITY: ("quantity",),
    Rule.ECHELON_BASE_STOCK: ("level",),
}


def check(parsed: Parsed) -> None:
    """Report everything that does not hold between rows."""
    for table in TABLES.values():
        _check_keys(parsed, table)
    _check_known(parsed)
    _check_rules(parsed)
    _check_scenarios(parsed)


def _check_keys(parsed: Parsed, table: Table) -> None:
    if not table.key:
        return
    first: dict[tuple[str, ...], int] = {}
    for row in parsed.rows[table.name]:
        key = tuple(row.text(part) for part in table.key)
        if key in first:
            named = ", ".join(f"{part} {value}" for part, value in zip(table.key, key, strict=True) if value)
            parsed.report(table.name, row.number, table.key[0], f"{named} is already in row {first[key]}.")
        first.setdefault(key, row.number)


def _check_known(parsed: Parsed) -> None:  # noqa: C901 - one loop a table
    products = {row.text("product") for row in parsed.rows["products"]}
    sites = {row.text("site") for row in parsed.rows["sites"]}
    nodes = {pair(row) for row in parsed.rows["product_site"]}
    for row in parsed.rows["product_site"]:
        if products and row.text("product") not in products:
            parsed.report("product_site", row.number, "product", f"{row.text('product')} is not in products.")
        if sites and row.text("site") not in sites:
            parsed.report("product_site", row.number, "site", f"{row.text('site')} is not in sites.")
    held = {product for product, _ in nodes}
    for row in parsed.rows["products"]:
        if row.text("product") not in held:
            parsed.report(
                "products", row.number, "product", f"{row.text('product')} is held nowhere: no row in product_site."
            )
    for name in ("production", "sourcing", "demand", "inventory"):
        for row in parsed.rows[name]:
            _check_node(parsed, name, row, nodes, pair(row), "product")
    for row in parsed.rows["lanes"]:
        target = (row.text("for_product") or row.text("product"), row.text("to_site"))
        _check_node(parsed, "lanes", row, nodes, pair(row, site="from_site"), "from_site")
        _check_node(parsed, "lanes", row, nodes, target, "to_site")
    for row in parsed.rows["bom"]:
        places = made_at(parsed, row)
        if not places:
            parsed.report(
                "bom", row.number, "site", f"No site, and {row.text('product')} is in no row of production."
            )
        for site in places:
            _check_node(parsed, "bom", row, nodes, (row.text("product"), site), "product")
            _check_node(parsed, "bom", row, nodes, (row.text("component"), site), "component")


def _check_node(
    parsed: Parsed, table: str, row: Row, nodes: set[tuple[str, str]], node: tuple[str, str], column: str
) -> None:
    if all(node) and node not in nodes:
        parsed.report(table, row.number, column, f"{node[0]} at {node[1]} is not in product_site.")


def _check_rules(parsed: Parsed) -> None:  # noqa: C901, PLR0912 - one line a rule
    for row in parsed.rows["product_site"]:
        rule = Rule(row.text("rule", Rule.BASE_STOCK))
        for column in _NEEDS.get(rule, ()):
            if column not in row.values:
                parsed.report("product_site", row.number, column, f"The rule {rule} needs a {column}.")
        if rule is Rule.MIN_MAX and row.number_or("reorder_point", 0.0) > row.number_or("level", 0.0):
            parsed.report("product_site", row.number, "reorder_point", "It is above the level.")
        if rule is Rule.FIXED_LOT and row.maybe("quantity") == 0:
            parsed.report("product_site", row.number, "quantity", "A lot must be more than nothing.")
        if row.whole("review") < 1:
            parsed.report("product_site", row.number, "review", "Orders are placed every 1 period or more.")
    for row in parsed.rows["production"]:
        if row.maybe("yield") == 0:
            parsed.report("production", row.number, "yield", "Nothing would ever come out; use more than 0.")
    told = {(problem.row, problem.column) for problem in parsed.problems if problem.table == "demand"}
    for row in parsed.rows["demand"]:
        kind = row.text("kind")
        needed = "values" if kind in {Kind.EMPIRICAL, Kind.UNIFORM} else "mean"
        if needed not in row.values and (row.number, needed) not in told:
            parsed.report("demand", row.number, needed, f"The value is missing{f' for {kind}' if kind else ''}.")
        if abs(row.number_or("loading", 0.0)) > 1:
            parsed.report("demand", row.number, "loading", "A correlation is between -1 and 1.")
        if any(factor < 0 for factor in row.numbers("factors")):
            parsed.report("demand", row.number, "factors", "A factor is negative.")
    for name in ("bom", "lanes", "sourcing"):
        for row in parsed.rows[name]:
            if row.maybe("quantity") == 0:
                parsed.report(name, row.number, "quantity", "A quantity must be more than nothing.")


def _check_scenarios(parsed: Parsed) -> None:
    for row in parsed.rows["scenarios"]:
        table = TABLES.get(row.text("table"))
        if table is None or table.name == "scenarios":
            parsed.report("scenarios", row.number, "table", f"'{row.text('table')}' is no table that can change.")
        elif row.text("column") not in table.by_name:
            parsed.report("scenarios", row.number, "column", f"{table.name} has no column '{row.text('column')}'.")
        if ("factor" in row.values) == ("value" in row.values):
            parsed.report("scenarios", row.number, "factor", "Give either a factor or a value.")


def check_flow(parsed: Parsed, lanes: Iterable[Lane]) -> None:
    """Report nodes that nothing supplies, cycles, and disruptions of what is not there."""
    known = list(lanes)
    fed = {lane.target for lane in known}
    wanted = {"@".join(pair(row)): row.number for row in parsed.rows["demand"]}
    for row in parsed.rows["product_site"]:
        name = "@".join(pair(row))
        if name in fed:
            continue
        message = "no row in sourcing, lanes or bom brings or makes it. Outside suppliers belong in sourcing."
        if name in wanted:
            parsed.report("demand", wanted[name], "product", f"There is demand for {name} but no supply: {message}")
        else:
            parsed.report("product_site", row.number, "product", f"Nothing supplies {name}: {message}")
    _check_cycle(parsed, known)
    _check_targets(parsed, known)


def check_correlations(parsed: Parsed, nodes: Sequence[Node], correlations: Sequence[Correlation]) -> None:
    """Report each correlation that cannot be, or that together they cannot."""
    for row, each in zip(parsed.rows["correlations"], correlations, strict=True):
        try:
            score_weights(nodes, (each,))
        except UsageError as error:
            parsed.report("correlations", row.number, "coefficient", error.message)
    if not parsed.problems:
        try:
            score_weights(nodes, correlations)
        except UsageError as error:
            parsed.report("correlations", 0, "coefficient", f"{error.message} {error.hint}")


def _check_cycle(parsed: Parsed, lanes: list[Lane]) -> None:
    before: dict[str, list[str]] = defaultdict(list)
    for lane in lanes:
        if lane.source:
            before[lane.target].append(lane.source)
    try:
        TopologicalSorter(before).prepare()
    except CycleError as error:
        cycle: list[str] = error.args[1]
        path = " → ".join(cycle)
        edges = set(pairwise(cycle))
        for row in parsed.rows["bom"]:
            for site in made_at(parsed, row):
                if (f"{row.text('component')}@{site}", f"{row.text('product')}@{site}") in edges:
                    what = "Nothing can be made of itself"
                    parsed.report("bom", row.number, "component", f"{what}; the cycle is {path}.")
                    return
        for row in parsed.rows["lanes"]:
            target = f"{row.text('for_product') or row.text('product')}@{row.text('to_site')}"
            if ("@".join(pair(row, site="from_site")), target) in edges:
                parsed.report("lanes", row.number, "to_site", f"Goods would go round in a circle: {path}.")
                return


def _check_targets(parsed: Parsed, lanes: list[Lane]) -> None:
    nodes = {"@".join(pair(row)) for row in parsed.rows["product_site"]}
    nodes |= {f"*@{row.text('site')}" for row in parsed.rows["product_site"]}
    ways = {lane.name for lane in lanes}
    suppliers = {lane.supplier for lane in lanes if lane.supplier}
    for row in parsed.rows["disruptions"]:
        target = row.text("target").replace(" -> ", " → ")
        match Effect(row.text("effect", Effect.OUTAGE)):
            case Effect.LANE_OUTAGE:
                known, kind = ways, "lane (product@site -> product@site)"
            case Effect.SUPPLIER_OUTAGE:
                known, kind = suppliers, "supplier"
            case _:
                known, kind = nodes, "node (product@site, or *@site)"
        if target and target not in known:
            parsed.report("disruptions", row.number, "target", f"There is no {kind} called '{target}'.")
