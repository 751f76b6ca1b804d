"""`kifabrik footprint`."""

from pathlib import Path

import click

from kifabrik.cli.options import home_option, json_option
from kifabrik.cli.terminal import remark, show_json, show_table
from kifabrik.customer.session import open_session
from kifabrik.values import Money, format_duration, format_size
from kifabrik.wire.runs import RunView, SurroundingsView

_JOULES_PER_WH = 3600


@click.command(
    epilog="""\b
    Example:
      kifabrik footprint press-anomaly
    """
)
@click.argument("run")
@home_option
@json_option
def footprint(run: str, home: Path, as_json: bool) -> None:
    """Show GPU and CPU time, memory, energy and cost of RUN. Energy says whether it was measured."""
    with open_session(home) as session:
        named = session.catalogue().run(run)
        view = session.runs.show(named.run)
    if as_json:
        show_json({"run": named.run, **view.footprint.model_dump(mode="json")})
        return
    remark(f"{named.name}  {named.run}")
    show_table(["WHAT", "AMOUNT", "HOW"], _rows(view), right=(1,))


def _rows(view: RunView) -> list[tuple[str, str, str]]:
    used = view.footprint
    rows = [
        ("time", format_duration(used.wall_s), "measured, all attempts"),
        ("GPU time", format_duration(used.gpu_s), "measured, GPUs held x time"),
        ("CPU time", format_duration(used.cpu_s), "measured, control group of the run"),
        ("memory", format_size(used.memory_peak_bytes), "measured, highest at one time"),
    ]
    for part in used.energy:
        how = "estimated" if part.source == "estimated" else f"measured ({part.source})"
        what = f"energy, {part.device}" if part.device else "energy"
        rows.append((what, f"{part.joules / _JOULES_PER_WH:.3g} Wh", how))
    if used.carbon_g is not None:
        rows.append(("carbon", f"{used.carbon_g:.3g} g CO2e", "energy x the site's intensity"))
    if used.surroundings is not None:
        rows += _beyond(used.surroundings)
    rows.append(("cost", str(Money(used.cost_micro_eur)), "price list of the factory"))
    return rows


def _beyond(found: SurroundingsView) -> list[tuple[str, str, str]]:
    """What the energy meant beyond the machines."""
    stated = "energy x what the operator states"
    rows = [
        ("energy with overhead", f"{found.drawn_j / _JOULES_PER_WH:.3g} Wh", stated),
        ("heat handed on", f"{found.heat_j / _JOULES_PER_WH:.3g} Wh", stated),
        ("water given back", f"{found.water_withdrawn_l:.3g} l", stated),
        ("water evaporated", f"{found.water_consumed_l:.3g} l", stated),
    ]
    if found.carbon_market_g is not None:
        rows.append(("carbon by contracts", f"{found.carbon_market_g:.3g} g CO2e", stated))
    return [
        *rows,
        ("uncertainty", f"± {found.uncertain_percent} %", "of the energy, and of all that follows from it"),
    ]
