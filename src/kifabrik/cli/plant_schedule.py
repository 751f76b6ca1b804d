"""`kifabrik plant schedule`."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from kifabrik.cli.counting import counting
from kifabrik.cli.options import json_option
from kifabrik.cli.plant_changes import changes_of, changes_option
from kifabrik.cli.terminal import done, remark, show_json, show_table
from kifabrik.errors import UsageError
from kifabrik.values import format_duration

if TYPE_CHECKING:
    from kifabrik.plant.load import Fleet, Load, Signals
    from kifabrik.plant.results import Summary
    from kifabrik.plant.workload.figures import Figures
    from kifabrik.plant.workload.scheduling import Schedule
    from kifabrik.plant.workload.trace import Trace

_POLICIES: Final = ("fifo", "sjf", "backfill", "fair-share", "heat-aware")
_DAY: Final = 86400.0
_NODE: Final = (2000.0, 1000.0, 1000.0)
"""Idle, each GPU and shared watts of a node of `--gpus`: the order of an eight-GPU server (assumed)."""


@click.command(
    epilog="""\b
    Examples:
      kifabrik plant schedule philly.csv.gz --gpus 2400
      kifabrik plant schedule philly.csv.gz --site munich --load 0.8 --jobs 500000
      kifabrik plant schedule runs.json --gpus 16 --policy fifo --policy backfill
      kifabrik plant schedule philly.csv.gz --site munich --load 0.5 --plant \\
          --policy backfill --policy heat-aware --deferrable 0.5
      kifabrik plant schedule tenants.yaml --site munich --days 28 --out load.csv
    """
)
@click.argument("trace_file", metavar="TRACE", type=click.Path(path_type=Path))
@click.option("--site", help="A site file, or the name of a shipped site.")
@changes_option
@click.option("--gpus", type=click.IntRange(min=1), help="Nodes of eight GPUs instead of a site, so many GPUs.")
@click.option(
    "--policy", "policies", multiple=True, type=click.Choice(_POLICIES), help="May be given several times."
)
@click.option(
    "--sharing",
    type=click.Choice(["shared", "whole", "pooled"]),
    default="shared",
    show_default=True,
    help="Jobs share nodes, take whole nodes, or take GPUs wherever they are.",
)
@click.option("--load", "share", type=float, help="Scale the trace to ask for this share of all GPU time.")
@click.option("--jobs", type=click.IntRange(min=1), help="With --load: so many jobs, larger if need be.")
@click.option("--days", type=click.FloatRange(min=0, min_open=True), help="Of a scaled or made-up trace. [365]")
@click.option("--largest", type=click.IntRange(min=1), help="Leave out jobs that ask for more GPUs.")
@click.option("--shares", "shares", multiple=True, metavar="TENANT=SHARE", help="For fair-share; 1 by default.")
@click.option("--power-limit", type=float, help="Of GPUs, as a share of the highest; needs --measured.")
@click.option(
    "--measured", type=click.Path(path_type=Path), help="Times and powers by limit: a file summary_power_*.csv."
)
@click.option("--deferrable", type=click.FloatRange(0, 1), help="Let this share of jobs be put off.")
@click.option("--defer-hours", type=float, default=24.0, show_default=True, help="By how much.")
@click.option("--plant", "with_plant", is_flag=True, help="Add what the site's year makes of it: heat, river.")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Of all luck.")
@click.option("--data", type=click.Path(path_type=Path), help="Folder of the site's tables.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="Write the IT power of the last policy, for `plant run`."
)
@json_option
def schedule(
    trace_file: Path,
    site: str | None,
    changes: Sequence[str],
    gpus: int | None,
    policies: Sequence[str],
    sharing: str,
    share: float | None,
    jobs: int | None,
    days: float | None,
    largest: int | None,
    shares: Sequence[str],
    power_limit: float | None,
    measured: Path | None,
    deferrable: float | None,
    defer_hours: float,
    with_plant: bool,
    seed: int,
    data: Path | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Schedule a TRACE of jobs on a fleet and compare policies: waiting, use of GPUs, energy.

    TRACE is CSV (as Philly's), the Standard Workload Format (.swf), what `kifabrik ps --json` printed (.json), or a
    mix of tenants to make jobs of (.yaml).
    """
    from kifabrik.plant.workload.policies import Policy, Sharing  # noqa: PLC0415 - slow to import
    from kifabrik.plant.workload.scheduling import schedule as decide  # noqa: PLC0415

    wanted = [Policy(name) for name in policies] or [Policy.FIFO, Policy.SJF, Policy.BACKFILL, Policy.FAIR_SHARE]
    fleet, signals = _fleet(site, changes, gpus, data, followed=Policy.HEAT_AWARE in wanted)
    trace = _scaled(_read(trace_file, days, seed), fleet.gpus, share, jobs, days, seed)
    trace = trace.pick(trace.gpus <= largest) if largest else trace
    trace = _capped(trace, power_limit, measured, seed)
    if deferrable:
        from kifabrik.plant.workload.deferring import may_wait  # noqa: PLC0415

        trace = may_wait(trace, deferrable, defer_hours, seed=seed)
    until = (days or 365) * _DAY if share or trace_file.suffix == ".yaml" or with_plant else float("inf")
    if with_plant and (site is None or days is not None):
        raise UsageError("--plant takes a whole year of a site.", hint="Give --site, and leave out --days.")
    weights = _weights(shares, trace.tenants)
    found: list[Schedule] = []
    for policy in wanted:
        with counting(policy.value, trace.jobs, quiet=as_json) as progress:
            found.append(
                decide(
                    trace,
                    fleet,
                    policy,
                    sharing=Sharing(sharing),
                    signals=signals,
                    shares=weights,
                    until=until,
                    progress=progress,
                )
            )
    plants = _plants(str(site), changes, data, found) if with_plant else None
    _tell([policy.value for policy in wanted], found, plants, as_json=as_json)
    if out:
        from kifabrik.plant.workload.power import load_of  # noqa: PLC0415

        _write(load_of(found[-1]), out)
        if not as_json:
            done(f"IT power under {wanted[-1].value} is in {out}.")


def _fleet(
    site: str | None, changes: Sequence[str], gpus: int | None, data: Path | None, *, followed: bool
) -> "tuple[Fleet, Signals | None]":
    from kifabrik.plant.load import Fleet, NodeType  # noqa: PLC0415

    if (site is None) == (gpus is None):
        raise UsageError(
            "Say where: give either --site or --gpus.", hint="For example --site munich or --gpus 2400"
        )
    if gpus is not None:
        if gpus % 8:
            raise UsageError(f"{gpus} GPUs are not nodes of eight.", hint=f"Take --gpus {-(-gpus // 8) * 8}")
        return Fleet((NodeType("eight", gpus // 8, 8, *_NODE),)), None
    from kifabrik.plant.signalling import signals  # noqa: PLC0415
    from kifabrik.plant.site_file import load_site  # noqa: PLC0415

    loaded = load_site(str(site), changes_of(changes))
    return loaded.fleet(), signals(loaded, folder=data) if followed else None


def _read(path: Path, days: float | None, seed: int) -> "Trace":
    if path.suffix in {".yaml", ".yml"}:
        from kifabrik.plant.workload.synthetic import read_mix, synthesise  # noqa: PLC0415

        return synthesise(read_mix(path), (days or 365) * _DAY, seed=seed)
    from kifabrik.plant.workload.reading import read_trace  # noqa: PLC0415

    return read_trace(path)


def _scaled(
    trace: "Trace", gpus: int, share: float | None, jobs: int | None, days: float | None, seed: int
) -> "Trace":
    if share is None:
        if jobs is not None:
            raise UsageError("--jobs scales a trace, and no load is said.", hint="Add --load 0.8")
        return trace
    from kifabrik.plant.workload.filling import fill  # noqa: PLC0415

    return fill(trace, gpus, span=(days or 365) * _DAY, share=share, jobs=jobs, seed=seed)


def _capped(trace: "Trace", limit: float | None, measured: Path | None, seed: int) -> "Trace":
    if limit is None and measured is None:
        return trace
    if limit is None or measured is None:
        raise UsageError("A power limit needs measurements, and they a limit.", hint="Give both options.")
    from kifabrik.plant.workload.capping import cap, read_measured  # noqa: PLC0415

    return cap(trace, read_measured(measured), limit, seed=seed)


def _weights(shares: Sequence[str], tenants: tuple[str, ...]) -> dict[str, float]:
    found = {}
    for text in shares:
        name, _, value = text.rpartition("=")
        try:
            found[name] = float(value)
        except ValueError:
            found[name] = -1.0
        if name not in tenants or not found[name] > 0:
            raise UsageError(
                f"'{text}' is not TENANT=SHARE with a share above 0.", hint=f"Tenants: {', '.join(tenants[:12])}"
            )
    return found


def _plants(site: str, changes: Sequence[str], data: Path | None, found: "list[Schedule]") -> "list[Summary]":
    """The site's year under each schedule."""
    from kifabrik.plant.conditions import conditions_of  # noqa: PLC0415
    from kifabrik.plant.physics import simulate  # noqa: PLC0415
    from kifabrik.plant.results import summarise  # noqa: PLC0415
    from kifabrik.plant.site_file import load_site  # noqa: PLC0415
    from kifabrik.plant.workload.power import load_of  # noqa: PLC0415

    loaded = load_site(site, changes_of(changes))
    conditions = conditions_of(loaded, data)
    return [summarise(simulate(loaded, load_of(one), conditions=conditions)) for one in found]


def _tell(names: list[str], found: "list[Schedule]", plants: "list[Summary] | None", *, as_json: bool) -> None:
    from kifabrik.plant.workload.figures import figures_of  # noqa: PLC0415
    from kifabrik.plant.workload.power import energies_of  # noqa: PLC0415

    figures = [figures_of(one) for one in found]
    energies = [energies_of(one) for one in found]
    if as_json:
        show_json(
            {
                "trace": found[0].trace.name,
                "gpus": found[0].fleet.gpus,
                "policies": [
                    {
                        "policy": name,
                        **asdict(each),
                        "run_joules": float(energy.run_joules.sum()),
                        "idle_joules": energy.idle_joules,
                        **({"plant": asdict(plants[number])} if plants else {}),
                    }
                    for number, (name, each, energy) in enumerate(zip(names, figures, energies, strict=True))
                ],
            }
        )
        return
    rows = [
        (name, *_cells(each), f"{energy.joules / 3.6e9:,.1f}")
        for name, each, energy in zip(names, figures, energies, strict=True)
    ]
    show_table(["POLICY", "USE", "WAIT", "P95", "SLOWDOWN", "ENDED", "IT MWH"], rows, right=(1, 2, 3, 4, 5, 6))
    if plants:
        _tell_plants(names, plants)
    one = figures[0]
    remark(
        f"{one.jobs:,} jobs of {found[0].trace.name} on {found[0].fleet.gpus:,} GPUs, {one.span / _DAY:,.1f} days."
    )
    remark(
        "Wait: mean from submission to start. Slowdown: (wait + run) / run, jobs under a minute as one of a minute."
    )


def _tell_plants(names: list[str], plants: "list[Summary]") -> None:
    columns = ["POLICY", "HEAT MWH", "COVERED", "AT LIMIT", "CHILLER", "CUT MWH", "RIVER +K", "M EUR"]
    rows = [
        (
            name,
            f"{one.to_customers / 1000:,.1f}",
            f"{one.covered:.1%}",
            f"{one.limit_hours:,.0f}h",
            f"{one.chiller_hours:,.0f}h",
            f"{one.curtailed / 1000:,.1f}",
            f"{one.river_warming_mean:.3f}",
            f"{one.cost / 1e6:.3f}",
        )
        for name, one in zip(names, plants, strict=True)
    ]
    click.echo()
    show_table(columns, rows, right=range(1, len(columns)))
    remark("At limit: hours in which the river's permit held the plant back. Cut: IT energy that was not let in.")


def _cells(one: "Figures") -> tuple[str, ...]:
    if not one.started:
        return ("0.0 %", "-", "-", "-", "0")
    waits = (format_duration(one.waiting_mean), format_duration(one.waiting_p95))
    return (f"{one.gpu_use:.1%}", *waits, f"{one.slowdown_mean:,.1f}", f"{one.ended:,}")


def _write(load: "Load", path: Path) -> None:
    """A table of power as `plant run --load` reads it: each line holds until the next."""
    watts = [*load.watts.tolist(), 0.0]
    lines = [f"{edge:.0f},{power!r}" for edge, power in zip(load.edges.tolist(), watts, strict=True)]
    try:
        path.write_text("time,watts\n" + "\n".join(lines) + "\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}.", hint="Name another file.") from None
