"""`kifabrik plant governor`."""

import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from kifabrik.cli.options import json_option
from kifabrik.cli.plant_changes import changes_of, changes_option
from kifabrik.cli.terminal import done, remark, show_json, show_table
from kifabrik.errors import UsageError

if TYPE_CHECKING:
    from kifabrik.plant.governor.river import Level
    from kifabrik.plant.governor.rules import Rules
    from kifabrik.plant.site import Site

_MEGA: Final = 1e6
_YEARS: Final = (1990, 2100)
"""As those of a site."""


@click.command(
    epilog="""\b
    Examples:
      kifabrik plant governor munich --at 2026-07-20T12:00
      kifabrik plant governor munich --set river.year=2003 --at 2026-08-05T10:00
      kifabrik plant governor munich --forecast tomorrow.csv --factory ~/factory
      kifabrik plant governor munich --set river.year=2003 --replay --ahead 6
    """
)
@click.argument("site")
@changes_option
@click.option(
    "--forecast",
    type=click.Path(path_type=Path),
    help="CSV: time, river_celsius, flow_m3s, limit_celsius, limit_warming_k; if known, heat_wanted_kw and"
    " price_eur_mwh. Without it, hours are taken from the site's own year.",
)
@click.option("--at", "moment", metavar="TIME", help="Instead of now, as 2026-07-20T12:00 (UTC).")
@click.option("--hours", type=click.IntRange(1, 8760), default=24, show_default=True, help="How many are shown.")
@click.option("--ahead", type=click.IntRange(1, 8760), default=3, show_default=True, help="Hours that are heeded.")
@click.option("--floor", type=click.FloatRange(min=0), default=0.0, show_default=True, help="MW always permitted.")
@click.option(
    "--settle", type=click.FloatRange(min=0), default=30.0, show_default=True, help="Minutes before a rise."
)
@click.option(
    "--factory", type=click.Path(path_type=Path, file_okay=False), help="Home of a factory that is to follow."
)
@click.option("--replay", "whole", is_flag=True, help="Play the site's whole year, to choose the options above by.")
@click.option("--data", type=click.Path(path_type=Path), help="Folder of the site's tables.")
@json_option
def governor(
    site: str,
    changes: Sequence[str],
    forecast: Path | None,
    moment: str | None,
    hours: int,
    ahead: int,
    floor: float,
    settle: float,
    factory: Path | None,
    data: Path | None,
    *,
    whole: bool,
    as_json: bool,
) -> None:
    """Say how much IT power river, cooling and heat demand of SITE permit in the next hours.

    With --factory, its service starts no more runs than that power allows, and tells those that wait why; running
    work is never stopped. Renew it every hour, for example by a timer: a permit six hours old counts no more.
    """
    from kifabrik.plant.governor.forecast import read_forecast  # noqa: PLC0415
    from kifabrik.plant.governor.permit_file import read_permit, write_permit  # noqa: PLC0415
    from kifabrik.plant.governor.rules import Rules, decide  # noqa: PLC0415
    from kifabrik.plant.governor.site_levels import forecast_levels, plant_of, year_levels  # noqa: PLC0415 - slow
    from kifabrik.plant.site_file import load_site  # noqa: PLC0415 - slow to import

    rules = Rules(ahead_hours=ahead, floor_watts=floor * _MEGA, settle_s=settle * 60)
    loaded = load_site(site, changes_of(changes))
    if whole:
        if forecast or moment or factory:
            raise UsageError(
                "--replay takes the site's own year.", hint="Leave out --forecast, --at and --factory."
            )
        _replay(loaded, rules, data, as_json=as_json)
        return
    now = _moment(moment)
    levels = (
        forecast_levels(loaded, read_forecast(forecast))
        if forecast
        else year_levels(loaded, now, max(hours, ahead + 48), data)
    )
    plant = plant_of(loaded)
    before = read_permit(factory) if factory else None
    permit = decide(levels, now, rules, full_watts=plant.full_watts, idle_watts=plant.idle_watts, before=before)
    changed = write_permit(factory, permit) if factory else False
    coming = [level for level in levels if level.at + 3600 > now][:hours]
    if as_json:
        show_json(
            {
                "permit": {**asdict(permit), "gpu_share": permit.share},
                "hours": [{**asdict(level), "binding": level.binding.value} for level in coming],
            }
        )
        return
    show_table(["HOUR (UTC)", "PERMITTED", "OF ALL", "HELD DOWN BY"], _rows(coming, plant.full_watts), right=(1, 2))
    remark(f"{permit.reason} {permit.share:.0%} of GPUs may work.")
    if coming and min(level.watts for level in coming[:ahead]) > max(permit.watts, floor * _MEGA):
        remark(
            f"More is possible; a permit rises by more than a little, and once it has stood for {settle:g} minutes."
        )
    if factory:
        done(f"{factory} follows this{'' if changed else ', as before'}.")


def _replay(site: "Site", rules: "Rules", data: Path | None, *, as_json: bool) -> None:
    """Show what a governor with these rules would have done all year."""
    from kifabrik.plant.governor.replaying import replay  # noqa: PLC0415
    from kifabrik.plant.governor.site_levels import plant_of, whole_year  # noqa: PLC0415 - slow to import

    plant = plant_of(site)
    found = replay(whole_year(site, data), rules, full_watts=plant.full_watts, idle_watts=plant.idle_watts)
    if as_json:
        show_json({**asdict(found), "most_in_a_day": found.most_in_a_day})
        return
    held = [change for change in found.changes if change.watts < found.full_watts]
    if held:
        shown = [
            (f"{datetime.fromtimestamp(one.at, UTC):%d %b %H:%M}", f"{one.watts / _MEGA:.2f} MW", _why(one.reason))
            for one in held
        ]
        show_table(["FROM (UTC)", "PERMITTED", "WHY"], shown, right=(1,))
        click.echo()
    mwh = 3.6e9
    show_table(
        ["THE YEAR", "VALUE"],
        [
            ("hours with less than all permitted", f"{found.held:,.0f} of {found.hours:,}"),
            ("least permitted", f"{found.least_watts / _MEGA:.2f} of {found.full_watts / _MEGA:.2f} MW"),
            ("changes of the permit, most in a day", f"{len(found.changes) - 1} / {found.most_in_a_day}"),
            ("withheld from full power", f"{found.withheld / mwh:,.1f} MWh"),
            ("of that, hours themselves would permit", f"{found.needless / mwh:,.1f} MWh"),
            ("permitted beyond an hour's own, by the floor", f"{found.beyond / mwh:,.1f} MWh"),
        ],
        right=(1,),
    )


def _why(reason: str) -> str:
    """The first part of a permit's sentence: how much is permitted stands beside it."""
    return reason.partition(": ")[0]


def _rows(levels: "Sequence[Level]", full: float) -> list[tuple[str, ...]]:
    return [
        (
            f"{datetime.fromtimestamp(level.at, UTC):%d %b %H:%M}",
            f"{level.watts / _MEGA:.2f} MW",
            f"{level.watts / full:.0%}",
            level.binding.value,
        )
        for level in levels
    ]


def _moment(text: str | None) -> float:
    if text is None:
        return time.time()
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"'{text}' is no time.", hint="Write it like 2026-07-20T12:00") from None
    if not _YEARS[0] <= moment.year <= _YEARS[1]:
        raise UsageError(f"--at: {text} is too far away.", hint=f"Years go from {_YEARS[0]} to {_YEARS[1]}.")
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
