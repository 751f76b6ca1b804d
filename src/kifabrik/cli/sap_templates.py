"""`kifabrik sap network` and `kifabrik sap forecast`: pulls whose tables are worked with at once."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kifabrik.cli.options import home_option, json_option
from kifabrik.cli.sap import require
from kifabrik.cli.sap_pull import pulling, show_pulled
from kifabrik.cli.sap_push import push_results
from kifabrik.cli.sap_secret import store_of, store_options
from kifabrik.cli.terminal import remark, show_json, warn

if TYPE_CHECKING:
    from kifabrik.connectors.sap.forecasting import ForecastMade
    from kifabrik.connectors.sap.network_tables import NetworkMade
    from kifabrik.connectors.sap.plan import Plan
    from kifabrik.connectors.sap.pull import Derive, Pulled
    from kifabrik.connectors.sap.secrets import SecretStore


@click.command(
    epilog="""\b
    Examples:
      kifabrik sap network network.yaml
      kifabrik recipe new supply-chain study --set dataset=sap-network
    """
)
@click.argument("plan", type=click.Path(path_type=Path))
@store_options
@home_option
@json_option
def network(plan: Path, passphrase_file: Path | None, key_file: Path | None, home: Path, as_json: bool) -> None:
    """Pull master data, and seal it with the supply network it makes.

    The network is checked before it is sealed. The dataset is what the recipe supply-chain takes:
    the simulator finds tables and history in it.
    """
    require("supply-chain", "numpy", "scipy", "numba")
    from kifabrik.connectors.sap.network_tables import make_network  # noqa: PLC0415 - slow to import
    from kifabrik.connectors.sap.templates import read_network_plan  # noqa: PLC0415

    read = read_network_plan(plan)
    made: list[NetworkMade] = []

    def derive(tables: Mapping[str, Any]) -> Mapping[str, bytes]:
        made.append(make_network(read.network, tables))
        return made[0].files

    pulled = _pull(home, read, derive, store_of(home, passphrase_file, key_file), quiet=as_json)
    found = made[0]
    counts = {
        "nodes": len(found.network.nodes),
        "lanes": len(found.network.lanes),
        "series": found.series,
        "left_out": found.left_out,
    }
    if as_json:
        times = found.lead_times
        if times is not None:
            counts |= {"order_lines": times.lines, "open_lines": times.open, "lines_left_out": times.left_out}
        show_json({"network": {**counts, "lead_times": dict(found.fitted)}, **_document(pulled)})
        return
    show_pulled(pulled)
    remark(f"Network {found.network.name!r}: {counts['nodes']:,} nodes, {counts['lanes']:,} lanes.")
    _show_lead_times(found)
    if found.series:
        remark(f"History of {found.series:,} products at sites.")
    if found.left_out:
        warn(f"{found.left_out:,} rows of history are of no product and site of the network, and left out.")
    remark(f"Next: kifabrik recipe new supply-chain study --set dataset={read.dataset}")


def _show_lead_times(found: "NetworkMade") -> None:
    times = found.lead_times
    if times is None:
        return
    remark(
        f"Lead times of {times.lines:,} order lines, {times.open:,} of them not come yet on {times.as_of}; "
        "lead_times.csv in the dataset says how many are behind each."
    )
    for what, lanes in found.fitted.items():
        words = "keep the planned one" if what == "planned" else f"fitted by {what}"
        remark(f"  {lanes:,} lanes {words}")
    if times.left_out:
        warn(f"{times.left_out:,} order lines have no day or supplier, or came before they were ordered.")


@click.command(
    epilog="""\b
    Examples:
      kifabrik sap forecast forecast.yaml
      kifabrik sap forecast forecast.yaml --push back.yaml
      kifabrik sap forecast forecast.yaml --push back.yaml --apply
    """
)
@click.argument("plan", type=click.Path(path_type=Path))
@click.option(
    "--push", "back", type=click.Path(path_type=Path), help="Compare it with a service, as this plan says."
)
@click.option("--apply", "write_it", is_flag=True, help="With --push: write the difference.")
@click.option("--to", "target", type=click.Path(path_type=Path), help="Also write the forecast here, in the clear.")
@store_options
@home_option
@json_option
def forecast(
    plan: Path,
    back: Path | None,
    write_it: bool,
    target: Path | None,
    passphrase_file: Path | None,
    key_file: Path | None,
    home: Path,
    as_json: bool,
) -> None:
    """Pull history, and seal it with a forecast of weekly demand and safety stocks.

    The forecast is level and season; how well it would have done over the last weeks is said beside the
    naive one. With --push it goes back to SAP from memory, as `kifabrik sap push` would take it; with --to
    it also lies on this machine in the clear.
    """
    require("supply-chain", "numpy", "scipy", "numba")
    from kifabrik.connectors.sap.forecasting import FORECAST, make_forecast  # noqa: PLC0415 - slow to import
    from kifabrik.connectors.sap.plan import read_push_plan  # noqa: PLC0415
    from kifabrik.connectors.sap.result_rows import Results  # noqa: PLC0415
    from kifabrik.connectors.sap.templates import read_forecast_plan  # noqa: PLC0415

    if write_it and back is None:
        raise click.UsageError("--apply says to write what --push compares: name a plan with --push.")
    read = read_forecast_plan(plan)
    push_plan = read_push_plan(back) if back is not None else None
    if target is not None and target.exists():
        raise click.UsageError(f"{target} exists. Name another file with --to.")
    made: list[ForecastMade] = []

    def derive(tables: Mapping[str, Any]) -> Mapping[str, bytes]:
        made.append(make_forecast(read.forecast, tables))
        return {FORECAST: made[0].file}

    store = store_of(home, passphrase_file, key_file)
    pulled = _pull(home, read, derive, store, quiet=as_json)
    found = made[0]
    if target is not None:
        target.write_bytes(found.file)
    if not as_json:
        _show_forecast(pulled, found, target)
    pushed = {}
    if push_plan is not None:
        results = Results.of_bytes(FORECAST, found.file)
        pushed = {"push": push_results(push_plan, results, store, write_it=write_it, quiet=as_json)}
    if as_json:
        counts = {"rows": found.rows, "series": found.series, "left_out": found.left_out}
        errors = {
            "wape": None if math.isnan(found.error) else found.error,
            "naive_wape": None if math.isnan(found.naive_error) else found.naive_error,
            "held_out_weeks": found.held_out_weeks,
        }
        show_json({"forecast": counts | errors, **_document(pulled), **pushed})


def _show_forecast(pulled: "Pulled", found: "ForecastMade", target: Path | None) -> None:
    show_pulled(pulled)
    remark(f"{found.rows:,} weeks of {found.series:,} products at sites.")
    if found.left_out:
        warn(f"{found.left_out:,} have too little history, and no forecast.")
    if found.held_out_weeks:
        remark(
            f"Over the last {found.held_out_weeks} weeks it would have missed {found.error:.1%} of demand "
            f"(WAPE); the naive one {found.naive_error:.1%}."
        )
    if target is not None:
        remark(f"In the clear: {target}")


def _pull(home: Path, plan: "Plan", derive: "Derive", store: "SecretStore", *, quiet: bool) -> "Pulled":
    from kifabrik.connectors.sap.pull import pull  # noqa: PLC0415 - slow to import
    from kifabrik.customer.session import open_session  # noqa: PLC0415

    with open_session(home) as session, pulling(quiet=quiet) as on_rows:
        return pull(session, plan, derive=derive, store=store, on_rows=on_rows)


def _document(pulled: "Pulled") -> dict[str, Any]:
    from dataclasses import asdict  # noqa: PLC0415

    return asdict(pulled)
