"""Printing the log of a run, for `apply` and `logs`."""

from kifabrik.cli.terminal import remark, show_output, ticking
from kifabrik.customer.follow import read_log
from kifabrik.customer.log_lines import LogLine
from kifabrik.customer.session import Session
from kifabrik.runs.states import RunState, is_end
from kifabrik.wire.runs import RunView


def print_log(session: Session, run: str, *, follow: bool) -> None:
    """Print output of the job to stdout and stderr, remarks and states to stderr.

    Of a sweep, whose tasks have a log each, only how far it is. Of a run on several nodes each line says which of
    them wrote it.
    """
    shown, several = "", False
    stop = _nothing

    def on_state(view: RunView) -> None:
        nonlocal shown, several, stop
        several = view.resources.nodes > 1
        line = f"  {view.state.value}: {view.reason}" if view.reason else f"  {view.state.value}"
        if follow and line != shown:
            shown = line
            stop()
            remark(line)
            stop = ticking(f"  {view.state.value}") if _is_silent(view.state) else _nothing

    try:
        for line in read_log(session, run, follow=follow, on_state=on_state):
            stop()
            stop = _nothing
            _print(line, f"[node-{line.rank}] " if several else "")
    finally:
        stop()


def _print(line: LogLine, node: str) -> None:
    if line.kind in ("out", "err"):
        show_output(line.text, err=line.kind == "err", before=node)
    else:
        remark(f"  {node}{'metric ' if line.kind == 'metric' else ''}{line.text}")


def _is_silent(state: RunState) -> bool:
    """Whether a run says nothing of its own in this state."""
    return state is not RunState.RUNNING and not is_end(state)


def _nothing() -> None:
    """Stop nothing."""
