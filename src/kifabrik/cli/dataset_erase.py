"""`kifabrik dataset erase`."""

from pathlib import Path

import click

from kifabrik.cli.certificate_words import doubts, named_rows
from kifabrik.cli.options import json_option
from kifabrik.cli.terminal import done, remark, show_json, show_table, waiting, warn
from kifabrik.cli.unlock import StewardKeys, steward_options
from kifabrik.customer.erasing import Awaited, await_certificate
from kifabrik.customer.session import open_session
from kifabrik.grants.statements import ErasureCertificate


@click.command(
    epilog="""\b
    Examples:
      kifabrik dataset erase press-line-7 --out certificate.json
      kifabrik dataset erase press-line-7 --derived --wait --out certificate.json
    """
)
@click.argument("name")
@click.option("--derived", is_flag=True, help="Also destroy the keys of results made from it.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the signed certificate here.")
@click.option("--wait", "to_the_end", is_flag=True, help="Wait until every run that had its keys has ended.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@steward_options
@json_option
def erase(
    name: str,
    derived: bool,
    out: Path | None,
    to_the_end: bool,
    yes: bool,
    keys: StewardKeys,
    as_json: bool,
) -> None:
    """Destroy the key of dataset NAME for good: at the keyholder at once, then the objects at the factory.

    The keyholder looks at the ledger and signs a certificate that names every earlier release of the key and every
    result made from the data. A key that was released before cannot be called back; it is named instead. Runs that
    have it go on: what they make is named in a further certificate once they have ended. --wait waits for that;
    without it the command waits only for results that are being sealed.
    """
    with open_session(keys.home) as session:
        dataset = session.catalogue().dataset(name).dataset
        if not (yes or as_json):
            called = name if name == dataset else f"{name} ({dataset})"
            click.confirm(f"Destroy the key of {called} for good?", abort=True, err=True)
        with keys.open() as steward:
            steward.erase(dataset, derived=derived)
            steward.certify()
        with waiting("Waiting for the certificate …") as say:
            found = await_certificate(session, dataset, to_the_end=to_the_end, say=say)
        names = {one.owner: f"model {one.name}@{one.version}" for one in session.catalogue().models()}
    if out is not None and found.said is not None:
        out.write_text(found.text + "\n", encoding="utf-8")
    if as_json:
        complete = found.said is not None and found.said.complete
        waits_for = [*found.sealing, *found.going_on]
        show_json({"dataset": dataset, "certificate": found.text, "complete": complete, "waits_for": waits_for})
    elif found.said is None:
        warn("The key is destroyed here. It is certified once the factory can be reached: run the keyholder.")
    else:
        _show(name, found, found.said, names)
        if out is not None:
            remark(f"  The signed certificate is in {out.name}")


def _show(name: str, found: Awaited, said: ErasureCertificate, names: dict[str, str]) -> None:
    done(f"The key of {name} was destroyed at {said.destroyed}; the keyholder certifies it")
    show_table(["NAMED", "WHAT", ""], named_rows(said, names))
    for doubt in doubts(said):
        warn(doubt)
    if found.sealing or found.going_on:
        remark("  A further certificate names what they make. Fetch it when they have ended:")
        remark(f"    kifabrik dataset certificate --of {said.dataset} --save certificate.json")
