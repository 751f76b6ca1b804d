"""`kifabrik footprint`."""

from pathlib import Path

import click

from kifabrik.cli.options import home_option, json_option
from kifabrik.cli.terminal import remark, show_json, show_table
from kifabrik.customer.session import open_session
from kifabrik.customer.sweep_footprint import sweep_footprint
from kifabrik.values import Money, format_duration, format_size
from kifabrik.wire.runs import FootprintView, SurroundingsView

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
    """Show GPU and CPU time, memory, energy and cost of RUN. Energy says whether it was measured.

    Of a sweep: of all its tasks together.
    """
    with open_session(home) as session:
        named = session.catalogue().run(run)
        view = session.runs.show(named.run)
        used = sweep_footprint(session.runs, named.run) if view.tasks else view.footprint
    if as_json:
        show_json({"run": named.run, **used.model_dump(mode="json")})
        return
    tasks = sum(view.tasks.values())
    remark(f"{named.name}  {named.run}{f', all {tasks} tasks together' if tasks else ''}")
    show_table(["WHAT", "AMOUNT", "HOW"], _rows(used), right=(1,))


def _rows(used: FootprintView) -> list[tuple[str, str, str]]:
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
        rows.append(("carbon, location-based", f"{used.carbon_g:.3g} g CO2e", "energy x the site's intensity"))
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
        ("water withdrawn (flows back)", f"{found.water_withdrawn_l:.3g} l", stated),
        ("water consumed (evaporated)", f"{found.water_consumed_l:.3g} l", stated),
    ]
    if found.carbon_market_g is not None:
        rows.append(("carbon, market-based", f"{found.carbon_market_g:.3g} g CO2e", stated))
    return [
        *rows,
        ("uncertainty", f"± {found.uncertain_percent} %", "of the energy, and of all that follows from it"),
    ]
