"""A supply network of real size as a folder of tables, made up: parts, assemblies, products, warehouses.

    python bench/supply_chain_vast.py FOLDER [--nodes 10000] [--seed 1]

Three plants buy parts from two suppliers each, make assemblies and of them products, and supply warehouses by lorry
and by rail. Bills name no site: they hold at each plant that makes the product. Lead times of suppliers scatter;
demand of the warehouses is intermittent, Poisson, negative binomial or normal, some with seasons. 10,000 nodes have
about 80,000 lanes.
"""

import argparse
import csv
from collections.abc import Iterable
from pathlib import Path

import numpy as np

PLANTS = ("Augsburg", "Brno", "Cork")
SUPPLIERS = 80
PARTS_OF_AN_ASSEMBLY, ASSEMBLIES_OF_A_PRODUCT, PARTS_OF_A_PRODUCT = 16, 15, 8
SHARES = {"part": 0.3, "assembly": 0.24, "product": 0.06}
"""Of all nodes; the rest are products at warehouses."""


def main() -> None:
    """Write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--nodes", type=int, default=10_000, help="at least 500")
    parser.add_argument("--seed", type=int, default=1)
    wishes = parser.parse_args()
    write(wishes.folder, wishes.nodes, wishes.seed)


def write(folder: Path, nodes: int = 10_000, seed: int = 1) -> None:
    """Write tables of a network of about so many nodes."""
    luck = np.random.default_rng(seed)
    parts, assemblies, products = (
        [f"{kind}-{number:04d}" for number in range(max(3, round(share * nodes / len(PLANTS))))]
        for kind, share in SHARES.items()
    )
    made = len(PLANTS) * (len(parts) + len(assemblies) + len(products))
    sites = [f"W{number:02d}" for number in range(max(1, (nodes - made) // len(products)))]
    values = {part: float(np.exp(luck.normal(1.0, 1.2))) for part in parts}
    bills: list[tuple[str, str, int]] = []
    for product, among in [(a, {PARTS_OF_AN_ASSEMBLY: parts}) for a in assemblies] + [
        (p, {ASSEMBLIES_OF_A_PRODUCT: assemblies, PARTS_OF_A_PRODUCT: parts}) for p in products
    ]:
        lines = [
            (product, among_which[at], int(luck.integers(1, 5)))
            for count, among_which in among.items()
            for at in luck.choice(len(among_which), min(count, len(among_which)), replace=False)
        ]
        bills += lines
        values[product] = 1.15 * sum(quantity * values[component] for _, component, quantity in lines)
    folder.mkdir(parents=True, exist_ok=True)
    _table(folder, "network", ("name", "currency"), [(f"{nodes:,} products at sites", "EUR")])
    _table(
        folder, "products", ("product", "unit", "value", "price", "holding_rate"),
        [(name, "pcs", f"{value:.2f}", f"{1.6 * value:.2f}", 0.18) for name, value in values.items()],
    )  # fmt: skip
    _table(folder, "sites", ("site", "longitude", "latitude"), _places(luck, sites))
    at_plants = [(name, plant) for plant in PLANTS for name in (*parts, *assemblies, *products)]
    at_warehouses = [(product, site) for product in products for site in sites]
    _table(
        folder, "product_site", ("product", "site", "service_level", "lot", "stockout_cost"),
        [(*node, 0.97, 10 if node[0].startswith("part") else "", "") for node in at_plants]
        + [(*node, 0.95, "", f"{0.02 * values[node[0]]:.2f}") for node in at_warehouses],
    )  # fmt: skip
    _table(
        folder, "production", ("product", "site", "making_time"),
        [(name, plant, 1 if name in set(assemblies) else 2) for name, plant in at_plants if name not in set(parts)],
    )  # fmt: skip
    _table(folder, "bom", ("product", "component", "quantity"), bills)
    _table(
        folder, "sourcing", ("product", "site", "supplier", "quota", "lead_time", "lead_time_cv", "unit_cost"),
        [
            (part, plant, f"supplier-{luck.integers(SUPPLIERS):02d}-{rank}", share, int(luck.integers(5, 40)), 0.2,
             f"{values[part]:.2f}")
            for part in parts for plant in PLANTS for rank, share in enumerate((0.7, 0.3))
        ],
    )  # fmt: skip
    _table(
        folder, "lanes", ("product", "from_site", "to_site", "mode", "priority", "lead_time", "unit_cost"),
        [
            (product, plant, site, mode, rank, days, f"{cost * values[product]:.3f}")
            for product, site in at_warehouses
            for near, plant in enumerate(luck.permutation(PLANTS))
            for rank, mode, days, cost in ((near, "lorry", 2 + near, 0.01), (near + 3, "rail", 5 + near, 0.004))
        ],
    )  # fmt: skip
    season = " ".join(f"{1 + 0.3 * np.sin(2 * np.pi * week / 52):.3f}" for week in range(52))
    _table(
        folder, "demand", ("product", "site", "kind", "mean", "sd", "chance", "factors", "factor_time"),
        [_demand(luck, node, season) for node in at_warehouses],
    )  # fmt: skip
    _table(
        folder, "disruptions", ("name", "effect", "target", "start", "duration", "probability", "recovery"),
        [
            ("Cork stands still", "outage", "*@Cork", 120, 14, "", ""),
            ("strike at a supplier", "supplier-outage", "supplier-00-0", "", "", 0.002, 0.1),
        ],
    )  # fmt: skip
    _table(
        folder, "scenarios", ("name", "table", "key", "column", "factor"),
        [("growth", "demand", "*", "mean", 1.2), ("faster parts", "sourcing", "*", "lead_time", 0.8)],
    )  # fmt: skip


def _places(luck: np.random.Generator, sites: list[str]) -> list[tuple[str, float, float]]:
    plants = [("Augsburg", 10.9, 48.4), ("Brno", 16.6, 49.2), ("Cork", -8.5, 51.9)]
    return plants + [(s, round(luck.uniform(-9, 25), 2), round(luck.uniform(38, 60), 2)) for s in sites]


def _demand(luck: np.random.Generator, node: tuple[str, str], season: str) -> tuple[object, ...]:
    mean = round(float(np.exp(luck.normal(1.5, 1.0))), 2)
    match luck.integers(4):
        case 0:
            return *node, "intermittent", round(3 * mean, 2), round(mean, 2), 0.3, "", ""
        case 1:
            return *node, "poisson", mean, "", "", season, "1 week"
        case 2:
            return *node, "negative-binomial", mean, round(1.2 * (2 * mean) ** 0.5 + 0.1, 2), "", "", ""
        case _:
            return *node, "normal", mean, round(0.3 * mean, 2), "", season, "1 week"


def _table(folder: Path, name: str, headings: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> None:
    with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(headings)
        writer.writerows(rows)


if __name__ == "__main__":
    main()
