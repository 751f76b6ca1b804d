"""Printing the log of a run, for `apply` and `logs`."""

from kifabrik.cli.terminal import remark, show_output
from kifabrik.customer.follow import read_log
from kifabrik.customer.session import Session
from kifabrik.wire.runs import RunView


def print_log(session: Session, run: str, *, follow: bool) -> None:
    """Print output of the job to stdout and stderr, remarks and states to stderr.

    Of a sweep, whose tasks have a log each, only how far it is. Of a run on several nodes each line says which of
    them wrote it.
    """
    shown, several = "", False

    def on_state(view: RunView) -> None:
        nonlocal shown, several
        several = view.resources.nodes > 1
        line = f"  {view.state.value}: {view.reason}" if view.reason else f"  {view.state.value}"
        if follow and line != shown:
            shown = line
            remark(line)

    for line in read_log(session, run, follow=follow, on_state=on_state):
        node = f"[node-{line.rank}] " if several else ""
        if line.kind in ("out", "err"):
            show_output(line.text, err=line.kind == "err", before=node)
        else:
            remark(f"  {node}{'metric ' if line.kind == 'metric' else ''}{line.text}")
