"""What commands of `kifabrik pharma` share: a bar, workers, how figures are written."""

import math
import os
from pathlib import Path

import click

from kifabrik.cli.options import F


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


def show_figure(value: float | None) -> str:
    """A figure of a model; a dash where there is none."""
    return "-" if value is None or not math.isfinite(value) else f"{value:.3f}"
