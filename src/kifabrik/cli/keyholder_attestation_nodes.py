"""`kifabrik keyholder attestation challenge`, `add-node`, `remove-node`."""

from dataclasses import asdict
from pathlib import Path

import click

from kifabrik.attestation.enrolment import NewNode, read_authorities, read_endorsement
from kifabrik.cli.options import home_option, json_option
from kifabrik.cli.terminal import done, remark, show_json
from kifabrik.cli.text_files import text_of
from kifabrik.cli.unlock import StewardKeys, key_file_option, passphrase_option, steward_options, unlocked
from kifabrik.keyholder.endorsing import challenge_node, with_node, without_node

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command(
    "challenge",
    epilog="""\b
    Example:
      kifabrik keyholder attestation challenge n17.endorsement --out n17.challenge
    """,
)
@click.argument("endorsement", type=_FILE)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="File to write.")
@passphrase_option
@key_file_option
@home_option
@json_option
def challenge_command(
    endorsement: Path, out: Path, passphrase_file: Path | None, key_file: Path | None, home: Path, as_json: bool
) -> None:
    """Make a challenge that only the TPM of the node's ENDORSEMENT file can answer."""
    node = _endorsement(endorsement)
    with unlocked(home, passphrase_file, key_file) as keyholder:
        out.write_text(challenge_node(keyholder.state, node), encoding="utf-8")
    if as_json:
        show_json({"node": node.said.name, "key": node.key.name.hex(), "endorsement": node.endorsement_digest})
        return
    done(f"{out} is for the operator of {node.said.name}: kifabrik node attest answer {out.name}")
    remark(f"  endorsement key {node.endorsement_digest}")


@click.command(
    epilog="""\b
    Examples:
      kifabrik keyholder attestation add-node n17.endorsement --answer n17.answer --ek-roots manufacturer.pem
      kifabrik keyholder attestation add-node n17.endorsement --answer n17.answer --ek 3f0c…
    """
)
@click.argument("endorsement", type=_FILE)
@click.option("--answer", type=_FILE, required=True, help="What the node's TPM has answered.")
@click.option("--ek-roots", type=_FILE, help="Certificates of TPM manufacturers you trust (PEM).")
@click.option("--ek", default="", help="Digest of the endorsement key as you have learnt it by other means.")
@steward_options
@json_option
def add_node(
    endorsement: Path,
    answer: Path,
    ek_roots: Path | None,
    ek: str,
    keys: StewardKeys,
    as_json: bool,
) -> None:
    """List the node of an ENDORSEMENT file: its TPM has answered, and its endorsement key is known."""
    node = _endorsement(endorsement)
    authorities = read_authorities(ek_roots.read_bytes()) if ek_roots else []
    with keys.open() as steward:
        listed = steward.check_answer(node, text_of(answer), authorities=authorities, compared=ek)
        policy = steward.set_attestation(lambda before: with_node(before, listed))
    if as_json:
        show_json({"policy": policy.sequence, "node": asdict(listed)})
        return
    done(f"{listed.name} is listed as an endorsed node")
    if not policy.images:
        remark(f"  No boot is accepted yet: kifabrik keyholder attestation set-pcrs {endorsement} --name …")


@click.command(
    epilog="""\b
    Example:
      kifabrik keyholder attestation remove-node n17
    """
)
@click.argument("name")
@steward_options
@json_option
def remove_node(name: str, keys: StewardKeys, as_json: bool) -> None:
    """Take node NAME off the list. In force at once."""
    with keys.open() as steward:
        policy = steward.set_attestation(lambda before: without_node(before, name))
    if as_json:
        show_json({"policy": policy.sequence, "removed": name})
        return
    done(f"{name} does not count as attested any more")


def _endorsement(file: Path) -> NewNode:
    return read_endorsement(text_of(file))
