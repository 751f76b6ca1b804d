"""The shell scripts that slurm.conf names as Prolog and Epilog.

A job that is none of ours costs no more than the start of a shell.
"""

import shlex
import sys
from enum import StrEnum
from pathlib import Path


class Hook(StrEnum):
    """Before or after a job."""

    PROLOG = "prolog"
    EPILOG = "epilog"


def script(hook: Hook, home: Path, *options: str) -> str:
    """Text of the script.

    Args:
        hook: Which of the two.
        home: The node's.
        options: More of the command line.
    """
    words = [sys.executable, "-I", "-m", "kifabrik.cli.main", "node", hook.value, "--home", str(home.resolve())]
    # After a job of somebody else the setting `scrub = "all"` may ask for its GPUs to be overwritten.
    others = "*) exit 0" if hook is Hook.PROLOG else '*) [ -n "$SLURM_JOB_GPUS" ] || exit 0'
    return f"""\
#!/bin/sh
# {hook.name.title()} of kifabrik. slurm.conf: {hook.name.title()}=<this file>, on every node, owned by root, 0755.
case "$SLURM_JOB_USER" in kf-*) ;; {others} ;; esac
exec {shlex.join([*words, *options])}
"""
