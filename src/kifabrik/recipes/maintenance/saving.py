"""What a study leaves: a list of alarms for a spreadsheet, one of faults, and what was learnt, to be used again."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from kifabrik.durable import make_folder, write_whole
from kifabrik.errors import IntegrityError, NotFoundError
from kifabrik.recipes.maintenance.model import Usual
from kifabrik.recipes.maintenance.reading import Readings
from kifabrik.recipes.maintenance.saying import Sayer
from kifabrik.recipes.maintenance.watching import Alarm, Study, Watcher

MODEL: Final = "model.json"
ALARMS: Final = "alarms.csv"
FAULTS: Final = "faults.csv"
_FORMAT: Final = "kifabrik-machine-watch/v1"


def save_watcher(watcher: Watcher, path: Path) -> None:
    """Write what was learnt, as JSON."""
    usual = {name: np.asarray(value).tolist() for name, value in watcher.usual.__dict__.items()}
    value = {
        "format": _FORMAT,
        "sensors": watcher.names,
        "limit": watcher.limit,
        "rows": watcher.rows,
        "together_s": int(watcher.together.astype(int)),
        "since": str(watcher.since),
        "until": str(watcher.until),
        "given": watcher.given,
        "usual": usual,
    }
    write_whole(path, json.dumps(value, ensure_ascii=False, allow_nan=False).encode(), mode=0o644)


def load_watcher(path: Path) -> Watcher:
    """Read what was learnt, from the file or the folder that holds it.

    Raises:
        NotFoundError: There is no such file.
        IntegrityError: It is none of ours.
    """
    path = path / MODEL if path.is_dir() else path
    if not path.is_file():
        hint = "Name the folder that 'kifabrik maintenance watch' wrote."
        raise NotFoundError(f"there is no {path}", hint=hint)
    try:
        value = json.loads(path.read_bytes())
        if value["format"] != _FORMAT:
            raise ValueError(value["format"])  # noqa: TRY301 - said below, with the file's name
        names = tuple(str(name) for name in value["sensors"])
        fields = {name: np.array(each, dtype=float) for name, each in value["usual"].items()}
        usual = Usual(**fields)
        sizes = {name: (len(names),) * (2 if name == "covariance" else 1) for name in Usual.__annotations__}
        if any(fields[name].shape != size or not np.isfinite(fields[name]).all() for name, size in sizes.items()):
            raise ValueError("sizes")  # noqa: TRY301
        together = np.timedelta64(int(value["together_s"]), "s")
        since, until = np.datetime64(value["since"], "s"), np.datetime64(value["until"], "s")
        given = tuple(int(at) for at in value["given"])
        limit, rows = float(value["limit"]), int(value["rows"])
        if not limit > 0 or rows < 1 or not (usual.spread > 0).all() or not set(given) <= set(range(len(names))):
            raise ValueError("limits")  # noqa: TRY301
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise IntegrityError(f"{path} holds no model that watches a machine ({error})") from None
    return Watcher(names, usual, limit, rows, together, since, until, given)


def save_study(study: Study, folder: Path, sayer: Sayer) -> None:
    """Write the tables and the model of a study into a folder; it is made if it is not there."""
    make_folder(folder)
    save_watcher(study.watcher, folder / MODEL)
    save_alarms(study.alarms, study.readings, folder / ALARMS, sayer)
    if study.faults:
        rows = [
            (
                sayer.time(one.fault.start, study.readings),
                sayer.time(one.fault.end, study.readings),
                one.fault.what,
                sayer.hours(one.lead),
            )
            for one in study.verdict.seen
        ]
        head = [sayer.words(word) for word in ("from", "to", "what", "lead_hours")]
        _write(folder / FAULTS, head, rows, sayer)


def save_alarms(alarms: Sequence[Alarm], readings: Readings, path: Path, sayer: Sayer) -> None:
    """Write a list of alarms that Excel of the reader's language opens."""
    rows = [
        (
            sayer.time(alarm.start, readings),
            sayer.time(alarm.end, readings),
            sayer.plain(alarm.strength),
            *(
                cell
                for cause in alarm.causes
                for cell in (readings.names[cause.sensor], sayer.plain(cause.value), sayer.plain(cause.expected))
            ),
        )
        for alarm in alarms
    ]
    head = ["from", "to", "strength"]
    head += [word for _ in range(3) for word in ("sensor", "shows", "expected")]
    _write(path, [sayer.words(word) for word in head], rows, sayer)


def _write(path: Path, head: Sequence[str], rows: Sequence[Sequence[Any]], sayer: Sayer) -> None:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=sayer.separator)
    writer.writerow(head)
    writer.writerows([*map(_harmless, row), *[""] * (len(head) - len(row))] for row in rows)
    write_whole(path, text.getvalue().encode("utf-8-sig"), mode=0o644)


def _harmless(cell: Any) -> str:
    """A cell that no spreadsheet takes for a formula; a number may begin with a minus."""
    text = str(cell)
    is_risky = text.startswith(("=", "+", "@", "\t", "\r")) or (text.startswith("-") and not text[1:2].isdigit())
    return f"'{text}" if is_risky else text
