"""How kifabrik speaks on a terminal.

Rules:
- results go to stdout, progress and remarks to stderr, so output can be piped;
- `--json` prints exactly one JSON document on stdout and no remarks;
- nothing is longer than 80 columns unless the terminal is wider; sentences are broken between words; ids and
  commands to copy are shown whole, never cut;
- colour and moving bars only on a terminal, and never with NO_COLOR; elsewhere a bar is one last line;
- what others wrote is shown as letters: no escape sequence of theirs reaches the terminal. Of a job's output
  colours do; into a pipe it goes without them, and otherwise as it was written;
- an error is one line that says what was wrong, and one that says what to do.
"""

import json
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Literal

import click

from kifabrik.cli.folding import folded
from kifabrik.cli.plain import job_line, json_text, plain
from kifabrik.values import format_duration, format_size, now_utc, parse_time

if TYPE_CHECKING:
    from rich.console import Console

_PLAIN_WIDTH: Final = 80
_TEN_MINUTES: Final = 600
_AN_HOUR: Final = 3600
_BETWEEN: Final = "  "
_FIRST_COMBINING: Final = "\u0300"
"""From here on characters may take no column, or two (UAX #11)."""


@cache
def _remarks() -> "Console":
    from rich.console import Console  # noqa: PLC0415 - a tenth of what a quick command takes

    return Console(stderr=True, highlight=False, soft_wrap=True)


def show_json(value: Any) -> None:
    """Print one JSON document."""
    click.echo(json_text(json.dumps(value, indent=2, ensure_ascii=False, default=str)))


def remark(text: str) -> None:
    """Say something beside the result (stderr)."""
    _remarks().print(folded(plain(text)), markup=False)


def step(text: str) -> None:
    """Say what is being done now (stderr)."""
    _remarks().print(folded(f"→ {plain(text)}"), markup=False, style="cyan")


def done(text: str) -> None:
    """Say that something worked (stderr)."""
    _remarks().print(folded(f"✓ {plain(text)}"), markup=False, style="green")


def warn(text: str) -> None:
    """Say something a person should not overlook (stderr)."""
    _remarks().print(folded(f"! {plain(text)}"), markup=False, style="yellow")


def show_output(text: str, *, err: bool = False, before: str = "") -> None:
    """Print a line of a job's output to stdout or stderr, after words of our own."""
    stream = sys.stderr if err else sys.stdout
    click.echo(before + (job_line(text) if stream.isatty() else text), err=err)


def show_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, right: Sequence[int] = ()) -> None:
    """Print a plain table; `right` are the numbers of the columns that hold numbers."""
    rows = [[plain(str(cell)) for cell in row] for row in rows]
    widths = [max(len(row[number]) for row in [columns, *rows]) for number in range(len(columns))]
    width = sum(widths) + len(_BETWEEN) * (len(columns) - 1)
    room = shutil.get_terminal_size((_PLAIN_WIDTH, 0)).columns if sys.stdout.isatty() else max(_PLAIN_WIDTH, width)
    if width > room or not all(_is_narrow(cell) for row in [columns, *rows] for cell in row):
        _show_folded(columns, rows, right, room)
        return
    for number, row in enumerate([columns, *rows]):
        cells = [
            cell.rjust(room) if at in right else cell.ljust(room)
            for at, (cell, room) in enumerate(zip(row, widths, strict=True))
        ]
        click.secho(_BETWEEN.join(cells).rstrip(), bold=number == 0)


def _is_narrow(cell: str) -> bool:
    """Whether each character of a cell takes one column: those of European languages do."""
    return cell.isprintable() and all(letter < _FIRST_COMBINING for letter in cell)


def _show_folded(columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int], width: int) -> None:
    """Print a table that does not fit, or has letters of other widths."""
    from rich.console import Console  # noqa: PLC0415 - a tenth of what a quick command takes
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    widths = _whole_words(columns, rows, width) or [None] * len(columns)
    for number, column in enumerate(columns):
        align: Literal["left", "right"] = "right" if number in right else "left"
        table.add_column(column, justify=align, overflow="fold", width=widths[number])
    for row in rows:
        table.add_row(*row)
    console = Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else width)
    with console.capture() as captured:
        console.print(table)
    for line in captured.get().splitlines():
        click.echo(line.rstrip())


def _whole_words(columns: Sequence[str], rows: Sequence[Sequence[str]], room: int) -> list[int | None] | None:
    """Widths that break no word, so ids can be copied; None where there is no room, or letters are wide."""
    down = list(zip(columns, *rows, strict=True))
    if not all(_is_narrow(cell) for cells in down for cell in cells):
        return None
    least = [max(len(word) for cell in cells for word in cell.split(" ")) for cells in down]
    wanted = [max(map(len, cells)) - width for cells, width in zip(down, least, strict=True)]
    spare = room - sum(least) - len(_BETWEEN) * (len(columns) - 1)
    if spare < 0:
        return None
    widths: list[int | None] = list(least)
    for at in sorted(
        range(len(wanted)), key=wanted.__getitem__
    ):  # times and sums stay in one line, remarks give way
        more = min(wanted[at], spare)
        widths[at] = least[at] + more
        spare -= more
    return widths


def counted(count: int, noun: str) -> str:
    """How many of something there are: `1 file`, `1,200 files`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def ago(time: str) -> str:
    """Say how long ago an RFC 3339 time was: `40s ago`, `21m ago`, `3h 05m ago`, `12 days ago`."""
    seconds = max(0.0, (now_utc() - parse_time(time)).total_seconds())
    days = int(seconds // 86400)
    if days > 1:
        return f"{days} days ago"
    text = format_duration(round(seconds))
    return f"{text.rpartition(' ')[0] if _TEN_MINUTES <= seconds < _AN_HOUR else text} ago"


@contextmanager
def transfer(label: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Show bytes, rate and time left while the block runs; it gets a function to call with bytes done."""
    from rich import progress  # noqa: PLC0415 - most commands move nothing

    with progress.Progress(
        progress.SpinnerColumn(finished_text="✓"),
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(bar_width=24),
        progress.DownloadColumn(),
        progress.TextColumn("{task.fields[rate]}"),
        progress.TimeRemainingColumn(compact=True),
        console=_remarks(),
    ) as bars:
        task = bars.add_task(plain(label), total=total, rate="")

        def moved(size: int) -> None:
            bars.update(task, advance=size)
            one = bars.tasks[0]
            speed = one.finished_speed or one.speed
            bars.update(task, rate=f"{format_size(int(speed))}/s" if speed else "")

        yield moved


@contextmanager
def waiting(label: str) -> Iterator[Callable[[str], None]]:
    """Show a spinner while the block runs; it gets a function that changes the text."""
    if not _remarks().is_terminal:
        yield lambda _text: None
        return
    with _remarks().status(label) as status:
        yield status.update


def ticking(label: str) -> Callable[[], None]:
    """Show a label and the seconds since, until the function it returns is called; nothing but on a terminal."""
    if not _remarks().is_terminal:
        return lambda: None
    from rich import progress  # noqa: PLC0415 - most commands wait for nothing

    shown = progress.Progress(
        progress.SpinnerColumn(),
        progress.TextColumn("{task.description}", markup=False),
        progress.TimeElapsedColumn(),
        console=_remarks(),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    shown.add_task(plain(label), total=None)
    shown.start()
    return shown.stop


@contextmanager
def clock(label: str) -> Iterator[None]:
    """Show a label and the seconds since, while the block runs; nothing but on a terminal."""
    stop = ticking(label)
    try:
        yield
    finally:
        stop()
