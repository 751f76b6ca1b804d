"""`kifabrik admin check`."""

from dataclasses import asdict
from pathlib import Path

import click

from kifabrik.cli.options import home_option, json_option
from kifabrik.cli.terminal import done, remark, show_json, warn
from kifabrik.errors import IntegrityError
from kifabrik.values import format_size, format_time, parse_time
from kifabrik.wiring.check_machine import machine_check
from kifabrik.wiring.factory import open_factory


@click.command(
    epilog="""\b
    Example:
      kifabrik admin check --deep
    """
)
@click.option("--deep", is_flag=True, help="Also read every object and compare its digest.")
@home_option
@json_option
def check(deep: bool, home: Path, as_json: bool) -> None:
    """Check that database, objects, every tenant's ledger and this machine agree. Exit status 6 if not.

    Works beside a running service; what is in the middle of happening is left out. On the machine it looks
    for launchers, processes, memory, control groups, folders and user ids that no run holds any more. Objects
    that were uploaded and never registered are counted; that is a finding once they should be gone.
    """
    factory = open_factory(home / "factory")
    machine = machine_check(home / "factory", factory)
    findings = [*factory.check.run(deep=deep), *(machine.run() if machine else ())]
    waiting, keep = factory.unregistered.standing(), factory.unregistered.keep
    factory.store.close()
    if as_json:
        show_json(
            {
                "ok": not findings,
                "findings": [asdict(finding) for finding in findings],
                "unregistered": [asdict(one) for one in waiting],
            }
        )
        click.get_current_context().exit(IntegrityError.exit_status if findings else 0)
    if waiting:
        count, size = sum(one.count for one in waiting), sum(one.size for one in waiting)
        first = format_time(parse_time(min(one.since for one in waiting)) + keep)
        things = "1 object" if count == 1 else f"{count:,} objects"
        remark(f"{things} ({format_size(size)}) on no record yet, uploads under way or left over.")
        days = f"{keep.total_seconds() / 86_400:g}"
        remark(f"  What nobody registers or asks for in {days} days is removed; the first on {first[:10]}.")
    for finding in findings:
        warn(str(finding))
        remark(f"  {finding.do}")
    if findings:
        things = "1 thing does" if len(findings) == 1 else f"{len(findings)} things do"
        raise IntegrityError(f"{things} not agree", hint="Keep a copy of the folder before mending.")
    done("Database, objects, ledgers and this machine agree")
