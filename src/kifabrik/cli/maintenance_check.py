"""`kifabrik maintenance check`."""

from pathlib import Path
from typing import Literal

import click

from kifabrik.cli.maintenance_watch import alarm_document, show_alarms
from kifabrik.cli.options import json_option, language_option
from kifabrik.cli.terminal import done, show_json, warn

_ALARM = 10
"""Exit status when a machine is in alarm as the readings end; errors have others."""


@click.command(
    epilog="""\b
    Examples:
      kifabrik maintenance check new-readings --model result
      kifabrik maintenance check today.csv --model result --out alarms.csv --language de
      kifabrik maintenance check today.csv --model result --json || send-mail
    """
)
@click.argument("readings", type=click.Path(path_type=Path))
@click.option(
    "--model",
    type=click.Path(path_type=Path),
    required=True,
    help="What `maintenance watch` wrote: folder or file.",
)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write all alarms here, as CSV.")
@language_option("Of times and tables.")
@json_option
@click.pass_context
def check(
    ctx: click.Context,
    readings: Path,
    model: Path,
    out: Path | None,
    language: Literal["de", "en"],
    *,
    as_json: bool,
) -> None:
    """Check READINGS with what was learnt, such as each morning.

    Exit status 10 if the machine is in alarm where the readings end, 0 if not.
    """
    from kifabrik.recipes.maintenance.reading import read_readings  # noqa: PLC0415 - slow to import
    from kifabrik.recipes.maintenance.saving import load_watcher, save_alarms  # noqa: PLC0415
    from kifabrik.recipes.maintenance.saying import Sayer  # noqa: PLC0415
    from kifabrik.recipes.maintenance.watching import check as check_readings  # noqa: PLC0415

    watcher = load_watcher(model)
    found = read_readings(readings, only=watcher.names)
    alarms, strength = check_readings(watcher, found)
    sayer = Sayer(language)
    if out:
        save_alarms(alarms, found, out, sayer)
    lasting = next((alarm for alarm in reversed(alarms) if alarm.lasts), None)
    if as_json:
        show_json(
            {
                "rows": len(found.times),
                "remarks": sayer.remarks(found),
                "strength_now": round(float(strength[-1]), 4),
                "in_alarm": lasting is not None,
                "alarms": [alarm_document(alarm, watcher.names) for alarm in alarms],
            }
        )
    else:
        for odd in sayer.remarks(found):
            warn(odd)
        show_alarms(alarms, watcher.names, found, sayer)
        end = sayer.time(found.times[-1], found)
        if lasting is None:
            done(sayer.words("said_quiet", time=end, alarms=sayer.counted(len(alarms), "alarm")))
        else:
            warn(sayer.words("said_alarm", time=sayer.time(lasting.start, found)))
    if lasting is not None:
        ctx.exit(_ALARM)
