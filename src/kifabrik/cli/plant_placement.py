"""`kifabrik plant placement`."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from kifabrik.cli.counting import counting
from kifabrik.cli.options import json_option
from kifabrik.cli.terminal import remark, show_json, show_table

if TYPE_CHECKING:
    from kifabrik.plant.placement.placing import Allocation

_POLICIES: Final = ("random", "dot-product", "clustering", "packing", "best-fit", "fgd")


@click.command(
    epilog="""\b
    Examples:
      kifabrik plant placement openb_nodes.csv openb_pods.csv.gz
      kifabrik plant placement openb_nodes.csv openb_pods.csv.gz --policy fgd --seeds 3
    """
)
@click.argument("nodes_file", metavar="NODES", type=click.Path(path_type=Path))
@click.argument("pods_file", metavar="PODS", type=click.Path(path_type=Path))
@click.option(
    "--policy", "policies", multiple=True, type=click.Choice(_POLICIES), help="May be given several times; all."
)
@click.option("--seeds", type=click.IntRange(min=1), default=10, show_default=True, help="Repetitions.")
@click.option(
    "--arrivals", type=float, default=1.3, show_default=True, help="What all pods ask for, as a share of all GPUs."
)
@json_option
def placement(
    nodes_file: Path, pods_file: Path, policies: tuple[str, ...], seeds: int, arrivals: float, as_json: bool
) -> None:
    """Compare how much of a cluster placement policies can give away to pods with fractions of GPUs.

    NODES and PODS are tables as Alibaba published them with the FGD paper (cluster-trace-gpu-v2023): pods arrive in
    a random order and stay.
    """
    from kifabrik.plant.placement.cluster import read_nodes, read_pods  # noqa: PLC0415 - slow to import
    from kifabrik.plant.placement.placing import compare  # noqa: PLC0415
    from kifabrik.plant.placement.scores import Policy  # noqa: PLC0415

    wanted = [Policy(_POLICIES.index(name)) for name in policies or _POLICIES]
    nodes, pods = read_nodes(nodes_file), read_pods(pods_file)
    with counting("placing", len(wanted) * seeds, quiet=as_json) as count:
        found = compare(
            nodes,
            pods,
            wanted,
            range(seeds),
            arrivals=arrivals,
            progress=(lambda: count(1)) if count else None,
        )
    if as_json:
        show_json({"gpus": nodes.milli // 1000, "policies": [_figures(one) for one in found]})
        return
    rows = [
        (
            _POLICIES[one.policy],
            f"{one.rates.mean():.2%}",
            f"{one.rates.std(ddof=1 if seeds > 1 else 0):.2%}",
            f"{one.refused.mean():,.0f}",
        )
        for one in found
    ]
    show_table(["POLICY", "GIVEN AWAY", "SPREAD", "REFUSED"], rows, right=(1, 2, 3))
    remark(
        f"{nodes.milli // 1000:,} GPUs, on average {found[0].arrived.mean():,.0f} pods that ask for"
        f" {arrivals:.0%} of them, {seeds} repetitions. Spread: standard deviation of these."
    )


def _figures(one: "Allocation") -> dict[str, object]:
    return {
        "policy": _POLICIES[one.policy],
        "rate": float(one.rates.mean()),
        "rates": one.rates.tolist(),
        "arrived": one.arrived.tolist(),
        "refused": one.refused.tolist(),
    }
