"""`kifabrik dataset erase`."""

import time
from pathlib import Path
from typing import Final

import click

from kifabrik.cli.options import json_option
from kifabrik.cli.terminal import done, remark, show_json, show_table, waiting, warn
from kifabrik.cli.unlock import StewardKeys, steward_options
from kifabrik.customer.session import Session, open_session
from kifabrik.grants.statements import ErasureCertificate
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.statements import verify_statement

_PATIENCE_S: Final = 60.0
_WAIT_S: Final = 10.0


@click.command(
    epilog="""\b
    Example:
      kifabrik dataset erase press-line-7 --out certificate.json
    """
)
@click.argument("name")
@click.option("--derived", is_flag=True, help="Also destroy the keys of results made from it.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the signed certificate here.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@steward_options
@json_option
def erase(
    name: str,
    derived: bool,
    out: Path | None,
    yes: bool,
    keys: StewardKeys,
    as_json: bool,
) -> None:
    """Destroy the key of dataset NAME for good: at the keyholder at once, then the objects at the factory.

    The keyholder signs a certificate that names every earlier release of the key and every result made
    from the data. A key that was released before cannot be called back; it is named instead.
    """
    with open_session(keys.home) as session:
        dataset = session.catalogue().dataset(name).dataset
        if not (yes or as_json):
            called = name if name == dataset else f"{name} ({dataset})"
            click.confirm(f"Destroy the key of {called} for good?", abort=True, err=True)
        with keys.open() as steward:
            steward.erase(dataset, derived=derived)
        with waiting("Waiting for the certificate …"):
            text = _await_certificate(session, dataset)
        if not text and as_json:
            show_json({"dataset": dataset, "certificate": "", "complete": False})
            return
        if not text:
            warn("The key is destroyed here. The factory has not confirmed yet: run the keyholder.")
            return
        envelope = Envelope.from_json(text)
        certificate = verify_statement(envelope, ErasureCertificate, [session.keyholder_key]).predicate
        names = {one.owner: f"model {one.name}@{one.version}" for one in session.catalogue().models()}
    if out is not None:
        out.write_text(text + "\n", encoding="utf-8")
    if as_json:
        show_json({"dataset": dataset, "certificate": text, "complete": certificate.complete})
        return
    _show(name, certificate, names)
    if out is not None:
        remark(f"  The signed certificate is in {out.name}")


def _await_certificate(session: Session, dataset: str) -> str:
    until = time.monotonic() + _PATIENCE_S
    while time.monotonic() < until:
        view = session.datasets.erasure(dataset, wait_s=_WAIT_S)
        if view.certificate:
            return view.certificate
    return ""


def _show(name: str, certificate: ErasureCertificate, names: dict[str, str]) -> None:
    done(f"The key of {name} was destroyed at {certificate.destroyed}; the keyholder certifies it")
    rows = [
        ("made from it", names.get(one.owner, one.owner), "erased" if one.erased else "kept")
        for one in certificate.derived
    ]
    rows += [("released before", one.receiver, one.created) for one in certificate.releases]
    rows += [("in a backup", one.backup, f"until {one.expires}") for one in certificate.backups]
    rows += [("the safe", certificate.recovery, "opens kept ciphertext")] if certificate.recovery else []
    show_table(["NAMED", "WHAT", ""], rows)
    if not certificate.complete:
        warn("Backups of the keyholder still hold the key until they expire.")
    if certificate.recovery:
        warn(
            "It was sealed to a recovery recipient too: its identity, in the safe, opens ciphertext that was kept."
        )
