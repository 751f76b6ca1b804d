"""Draws what benchmarks handed on as SVG: bars, and limits as lines.

    python bench/pictures.py FILE.json … --to docs/pictures

Written by hand rather than by a plotting library: the text is a few kilobytes, the same figures give the same
bytes, a change of a figure is a change of a line, and the colours follow the reader's light or dark page.
"""

import argparse
from collections.abc import Iterator
from html import escape
from pathlib import Path

from report import Bar, Picture, read

WIDTH, LEFT, RIGHT = 860, 344, 96
BAR, GAP, TOP, BOTTOM = 18, 12, 66, 16
MANY, NARROW = 12, 5
"""More bars than so many stand closer together."""
NOTE_CHARACTERS, NOTE_LINE = 120, 17
STYLE = """
    .page { fill: #ffffff } .value { paint-order: stroke; stroke: #ffffff; stroke-width: 4px }
    text { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; fill: #1f2937 }
    .title { font-size: 16px; font-weight: 600 } .small { font-size: 12px; fill: #6b7280 }
    .ours { fill: #0f766e } .peer { fill: #a3aab5 } .strong { font-weight: 600 }
    .axis { stroke: #d5d9df } .limit { stroke: #c2410c; stroke-dasharray: 5 4; stroke-width: 1.5 }
    .limit-name { font-size: 12px; fill: #c2410c }
    @media (prefers-color-scheme: dark) {
      .page { fill: #0d1117 } .value { stroke: #0d1117 }
      text { fill: #e5e7eb } .small { fill: #9ca3af } .ours { fill: #2dd4bf } .peer { fill: #6b7280 }
      .axis { stroke: #374151 } .limit { stroke: #fb923c } .limit-name { fill: #fb923c }
    }
"""


def draw(picture: Picture) -> str:
    """Return the picture as the text of an SVG file."""
    rows = [bar for bar in picture.bars if bar.kind != "limit"]
    limits = [bar for bar in picture.bars if bar.kind == "limit"]
    notes = list(_wrapped(picture.note))
    top = TOP + 16 * len(limits)
    step = BAR + (GAP if len(rows) <= MANY else NARROW)
    end = top + step * len(rows)
    height = end + BOTTOM + NOTE_LINE * len(notes)
    scale = (WIDTH - LEFT - RIGHT) / max([bar.start + bar.value for bar in rows] + [one.value for one in limits])
    size = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    spoken = escape(_spoken(picture), quote=True)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{spoken}">',
        f"  <style>{STYLE}  </style>",
        f'  <rect class="page" width="{WIDTH}" height="{height}" rx="6"/>',
        f'  <text class="title" x="16" y="26">{escape(picture.title)}</text>',
        f'  <text class="small" x="16" y="46">{escape(_subtitle(picture))}</text>',
        f'  <line class="axis" x1="{LEFT}" y1="{top - 6}" x2="{LEFT}" y2="{end}"/>',
    ]
    calm = any(bar.start for bar in rows)  # of many steps none is to stand out
    parts += [_bar(bar, top + step * number, scale) for number, bar in enumerate(rows)]
    parts += [_limit(one, TOP + 16 * number, end, scale) for number, one in enumerate(limits)]
    parts += [_words(bar, top + step * number, scale, calm=calm) for number, bar in enumerate(rows)]
    parts += [
        f'  <text class="small" x="16" y="{end + BOTTOM + NOTE_LINE * number + 4}">{escape(line)}</text>'
        for number, line in enumerate(notes)
    ]
    return "\n".join([*parts, "</svg>", ""])


def _bar(bar: Bar, y: int, scale: float) -> str:
    begin, width = _extent(bar, scale)
    return f'  <rect class="{bar.kind}" x="{begin:.1f}" y="{y}" width="{width:.1f}" height="{BAR}" rx="2"/>'


def _words(bar: Bar, y: int, scale: float, *, calm: bool) -> str:
    begin, width = _extent(bar, scale)
    strong = " strong" if bar.kind == "ours" and not calm else ""
    middle = y + BAR // 2 + 4
    return (
        f'  <text class="name{strong}" x="{LEFT - 10}" y="{middle}" text-anchor="end">{escape(bar.name)}</text>\n'
        f'  <text class="value{strong}" x="{begin + width + 7:.1f}" y="{middle}">{figure(bar.value)}</text>'
    )


def _extent(bar: Bar, scale: float) -> tuple[float, float]:
    return LEFT + bar.start * scale, max(1.5, bar.value * scale)


def _limit(bar: Bar, y: int, end: int, scale: float) -> str:
    x = LEFT + bar.value * scale
    side = ' text-anchor="end"' if x > LEFT + (WIDTH - LEFT - RIGHT) / 2 else ""
    return (
        f'  <line class="limit" x1="{x:.1f}" y1="{y + 2}" x2="{x:.1f}" y2="{end}"/>\n'
        f'  <text class="limit-name" x="{x + (-6 if side else 6):.1f}" y="{y + 6}"{side}>'
        f"{escape(bar.name)}: {figure(bar.value)}</text>"
    )


def figure(value: float) -> str:
    """Three figures that mean something: `1,234`, `12.3`, `1.23`, `0.123`."""
    if value >= 100:
        return f"{value:,.0f}"
    digits = 1 if value >= 10 else 2 if value >= 1 else 3
    return f"{value:.{digits}f}"


def _subtitle(picture: Picture) -> str:
    return f"{picture.unit} · {'shorter' if picture.less_is_better else 'longer'} is better"


def _spoken(picture: Picture) -> str:
    said = "; ".join(f"{bar.name}: {figure(bar.value)}" for bar in picture.bars)
    return f"{picture.title}, in {picture.unit}. {said}"


def _wrapped(text: str) -> Iterator[str]:
    line = ""
    for word in text.split():
        if line and len(line) + len(word) >= NOTE_CHARACTERS:
            yield line
            line = ""
        line += (" " if line else "") + word
    if line:
        yield line


def draw_all(source: Path, target: Path) -> list[Path]:
    """Draw every picture of a file as `NAME.svg`, `NAME-2.svg`, …; return the paths."""
    made = []
    for number, picture in enumerate(read(source), 1):
        path = target / (f"{source.stem}.svg" if number == 1 else f"{source.stem}-{number}.svg")
        path.write_text(draw(picture))
        made.append(path)
    return made


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sources", nargs="+", type=Path, metavar="FILE.json")
    parser.add_argument("--to", type=Path, default=Path("docs/pictures"))
    wishes = parser.parse_args()
    wishes.to.mkdir(parents=True, exist_ok=True)
    for source in wishes.sources:
        for path in draw_all(source, wishes.to):
            print(path)


if __name__ == "__main__":
    main()
