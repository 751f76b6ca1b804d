# ruff: noqa: S704 - what is not ours is escaped by `Markup.format`
"""Drawings of courses over time, as SVG: the distance from what is usual, and a sensor beside what was expected."""

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from kifabrik.recipes.maintenance.model import Floats, expected_by
from kifabrik.recipes.maintenance.saying import Sayer
from kifabrik.recipes.maintenance.watching import Alarm, Study

_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 14, 12, 30
_LEAST_STRENGTH: Final = 0.05
_HOUR: Final = 3600
_STEPS: Final = tuple(
    _HOUR * hours
    for hours in (1 / 60, 1 / 12, 0.25, 1, 3, 6, 12, 24, 48, 96, 168, 336, 720, 1440, 2160, 4380, 8760)
)
_ROUND: Final = (1.0, 2.0, 2.5, 5.0, 10.0)
_AROUND: Final = 1.5
"""So much of an alarm's length is shown before and after it."""


@dataclass(frozen=True)
class Frame:
    """Where times and values lie in a drawing.

    Attributes:
        start: First time, in seconds.
        end: Last.
        low: Lowest value drawn.
        high: Highest.
        width: Of the drawing.
        height: Of it.
        is_log: Whether values are laid out by their logarithm.
    """

    start: float
    end: float
    low: float
    high: float
    width: int
    height: int
    is_log: bool = False

    def x(self, second: float) -> float:
        """Coordinate of a time."""
        room = self.width - _LEFT - _RIGHT
        return _LEFT + room * (second - self.start) / max(self.end - self.start, 1)

    def y(self, value: float) -> float:
        """Coordinate of a value; one beyond an end lies on it."""
        low, high, held = self.low, self.high, min(max(value, self.low), self.high)
        if self.is_log:
            low, high, held = math.log(low), math.log(high), math.log(held)
        room = self.height - _TOP - _BOTTOM
        return self.height - _BOTTOM - room * (held - low) / max(high - low, 1e-12)


def course(study: Study, sayer: Sayer, label: str) -> Markup:
    """The distance of all rows, with the limit, what was learnt from, alarms and known faults."""
    seconds = _seconds(study.readings.times)
    highest = float(max(2.0, study.strength.max() * 1.15))
    frame = Frame(seconds[0], seconds[-1], _LEAST_STRENGTH, highest, 1060, 300, is_log=True)
    until = seconds[min(study.learnt, len(seconds) - 1)]
    inside = [_box(frame, seconds[0], until, "learnt")]
    inside += [_box(frame, *_ends(alarm.start, alarm.end), "alarm") for alarm in study.alarms]
    marks = [value for value in (0.1, 1.0, 10.0, 100.0, 1000.0, 1e4) if frame.low <= value <= frame.high]
    inside += _rows(
        frame,
        marks,
        [sayer.figure(mark).rstrip("0").rstrip(".,") if mark < 1 else sayer.number(mark) for mark in marks],
    )
    inside += _columns(frame, study, sayer)
    inside.append(_line(frame, *_highest(seconds, study.strength, frame.width), "course"))
    level = frame.y(1.0)
    inside.append(
        Markup('<line class="limit" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>').format(
            _LEFT, frame.width - _RIGHT, level, level
        )
    )
    for fault in study.faults:
        left, right = (frame.x(second) for second in _ends(fault.start, fault.end))
        inside.append(_rect(left, frame.height - _BOTTOM - 7, max(3.0, right - left), 7, "fault", fault.what))
    return _drawing(frame, label, inside)


def sensor_course(study: Study, alarm: Alarm, sayer: Sayer, label: str) -> Markup | None:
    """The alarm's first sensor beside what the others let expect, around the alarm."""
    if not alarm.causes:
        return None
    sensor = alarm.causes[0].sensor
    seconds = _seconds(study.readings.times)
    start, end = _ends(alarm.start, alarm.end)
    room = max(_AROUND * (end - start), 30 * float(np.median(np.diff(seconds))))
    rows = np.flatnonzero((seconds >= start - room) & (seconds <= end + room))
    values = study.readings.values[rows]
    expected = expected_by(study.watcher.usual, values, [cause.sensor for cause in alarm.causes])
    when = seconds[rows]
    lines = [_middle(when, of[:, sensor], 240) for of in (values, expected)]
    drawn = np.concatenate([each[1] for each in lines])
    drawn = drawn[np.isfinite(drawn)]
    if not len(drawn):
        return None
    low, high = float(drawn.min()), float(drawn.max())
    pad = 0.08 * (high - low) or 1.0
    frame = Frame(when[0], when[-1], low - pad, high + pad, 520, 190)
    inside = [_box(frame, start, end, "alarm")]
    marks = _marks(frame.low, frame.high)
    step = marks[1] - marks[0] if len(marks) > 1 else 1.0
    digits = max(0, -math.floor(math.log10(step) + 1e-9)) if step < 1 else 0
    inside += _rows(frame, marks, [sayer.number(mark, digits) for mark in marks])
    inside += _columns(frame, study, sayer, most=4)
    inside += [_line(frame, *lines[1], "expected"), _line(frame, *lines[0], "measured")]
    return _drawing(frame, label, inside)


def _seconds(times: NDArray[np.datetime64]) -> Floats:
    return times.astype("datetime64[s]").astype(np.int64).astype(float)


def _ends(start: np.datetime64, end: np.datetime64) -> tuple[float, float]:
    first, last = _seconds(np.array([start, end]))
    return float(first), float(last)


def _buckets(seconds: Floats, count: int) -> NDArray[np.intp]:
    """First row of each of so many equal pieces of time that holds any."""
    place = ((seconds - seconds[0]) / max(seconds[-1] - seconds[0], 1) * (count - 1)).astype(int)
    return np.flatnonzero(np.diff(place, prepend=-1))


def _highest(seconds: Floats, values: Floats, count: int) -> tuple[Floats, Floats]:
    starts = _buckets(seconds, count)
    return seconds[starts], np.maximum.reduceat(values, starts)


def _middle(seconds: Floats, values: Floats, count: int) -> tuple[Floats, Floats]:
    starts = _buckets(seconds, count)
    pieces = np.split(values, starts[1:])
    middles = [
        float(np.median(piece[np.isfinite(piece)])) if np.isfinite(piece).any() else np.nan for piece in pieces
    ]
    return seconds[starts], np.array(middles)


def _line(frame: Frame, seconds: Floats, values: Floats, kind: str) -> Markup:
    """A line that breaks where values are missing, or where nothing was measured for long."""
    usual = float(np.median(np.diff(seconds))) if len(seconds) > 1 else 0.0
    words, down = [], False
    for at, (second, value) in enumerate(zip(seconds, values, strict=True)):
        if not math.isfinite(value):
            down = False
            continue
        if down and second - seconds[at - 1] > 20 * max(usual, 1.0):
            down = False
        words.append(f"{'L' if down else 'M'}{frame.x(second):.1f} {frame.y(value):.1f}")
        down = True
    return Markup('<path class="{}" d="{}"/>').format(kind, "".join(words))


def _box(frame: Frame, start: float, end: float, kind: str) -> Markup:
    left, right = frame.x(max(start, frame.start)), frame.x(min(end, frame.end))
    return _rect(left, _TOP, max(1.5, right - left), frame.height - _TOP - _BOTTOM, kind)


def _rect(x: float, y: float, width: float, height: float, kind: str, said: str = "") -> Markup:
    title = Markup("<title>{}</title>").format(said) if said else ""
    shape = '<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}">{}</rect>'
    return Markup(shape).format(kind, x, y, width, height, title)


def _rows(frame: Frame, marks: Sequence[float], said: Sequence[str]) -> list[Markup]:
    shape = (
        '<line class="grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>'
        '<text class="tick" text-anchor="end" x="{}" y="{:.1f}">{}</text>'
    )
    return [
        Markup(shape).format(
            _LEFT, frame.width - _RIGHT, frame.y(mark), frame.y(mark), _LEFT - 8, frame.y(mark) + 4, text
        )
        for mark, text in zip(marks, said, strict=True)
    ]


def _columns(frame: Frame, study: Study, sayer: Sayer, most: int = 6) -> list[Markup]:
    length = frame.end - frame.start
    step = next((step for step in _STEPS if length / step <= most), length / most or 1.0)
    first = math.ceil(frame.start / step) * step
    found = []
    for at in np.arange(first, frame.end + 1, step):
        when = np.datetime64(int(at), "s")
        text = sayer.time(when, study.readings)
        if study.readings.timed:
            day, clock = text.rsplit(" ", 1)
            text = day if step >= 24 * _HOUR else f"{day[:6] if sayer.language == 'de' else day[5:]} {clock}"
        shape = '<text class="tick" text-anchor="middle" x="{:.1f}" y="{}">{}</text>'
        if _LEFT + 30 <= frame.x(at) <= frame.width - _RIGHT - 30:
            found.append(Markup(shape).format(frame.x(at), frame.height - 10, text))
    return found


def _marks(low: float, high: float) -> list[float]:
    rough = (high - low) / 4
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * one for one in _ROUND if size * one >= rough * 0.999)
    return [float(mark) for mark in np.arange(math.ceil(low / step) * step, high, step)]


def _drawing(frame: Frame, label: str, inside: Sequence[Markup]) -> Markup:
    head = f'<svg viewBox="0 0 {frame.width} {frame.height}" role="img" aria-label="{html.escape(label)}">'
    return Markup(head) + Markup().join(inside) + Markup("</svg>")
