"""`kifabrik node attest`: init, answer."""

import base64
from pathlib import Path

import click

from kifabrik.attestation.enrolment import Endorsement, read_challenge, write_answer
from kifabrik.attestation.tpm_structures import Public
from kifabrik.cli.options import json_option
from kifabrik.cli.terminal import done, remark, show_json
from kifabrik.cli.text_files import text_of
from kifabrik.errors import RefusedError, UsageError
from kifabrik.launcher.node_tpm import FILE, read_key, write_key
from kifabrik.launcher.tpm import BANK, Tpm
from kifabrik.signatures.statements import sign_statement
from kifabrik.values import format_time, now_utc, sha256_hex
from kifabrik.wiring.node import read_key as read_node_key
from kifabrik.wiring.node import read_node

_home_option = click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    required=True,
    help="Folder of the node.",
)
_out_option = click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="File to write."
)


@click.group()
def attest() -> None:
    """Make an attestation key in the node's TPM, and show it to tenants that ask for attested nodes."""


@attest.command(
    epilog="""\b
    Example:
      kifabrik node attest init --home /var/lib/kifabrik/node --out n17.endorsement
    """
)
@_home_option
@_out_option
@click.option("--again", is_flag=True, help="Make a new key although there is one; tenants must list it anew.")
@json_option
def init(home: Path, out: Path, again: bool, as_json: bool) -> None:
    """Make the attestation key, if there is none yet, and write what tenants' stewards need into a file.

    Nothing in the file is secret. The key never leaves the TPM.
    """
    config, tpm = read_node(home), _tpm(home)
    if again and (home / FILE).exists():
        tpm.forget(read_key(home).handle)
        (home / FILE).unlink()
    if not (home / FILE).exists():
        write_key(home, tpm.make_key())
    key = read_key(home)
    node_key = read_node_key(home)
    said = Endorsement(
        node_key=node_key.public.hex,
        name=config.name,
        key=base64.b64encode(key.public).decode(),
        endorsement=base64.b64encode(key.endorsement).decode(),
        certificate=base64.b64encode(tpm.endorsement_certificate()).decode(),
        bank=BANK,
        pcrs=tpm.registers(),
        created=format_time(now_utc()),
    )
    out.write_text(sign_statement(said, {}, node_key).to_json(), encoding="utf-8")
    name, digest = Public.parse(key.public).name.hex(), sha256_hex(key.endorsement)
    if as_json:
        show_json({"node": config.name, "key": name, "endorsement": digest, "certificate": bool(said.certificate)})
        return
    done(f"The TPM of {config.name} has an attestation key; {out} is for the tenants' stewards")
    remark(f"  attestation key  {name}")
    remark(f"  endorsement key  {digest}")
    if not said.certificate:
        remark(
            "  Its manufacturer left no certificate in it: stewards must compare the endorsement key themselves."
        )


@attest.command(
    epilog="""\b
    Example:
      kifabrik node attest answer n17.challenge --home /var/lib/kifabrik/node --out n17.answer
    """
)
@click.argument("challenge", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@_home_option
@_out_option
@json_option
def answer(challenge: Path, home: Path, out: Path, as_json: bool) -> None:
    """Let the TPM answer a steward's CHALLENGE: it shows that both keys are its own."""
    name, credential = read_challenge(text_of(challenge))
    key = read_key(home)
    if Public.parse(key.public).name.hex() != name:
        raise RefusedError(
            "the challenge is for another attestation key than this node's",
            hint="Was it made from an older endorsement file? Send the steward a new one.",
        )
    out.write_text(write_answer(name, _tpm(home).answer(key, credential)), encoding="utf-8")
    if as_json:
        show_json({"key": name, "answer": str(out)})
        return
    done(f"The TPM has answered; {out} is for the steward who asked")


def _tpm(home: Path) -> Tpm:
    connection = read_node(home).tpm
    if not connection:
        raise UsageError(
            f"{home / 'node.toml'} names no TPM", hint='Add this line at its beginning: tpm = "device:/dev/tpmrm0"'
        )
    return Tpm(connection)
