"""What a benchmark hands on: bars for a picture, and how a figure stands to its target.

`--json PATH` of every benchmark writes a list of such pictures; `pictures.py` draws them, `everything.py`
runs all benchmarks and fills the page. An object may also be written by hand:

    {"title": …, "unit": …, "bars": [{"name": …, "value": …, "kind": "ours|peer|limit"}], "note": …}
"""

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

KINDS = ("ours", "peer", "limit")
TIMES = frozenset({"s", "seconds", "ms", "milliseconds"})
"""Words in a unit of which less is better where a picture does not say."""


@dataclass(frozen=True)
class Bar:
    """One bar; a limit is drawn as a line across all of them.

    Args:
        name: What was measured.
        value: In the picture's unit.
        kind: `ours`, `peer` (others, or the same without us) or `limit` (what the machine or a target allows).
        start: Where the bar begins, for a picture of steps that follow one another.
    """

    name: str
    value: float
    kind: str = "peer"
    start: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"a bar is one of {', '.join(KINDS)}, not {self.kind}")


@dataclass(frozen=True)
class Target:
    """A figure that was promised, and what it turned out to be."""

    what: str
    wanted: str
    measured: str
    met: bool


@dataclass(frozen=True)
class Picture:
    """Bars of one unit.

    Args:
        title: One line.
        unit: Such as `GB/s`.
        bars: From top to bottom.
        note: What one must know to read it.
        targets: Promises these figures answer.
        less_is_better: Whether short bars are good; by the unit if it is not said.
    """

    title: str
    unit: str
    bars: tuple[Bar, ...]
    note: str = ""
    targets: tuple[Target, ...] = ()
    less_is_better: bool | None = None

    def __post_init__(self) -> None:
        if self.less_is_better is None:
            object.__setattr__(self, "less_is_better", not TIMES.isdisjoint(self.unit.split()))


def at_least(what: str, measured: float, least: float, form: str) -> Target:
    """A target from below; `form` is a format such as `{:.1f} runs/s`."""
    return Target(what, f"≥ {form.format(least)}", form.format(measured), measured >= least)


def at_most(what: str, measured: float, most: float, form: str) -> Target:
    """A target from above."""
    return Target(what, f"≤ {form.format(most)}", form.format(measured), measured <= most)


def parser(text: str) -> argparse.ArgumentParser:
    """Command line of a benchmark: its description and `--json`."""
    made = argparse.ArgumentParser(description=text.splitlines()[0])
    made.add_argument("--json", type=Path, metavar="PATH", help="write what pictures are drawn from")
    return made


def hand_on(path: Path | None, *pictures: Picture) -> None:
    """Write pictures where `--json` says, if it says so."""
    if path is not None:
        path.write_text(json.dumps([asdict(one) for one in pictures], ensure_ascii=False, indent=1) + "\n")


def read(path: Path) -> list[Picture]:
    """Read what a benchmark handed on: one object or several."""
    said: Any = json.loads(path.read_text())
    return [_picture(one) for one in (said if isinstance(said, list) else [said])]


def _picture(said: dict[str, Any]) -> Picture:
    bars = tuple(Bar(**bar) for bar in said["bars"])
    targets = tuple(Target(**target) for target in said.get("targets", ()))
    return Picture(**{**said, "bars": bars, "targets": targets})
