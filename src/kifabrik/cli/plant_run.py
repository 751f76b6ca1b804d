"""`kifabrik plant run`."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import click

from kifabrik.cli.options import json_option, language_option
from kifabrik.cli.plant_sites import energy, figure, opened, plain_numbers, site_options
from kifabrik.cli.terminal import clock, remark, show_json, show_table, warn

_MUCH: Final = 0.02

if TYPE_CHECKING:
    from kifabrik.plant.results import Summary
    from kifabrik.plant.studies import Study


@click.command(
    epilog="""\b
    Examples:
      kifabrik plant run munich
      kifabrik plant run munich --set river.year=2003 --load daily:0.5-0.9 --data tables
      kifabrik plant run munich.yaml --load power.csv --out results
    """
)
@site_options
@click.option(
    "--load",
    "load_name",
    default="constant:0.8",
    show_default=True,
    help="constant:SHARE or daily:LOW-HIGH of the way from idle to full power, or a CSV file (time, watts).",
)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Write series and reports there.")
@language_option("Of the report.")
@json_option
def run(
    site: str,
    changes: tuple[str, ...],
    year: int | None,
    data: Path | None,
    load_name: str,
    out: Path | None,
    language: Literal["de", "en"],
    *,
    as_json: bool,
) -> None:
    """Simulate a year of SITE (a file, or the name of a shipped one) minute by minute."""
    from kifabrik.plant.loads import load_of  # noqa: PLC0415 - slow to import
    from kifabrik.plant.physics import simulate  # noqa: PLC0415
    from kifabrik.plant.spans import Span  # noqa: PLC0415
    from kifabrik.plant.studies import study_of  # noqa: PLC0415

    file = opened(site, changes, year)
    load = load_of(load_name, file.site.fleet(), Span(file.site.year))
    with clock("Simulating a year by the minute; the first time here the simulator is compiled"):
        simulated = simulate(file.site, load, folder=data)
        study = study_of(simulated, file, load_name)
    if out:
        from kifabrik.plant.report import write_report, write_sheet  # noqa: PLC0415
        from kifabrik.plant.saving import save  # noqa: PLC0415

        with clock("Writing series and report"):
            save(study, out, simulated)
            page, _ = write_report(study, out, language), write_sheet(study, out)
    if as_json:
        show_json(
            {**plain_numbers(asdict(study.summary)), "river": study.river_source, "weather": study.weather_source}
        )
        return
    show_study(study)
    if out:
        remark(f"Series, report and one page in German: {page}")


def show_study(study: "Study") -> None:
    """Print a year: balances first, then figures of merit, river and heat."""
    summary, site = study.summary, study.site
    click.secho(f"{site.name}, {site.year}: {site.fleet().gpus:,} GPUs, load {study.load}", bold=True)
    click.echo(f"river: {study.river_source}\nweather: {study.weather_source}")
    click.echo("".join(f"{line}\n" for line in tariff_lines(study.tariff_sources)))
    if not study.measured:
        warn("River and weather are estimates; name the folder of tables with --data.")
    if any("not found" in source for source in study.tariff_sources):
        warn("A table of prices or carbon was not found: one number stands in. Name its folder with --data.")
    show_table(["ELECTRICITY IN", "", "HEAT OUT", ""], _balance(summary), right=(1, 3))
    parts = ""
    if summary.it >= summary.idle:
        parts = f"; IT = idle {energy(summary.idle)} + jobs {energy(summary.it - summary.idle)}"
    if summary.wanted < summary.idle:
        least = energy(summary.idle)
        warn(
            f"The load is less than all nodes take at rest ({least}): it is of fewer nodes or of part of the year."
        )
    click.echo(
        f"balance {summary.balance:+.1e} of electricity ({'closed' if summary.closed else 'NOT CLOSED'}){parts}\n"
    )
    show_table(["FIGURE", "VALUE", "MEANING"], _figures(summary), right=(1,))
    click.echo()
    show_table(["RIVER AND HEAT", "VALUE"], _river_and_heat(summary), right=(1,))
    if summary.curtailed > _MUCH * summary.wanted:
        share = summary.curtailed / summary.wanted
        warn(f"{share:.0%} of the IT energy is cut: cooling or grid connection are too small for this load.")


def tariff_lines(sources: Sequence[str]) -> list[str]:
    """Where price and carbon came from, as far as it was a table or should have been."""
    from kifabrik.plant.tariffs import CONSTANT  # noqa: PLC0415 - slow to import

    named = zip(("price", "carbon, location", "carbon, market"), sources, strict=False)
    return [f"{name}: {source}" for name, source in named if source != CONSTANT]


def _balance(summary: "Summary") -> list[tuple[str, str, str, str]]:
    total = summary.electricity
    core = total - summary.upgrade
    return [
        ("nodes (IT)", energy(summary.it), "river", energy(summary.to_river)),
        ("losses, cooling, other", energy(core - summary.it), "air", energy(summary.to_air)),
        ("heat pump and network", energy(summary.upgrade), "customers", energy(summary.to_customers)),
        ("", "", "ground, tank", energy(summary.to_ground + summary.to_store)),
        ("all", energy(total), "all", energy(total * (1 - summary.balance))),
    ]


def _figures(summary: "Summary") -> list[tuple[str, str, str]]:
    paid = figure(1000 * summary.cost / summary.electricity, 1, "EUR/MWh") if summary.electricity else "-"
    sold = figure(summary.heat_revenue / 1e6, 2, "M EUR")
    return [
        ("PUE", figure(summary.pue), "all but the upgrade of heat / IT (EN 50600-4-2)"),
        ("PUE, with it", figure(summary.pue_all), "all electricity / IT"),
        ("ERF", figure(summary.erf), "heat reused / all (EN 50600-4-6)"),
        ("REF", figure(summary.ref), "renewable / all (EN 50600-4-3)"),
        ("CER", figure(summary.cer, 1), "heat removed / cooling (EN 50600-4-7)"),
        ("CUE, location", figure(summary.cue_location, 3, "kg/kWh"), "by the grid's mix (EN 50600-4-8)"),
        ("CUE, market", figure(summary.cue_market, 3, "kg/kWh"), "by contracts"),
        ("WUE, withdrawn", figure(summary.wue_withdrawn, 1, "l/kWh"), "taken and given back (EN 50600-4-9)"),
        ("WUE, consumed", figure(summary.wue_consumed, 5, "l/kWh"), "evaporated"),
        ("cost", figure(summary.cost / 1e6, 2, "M EUR"), f"{paid} on average; heat sold: {sold}"),
    ]


def _river_and_heat(summary: "Summary") -> list[tuple[str, str]]:
    warming = f"{summary.river_warming_mean:.2f} / {summary.river_warming_most:.2f} K"
    return [
        ("warming of the mixed river, mean / most", warming),
        ("warmest, alone / mixed", f"{summary.river_alone_highest:.1f} / {summary.river_highest:.1f} °C"),
        ("at the permit's limit", figure(summary.limit_hours, 0, "h")),
        ("of that, river too warm by itself", figure(summary.forbidden_hours, 0, "h")),
        ("dry cooler / chiller at work", f"{summary.dry_hours:,.0f} / {summary.chiller_hours:,.0f} h"),
        ("IT power cut", f"{summary.curtailed_hours:,.0f} h, {energy(summary.curtailed)}"),
        ("heat wanted / delivered", f"{energy(summary.demand)} / {energy(summary.to_customers)}"),
        ("demand covered", figure(100 * summary.covered, 1, "%")),
        ("COP of the heat pump over the year", figure(summary.heat_pump_cop, 2)),
    ]
