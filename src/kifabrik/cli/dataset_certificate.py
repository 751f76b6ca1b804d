"""`kifabrik dataset certificate`."""

from dataclasses import asdict
from pathlib import Path
from typing import Literal

import click

from kifabrik.cli.options import FileToWrite, home_option, json_option, language_option
from kifabrik.cli.terminal import done, remark, show_json, show_table, warn
from kifabrik.cli.text_files import text_of
from kifabrik.customer.certificate import Certified, certified, certified_by_export, read_envelope
from kifabrik.customer.certificate_page import page
from kifabrik.customer.record import keep_cosigned_head, verify_offline
from kifabrik.customer.session import open_session
from kifabrik.ledger.policy import Policy
from kifabrik.signatures.dsse import Envelope


@click.command(
    epilog="""\b
    Examples:
      kifabrik dataset certificate certificate.json
      kifabrik dataset certificate certificate.json --out bescheinigung.html --language de
      kifabrik dataset certificate certificate.json --folder for-the-auditor --policy policy.txt
    """
)
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Check it by this exported log; needs no account and no network.",
)
@click.option(
    "--policy",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="tlog-policy file to believe instead of the folder's own.",
)
@click.option("--out", type=FileToWrite(".html"), help="Write a page to print here (.html).")
@language_option("Of the page.")
@home_option
@json_option
def certificate(
    file: Path,
    folder: Path | None,
    policy: Path | None,
    out: Path | None,
    language: Literal["de", "en"],
    home: Path,
    *,
    as_json: bool,
) -> None:
    """Check the certificate of an erasure in FILE, and say what it says.

    It must be the keyholder's, and stand in the ledger, which is recomputed. Exit status 6 if not.
    """
    envelope = read_envelope(text_of(file), file)
    names: dict[str, str] = {}
    if folder is not None:
        found = certified_by_export(envelope, folder, Policy.parse(text_of(policy)) if policy else None)
    else:
        found, names = _with_account(home, envelope)
    if out is not None:
        out.write_text(page(found, language, names), encoding="utf-8")
    if as_json:
        show_json(
            {
                "certificate": asdict(found.certificate),
                "digest": found.digest,
                "entry": found.index,
                "time": found.time,
                "signature_checked": found.is_signed,
                "cosigned": found.is_witnessed,
                "names": names,
            }
        )
        return
    _show(found, names)
    if out is not None:
        remark(f"  {out}")


def _with_account(home: Path, envelope: Envelope) -> tuple[Certified, dict[str, str]]:
    with open_session(home) as session:
        keep_cosigned_head(session)
        report = verify_offline(home).report
        report.require()
        catalogue = session.catalogue()
        names = {one.dataset: one.name for one in catalogue.datasets()}
        names |= {one.run: one.name for one in catalogue.runs()}
        names |= {one.owner: f"{one.name}@{one.version}" for one in catalogue.models()}
        cosigned = report.entries if report.accepted and report.accepted.cosigned else 0
        found = certified(envelope, catalogue.entries, session.keyholder_key, session.tenant, cosigned)
    said = found.certificate
    wanted = {said.dataset, *(one.owner for one in said.derived), *(one.run for one in said.releases)}
    return found, {key: name for key, name in names.items() if key in wanted}


def _show(found: Certified, names: dict[str, str]) -> None:
    said = found.certificate
    by = "signed by the keyholder" if found.is_signed else "by the exported log"
    done(f"The certificate holds: entry {found.index} of the ledger, {by}")
    remark(f"  the key of {names.get(said.dataset, said.dataset)} was destroyed at {said.destroyed}")
    rows = [
        ("made from it", names.get(one.owner, one.owner), "erased" if one.erased else "kept")
        for one in said.derived
    ]
    rows += [("released before", one.receiver, one.created) for one in said.releases]
    rows += [("in a backup", one.backup, f"until {one.expires}") for one in said.backups]
    rows += [("the safe", said.recovery, "opens kept ciphertext")] if said.recovery else []
    if rows:
        show_table(["NAMED", "WHAT", ""], rows)
    if not said.complete:
        warn("Backups of the keyholder still hold the key until they expire.")
    if not found.is_witnessed:
        warn("the keyholder has not cosigned the ledger up to this entry")
