"""What commands of `kifabrik pharma` share: a bar, workers, how figures are written."""

import math
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def workers_option(command: F) -> F:
    """Add `--workers`."""
    return click.option(
        "--workers",
        type=click.IntRange(min=1),
        default=lambda: os.cpu_count() or 1,
        help="Processes or threads. [one for each core]",
    )(command)


def cache_option(command: F) -> F:
    """Add `--cache`."""
    return click.option(
        "--cache",
        type=click.Path(path_type=Path, file_okay=False),
        help="Folder that keeps features between commands; it holds traces of the compounds.",
    )(command)


@contextmanager
def counting(what: str, total: int | None, *, quiet: bool) -> Iterator[Callable[[int], None] | None]:
    """Show a bar on a terminal; gives what counts. Without a total it only counts."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console  # noqa: PLC0415 - slow to import
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(20), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)

        def count(finished: int) -> None:
            bar.advance(task, finished)

        yield count


def show_figure(value: float | None) -> str:
    """A figure of a model; a dash where there is none."""
    return "-" if value is None or not math.isfinite(value) else f"{value:.3f}"
