"""`kifabrik ledger verify`."""

from pathlib import Path

import click

from kifabrik.cli.options import home_option, json_option
from kifabrik.cli.terminal import done, remark, show_json, warn
from kifabrik.cli.text_files import text_of
from kifabrik.customer.record import verify_offline
from kifabrik.errors import IntegrityError
from kifabrik.ledger.policy import Policy
from kifabrik.ledger.verify import Report, verify_folder


@click.command(
    epilog="""\b
    Examples:
      kifabrik ledger verify                      this machine's own copy
      kifabrik ledger verify --folder ./exported --policy policy.txt
    """
)
@click.option("--folder", type=click.Path(path_type=Path, exists=True, file_okay=False), help="An exported log.")
@click.option(
    "--policy",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="tlog-policy file to believe instead of the folder's own.",
)
@home_option
@json_option
def verify(folder: Path | None, policy: Path | None, home: Path, as_json: bool) -> None:
    """Recompute the whole log and check every signature and rule. Asks no server.

    Checks the log's and the keyholder's signatures, that every entry is under the signed root, and that no
    key was released before its request, twice, after a revocation or after an erasure. The exit status is
    6 if anything is wrong; the first bad entry is named.
    """
    if folder is not None:
        believed = Policy.parse(text_of(policy)) if policy else None
        report, held = verify_folder(folder, believed), None
    else:
        offline = verify_offline(home)
        report, held = offline.report, offline.held
    if as_json:
        finding = str(report.finding) if report.finding else ""
        counts = {"entries": report.entries, "kinds": dict(report.kinds), "held": held}
        show_json({"ok": report.ok, "finding": finding, **counts})
        click.get_current_context().exit(0 if report.ok else IntegrityError.exit_status)
    if report.ok:
        _say(report, held)
    if report.finding is not None:
        raise IntegrityError(f"the ledger does not verify: {report.finding}", hint="Keep it as evidence.")


def _say(report: Report, held: int | None) -> None:
    witnessed = report.accepted is not None and bool(report.accepted.cosigned)
    signers = "the log and the keyholder's witness" if witnessed else "the log only"
    done(f"{report.entries} entries verify: root, order and rules; signed by {signers}")
    if report.accepted:
        remark(f"  root {report.accepted.head.root.hex()}")
    if held is not None and held > report.entries:
        newer = held - report.entries
        warn(f"Of {newer} newer entries this copy has no cosigned head yet. To fetch it: kifabrik ledger show")
