"""`kifabrik doctor`."""

import sys
from pathlib import Path

import click

from kifabrik.cli.folding import folded
from kifabrik.cli.options import home_option, json_option
from kifabrik.cli.plain import plain
from kifabrik.cli.terminal import remark, show_json
from kifabrik.customer.checkup import Finding, Verdict, check_member
from kifabrik.errors import UnavailableError

_MARKS = {Verdict.GOOD: ("✓", "green"), Verdict.NOTICE: ("!", "yellow"), Verdict.BAD: ("✗", "red")}


@click.command(
    epilog="""\b
    Examples:
      kifabrik doctor
      kifabrik doctor --node      what runs need of this machine, too
    """
)
@click.option("--node", is_flag=True, help="Check this machine as a node of a factory (Linux).")
@home_option
@json_option
def doctor(node: bool, home: Path, as_json: bool) -> None:
    """Check this machine, its enrolment, and whether factory and keyholder can be reached.

    The exit status is 7 if something is wrong that stops work.
    """
    findings = check_member(home)
    if node or (home / "factory").exists():
        findings += _check_node()
    if as_json:
        show_json([{"what": one.what, "verdict": one.verdict.value, "hint": one.hint} for one in findings])
    else:
        for one in findings:
            mark, colour = _MARKS[one.verdict]
            said = folded(f"{mark} {plain(one.what)}", sys.stdout)
            click.echo(click.style(mark, fg=colour) + said.removeprefix(mark))
            if one.hint and one.verdict is not Verdict.GOOD:
                remark(f"    {one.hint}")
    bad = [one for one in findings if one.verdict is Verdict.BAD]
    if bad:
        raise UnavailableError(f"{len(bad)} of {len(findings)} checks failed: {bad[0].what}", hint=bad[0].hint)


def _check_node() -> list[Finding]:
    if sys.platform != "linux":
        return [Finding("a node of a factory needs Linux", Verdict.BAD)]
    from kifabrik.sandbox.check import check_sandbox  # noqa: PLC0415 - Linux only

    verdicts = {"ok": Verdict.GOOD, "notice": Verdict.NOTICE, "error": Verdict.BAD}
    return [
        Finding(f"{one.name}: {one.sentence}", verdicts[one.verdict.value], one.advice) for one in check_sandbox()
    ]
