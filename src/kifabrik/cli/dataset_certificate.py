"""`kifabrik dataset certificate`."""

from dataclasses import asdict
from pathlib import Path
from typing import Literal

import click

from kifabrik.cli.certificate_words import doubts, named_rows
from kifabrik.cli.options import FileToWrite, home_option, json_option, language_option
from kifabrik.cli.terminal import done, remark, show_json, show_table, warn
from kifabrik.cli.text_files import text_of
from kifabrik.customer.certificate import Certified, certified, certified_by_export, read_envelope
from kifabrik.customer.certificate_page import page
from kifabrik.customer.record import keep_cosigned_head, verify_offline
from kifabrik.customer.session import open_session
from kifabrik.errors import NotFoundError, UsageError
from kifabrik.ledger.policy import Policy
from kifabrik.signatures.dsse import Envelope


@click.command(
    epilog="""\b
    Examples:
      kifabrik dataset certificate certificate.json
      kifabrik dataset certificate certificate.json --out bescheinigung.html --language de
      kifabrik dataset certificate certificate.json --folder for-the-auditor --policy policy.txt
      kifabrik dataset certificate --of press-line-7 --save certificate.json
    """
)
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False), required=False)
@click.option(
    "--of", "name", metavar="NAME", help="Fetch the newest certificate of this erased dataset: its name or id."
)
@click.option("--save", type=click.Path(path_type=Path, dir_okay=False), help="Write what was fetched here.")
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
    file: Path | None,
    name: str | None,
    save: Path | None,
    folder: Path | None,
    policy: Path | None,
    out: Path | None,
    language: Literal["de", "en"],
    home: Path,
    *,
    as_json: bool,
) -> None:
    """Check the certificate of an erasure in FILE, or the newest one of a dataset, and say what it says.

    It must be the keyholder's, stand in the ledger, which is recomputed, and name all that the ledger shows up to
    the head it covers. Exit status 6 if not.
    """
    envelope = _envelope(file, name, folder, save, home)
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
                "later": found.later,
                "names": names,
            }
        )
        return
    _show(found, names)
    if out is not None:
        remark(f"  {out}")


def _envelope(file: Path | None, name: str | None, folder: Path | None, save: Path | None, home: Path) -> Envelope:
    """Read the certificate, or fetch the newest one.

    Raises:
        UsageError: Not exactly one of a file and a name was given, or what goes with the other; or the name is that
            of several.
        NotFoundError: There is no such dataset, or nothing is certified of it.
    """
    if (file is None) == (name is None):
        raise UsageError("name a certificate's FILE, or a dataset with --of", hint="One of the two.")
    if name is None and file is not None:
        if save is not None:
            raise UsageError("--save keeps what --of has fetched", hint="FILE is kept already.")
        return read_envelope(text_of(file), file)
    if folder is not None:
        raise UsageError("--of asks the factory, --folder needs no network", hint="Name the certificate's FILE.")
    with open_session(home) as session:
        datasets = [one for one in session.catalogue().datasets() if name in (one.name, one.dataset)]
        if not datasets:
            raise NotFoundError(f"there is no dataset {name!r}", hint="See: kifabrik dataset ls")
        erased = [one.dataset for one in datasets if one.erased]
        if len(erased) > 1:
            hint = f"Name one by its id: {', '.join(erased)}"
            raise UsageError(f"{len(erased)} erased datasets were called {name!r}", hint=hint)
        if not erased:
            raise NotFoundError(f"the dataset {name!r} is not erased", hint="See: kifabrik dataset erase --help")
        text = session.datasets.erasure(erased[-1]).certificate
    if not text:
        raise NotFoundError(f"the erasure of {name!r} is not certified yet", hint="Run the keyholder.")
    if save is not None:
        save.write_text(text + "\n", encoding="utf-8")
    return Envelope.from_json(text)


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
    wanted = {said.dataset, *(one.owner for one in said.derived), *(one.run for one in said.runs)}
    wanted |= {one.run for one in said.releases}
    return found, {key: name for key, name in names.items() if key in wanted}


def _show(found: Certified, names: dict[str, str]) -> None:
    said = found.certificate
    by = "signed by the keyholder" if found.is_signed else "by the exported log"
    done(f"The certificate holds: entry {found.index} of the ledger, {by}")
    remark(f"  the key of {names.get(said.dataset, said.dataset)} was destroyed at {said.destroyed}")
    covered = f"{said.log_size} entries of the ledger" if said.log_size else "what the keyholder knew then"
    remark(f"  it covers {covered}")
    rows = named_rows(said, names)
    if rows:
        show_table(["NAMED", "WHAT", ""], rows)
    for doubt in doubts(said):
        warn(doubt)
    if found.later is not None:
        warn(f"it is not the newest: entry {found.later} names a later one; fetch it with --of {said.dataset}")
    if not found.is_witnessed:
        warn("the keyholder has not cosigned the ledger up to this entry")
