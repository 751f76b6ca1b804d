# ruff: noqa: RUF001 - the dash of print
"""Puts the report together."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

import numpy as np
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from kifabrik.recipes.maintenance.alarms import MONTH
from kifabrik.recipes.maintenance.causes import Cause
from kifabrik.recipes.maintenance.judging import Seen, Verdict
from kifabrik.recipes.maintenance.report.charts import course, sensor_course
from kifabrik.recipes.maintenance.saving import ALARMS
from kifabrik.recipes.maintenance.saying import Sayer
from kifabrik.recipes.maintenance.watching import Alarm, Study

_MOST_ALARMS: Final = 10


@dataclass(frozen=True)
class Tile:
    """A figure that matters, with what it says."""

    label: str
    value: str
    says: str


@dataclass(frozen=True)
class AlarmView:
    """One alarm as it is shown."""

    head: str
    strength: str
    notes: tuple[str, ...]
    causes: tuple[str, ...]
    picture: Markup | None


def page(study: Study, sayer: Sayer, title: str) -> str:
    """The report as HTML.

    Args:
        study: What came of it.
        sayer: Of the reader's language.
        title: What the machine is called.
    """
    source = files("kifabrik.recipes.maintenance.report")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(source.joinpath("page.html.j2").read_text("utf-8"))
    style = Markup(source.joinpath("page.css").read_text("utf-8"))  # noqa: S704 - our own
    shown = _shown(study.alarms)
    return template.render(
        style=style,
        language=sayer.language,
        title=title,
        say=sayer.words,
        summary=summary(study, sayer),
        tiles=_tiles(study, sayer),
        course=course(study, sayer, sayer.words("course")),
        has_faults=bool(study.faults),
        faults=_faults(study, sayer),
        before=sayer.duration(study.wishes.before),
        alarms=[_alarm(study, alarm, sayer) for alarm in shown],
        alarms_says=_alarms_says(study, len(shown), sayer),
        simple=_simple(study, sayer) if study.verdict.seen else (),
        facts=_facts(study, sayer),
        left_out=[(one.name, sayer.left_out(one)) for one in study.readings.left_out],
        rows=study.wishes.rows,
    )


def summary(study: Study, sayer: Sayer) -> str:
    """The study in a sentence or two, for who reads no further."""
    verdict = study.verdict
    if not verdict.seen:
        span = sayer.duration(_watched(study), after_in=True)
        alarms = sayer.counted(len(study.alarms), "alarm")
        return sayer.words("sum_alarms" if study.alarms else "sum_none", span=span, alarms=alarms)
    lead, late = verdict.middle_lead, sum(one.late for one in verdict.seen)
    return sayer.words(
        "sum_faults",
        announced=sayer.number(verdict.announced),
        faults=sayer.counted(len(verdict.seen), "fault"),
        lead="" if lead is None else sayer.words("sum_lead", lead=sayer.duration(lead)),
        late=sayer.words("sum_late", late=sayer.number(late)) if late else "",
        false=sayer.number(len(verdict.false)),
        rate=sayer.figure(verdict.false_a_month),
    )


def cause_says(cause: Cause, study: Study, sayer: Sayer) -> str:
    """What a sensor showed in an alarm, what it should have, and whether a limit on it would have helped."""
    names, usual = study.readings.names, study.watcher.usual
    value, expected = sayer.pair(cause.value, cause.expected)
    figures = {"sensor": names[cause.sensor], "value": value}
    if len(names) == 1:
        return sayer.words("cause_alone", **figures)
    key = "cause_higher" if cause.value > cause.expected else "cause_lower"
    said = sayer.words(key, expected=expected, **figures)
    low, high = (sayer.figure(float(end[cause.sensor])) for end in (usual.low, usual.high))
    return said + sayer.words("cause_out" if cause.out else "cause_in", low=low, high=high) + "."


def _tiles(study: Study, sayer: Sayer) -> list[Tile]:
    verdict = study.verdict
    tiles = _fault_tiles(study, sayer) if verdict.seen else []
    span = sayer.duration(np.timedelta64(int(verdict.months * float(MONTH.astype(float))), "s"), after_in=True)
    if verdict.seen:
        most = sayer.figure(verdict.false_at_most)
        says = sayer.words("tile_false_says", count=sayer.number(len(verdict.false)), span=span, most=most)
        tiles.append(Tile(sayer.words("tile_false"), sayer.figure(verdict.false_a_month), says))
    else:
        wished = sayer.figure(study.wishes.false_a_month)
        says = sayer.words(
            "tile_rate_says", count=sayer.counted(len(study.alarms), "alarm"), span=span, wished=wished
        )
        tiles.append(Tile(sayer.words("tile_rate"), sayer.figure(verdict.false_a_month), says))
        if study.alarms:
            strongest = max(study.alarms, key=lambda alarm: alarm.strength)
            says = sayer.words("tile_strongest_says", time=sayer.time(strongest.start, study.readings))
            tiles.append(Tile(sayer.words("tile_strongest"), sayer.figure(strongest.strength), says))
    return [*tiles, _now(study, sayer)]


def _fault_tiles(study: Study, sayer: Sayer) -> list[Tile]:
    verdict, before = study.verdict, sayer.duration(study.wishes.before)
    value = sayer.words(
        "tile_announced_value", announced=sayer.number(verdict.announced), faults=sayer.number(len(verdict.seen))
    )
    tiles = [Tile(sayer.words("tile_announced"), value, sayer.words("tile_announced_says", before=before))]
    leads = [one.lead for one in verdict.seen if one.lead is not None]
    if leads and verdict.middle_lead is not None:
        says = sayer.words("tile_lead_says", least=sayer.duration(min(leads)))
        tiles.append(Tile(sayer.words("tile_lead"), sayer.duration(verdict.middle_lead), says))
    else:
        tiles.append(Tile(sayer.words("tile_lead"), "–", sayer.words("tile_lead_none")))
    return tiles


def _now(study: Study, sayer: Sayer) -> Tile:
    going = next((alarm for alarm in reversed(study.alarms) if alarm.lasts), None)
    label = sayer.words("tile_now")
    if going is None:
        time = sayer.time(study.readings.times[-1], study.readings)
        return Tile(label, sayer.words("tile_now_quiet"), sayer.words("tile_now_quiet_says", time=time))
    named = ", ".join(study.readings.names[cause.sensor] for cause in going.causes)
    says = sayer.words("tile_now_alarm_says", time=sayer.time(going.start, study.readings), sensors=named)
    return Tile(label, sayer.words("tile_now_alarm"), says)


def _faults(study: Study, sayer: Sayer) -> list[tuple[str, str, str]]:
    return [
        (one.fault.what or "–", sayer.time(one.fault.start, study.readings), lead_says(one, sayer))
        for one in study.verdict.seen
    ]


def lead_says(one: Seen, sayer: Sayer) -> str:
    """How early a fault was announced."""
    if one.lead is not None:
        return sayer.words("lead_before", lead=sayer.duration(one.lead))
    return sayer.words("only_late" if one.late else "not_announced")


def _shown(alarms: Sequence[Alarm]) -> list[Alarm]:
    strongest = sorted(alarms, key=lambda alarm: -alarm.strength)[:_MOST_ALARMS]
    return sorted(strongest, key=lambda alarm: alarm.start)


def _alarms_says(study: Study, shown: int, sayer: Sayer) -> str:
    if not study.alarms:
        return sayer.words("alarms_none")
    if shown == len(study.alarms):
        return sayer.words("alarms_all")
    return sayer.words("alarms_some", shown=shown, count=sayer.number(len(study.alarms)), file=ALARMS)


def _alarm(study: Study, alarm: Alarm, sayer: Sayer) -> AlarmView:
    lasting = sayer.duration(alarm.end - alarm.start + _step(study))
    notes = [sayer.words("alarm_lasts")] if alarm.lasts else []
    if study.verdict.seen and study.alarms.index(alarm) in study.verdict.false:
        notes.append(sayer.words("alarm_false"))
    name = study.readings.names[alarm.causes[0].sensor] if alarm.causes else ""
    return AlarmView(
        head=sayer.words("alarm_head", start=sayer.time(alarm.start, study.readings), lasting=lasting),
        strength=sayer.words("strength_value", strength=sayer.figure(alarm.strength)),
        notes=tuple(notes),
        causes=tuple(cause_says(cause, study, sayer) for cause in alarm.causes),
        picture=sensor_course(study, alarm, sayer, name),
    )


def _simple(study: Study, sayer: Sayer) -> list[tuple[str, str, str, str]]:
    def row(key: str, verdict: Verdict) -> tuple[str, str, str, str]:
        lead = verdict.middle_lead
        announced = sayer.words(
            "tile_announced_value",
            announced=sayer.number(verdict.announced),
            faults=sayer.number(len(verdict.seen)),
        )
        return (
            sayer.words(key),
            announced,
            "–" if lead is None else sayer.duration(lead),
            sayer.figure(verdict.false_a_month),
        )

    return [row("simple_this", study.verdict), row("simple_alone", study.simple)]


def _facts(study: Study, sayer: Sayer) -> list[tuple[str, str]]:
    readings = study.readings
    start, end, until = (
        sayer.time(at, readings) for at in (readings.times[0], readings.times[-1], study.watcher.until)
    )
    limit = sayer.words(
        "read_limit_value",
        span=sayer.duration(np.timedelta64(int(study.months * float(MONTH.astype(float))), "s"), after_in=True),
        wished=sayer.figure(study.wishes.false_a_month),
    )
    facts = [
        (sayer.words("read_files"), sayer.number(readings.files)),
        (sayer.words("read_rows"), sayer.number(len(readings.times))),
        (sayer.words("read_span"), sayer.words("until", start=start, end=end)),
        (sayer.words("read_sensors"), ", ".join(readings.names)),
        (sayer.words("gaps"), sayer.percent(float(np.isnan(readings.values).mean()))),
        (sayer.words("read_learnt"), sayer.words("read_learnt_value", rows=sayer.number(study.good), until=until)),
        (sayer.words("read_limit"), limit),
    ]
    if readings.dropped:
        facts.insert(2, (sayer.words("read_dropped"), sayer.number(readings.dropped)))
    if readings.doubled:
        facts.insert(2, (sayer.words("read_doubled"), sayer.number(readings.doubled)))
    if readings.ended:
        ended = ", ".join(
            sayer.words("read_ended_value", sensor=name, time=sayer.time(since, readings))
            for name, since in readings.ended
        )
        facts.append((sayer.words("read_ended"), ended))
    return facts


def _watched(study: Study) -> np.timedelta64:
    times = study.readings.times
    return np.timedelta64(times[-1] - times[study.learnt], "s")


def _step(study: Study) -> np.timedelta64:
    steps = np.diff(study.readings.times).astype("timedelta64[s]").astype(float)
    return np.timedelta64(round(float(np.median(steps))), "s")
