"""A bar for long work of which items are counted: scenarios, compounds, jobs."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress


@contextmanager
def counting(what: str, total: int | None, *, quiet: bool) -> Iterator[Callable[[int], None] | None]:
    """Show a bar on a terminal while the block runs; gives what counts, or nothing where no bar is shown.

    Args:
        what: Words before the bar.
        total: Items in all; None where nobody knows.
        quiet: Show nothing.
    """
    if quiet or not sys.stderr.isatty():
        yield None
        return
    with _bar() as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.advance(task, done)


@contextmanager
def in_stages(*, quiet: bool) -> Iterator[Callable[[str, int, int | None], None] | None]:
    """Show a bar on a terminal for work that goes through stages and learns on the way how much is left.

    Gives what is told the stage, how much is done, and how much it will be at most (None: not known yet); nothing
    where no bar is shown. The time left is that of the most that may be left.

    Args:
        quiet: Show nothing.
    """
    if quiet or not sys.stderr.isatty():
        yield None
        return
    with _bar("at most") as bar:
        task = bar.add_task("", total=None)
        yield lambda stage, done, most: bar.update(task, description=str(stage), completed=done, total=most)


def _bar(*words: str) -> "Progress":
    from rich.console import Console  # noqa: PLC0415 - slow to import
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    left = (*map(TextColumn, words), TimeRemainingColumn())
    columns = (TextColumn("{task.description}"), BarColumn(20), MofNCompleteColumn(), *left)
    return Progress(*columns, console=Console(stderr=True), transient=True)
