"""`kifabrik keyholder attestation set-pcrs`, `remove-pcrs`, `set-guests`."""

from pathlib import Path

import click

from kifabrik.attestation.states import read_guests, read_image
from kifabrik.cli.options import json_option
from kifabrik.cli.terminal import done, remark, show_json
from kifabrik.cli.text_files import text_of
from kifabrik.cli.unlock import StewardKeys, steward_options
from kifabrik.keyholder.endorsing import with_image, without_image

FIRMWARE_AND_BOOT = "0,1,2,3,4,7"
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command(
    epilog="""\b
    Examples:
      kifabrik keyholder attestation set-pcrs n17.endorsement --name debian-12.9
      kifabrik keyholder attestation set-pcrs golden.json --name debian-12.9 --pcr 0,2,4,7,11
    """
)
@click.argument("file", type=_FILE)
@click.option("--name", required=True, help="For people; a boot of this name is replaced.")
@click.option(
    "--pcr", default=FIRMWARE_AND_BOOT, show_default=True, help="Numbers of the registers that must match."
)
@steward_options
@json_option
def set_pcrs(
    file: Path,
    name: str,
    pcr: str,
    keys: StewardKeys,
    as_json: bool,
) -> None:
    """Accept the boot whose registers FILE holds.

    FILE is a node's endorsement, or JSON such as {"sha256": {"0": "…", "7": "…"}}.
    """
    image = read_image(text_of(file), name, pcr)
    with keys.open() as steward:
        policy = steward.set_attestation(lambda before: with_image(before, image))
    if as_json:
        show_json({"policy": policy.sequence, "boot": name, "registers": sorted(image.pcrs, key=int)})
        return
    done(f"Boot {name} is accepted: registers {', '.join(sorted(image.pcrs, key=int))} of bank {image.bank}")


@click.command(
    epilog="""\b
    Example:
      kifabrik keyholder attestation remove-pcrs debian-12.8
    """
)
@click.argument("name")
@steward_options
@json_option
def remove_pcrs(name: str, keys: StewardKeys, as_json: bool) -> None:
    """Accept boot NAME no longer. In force at once."""
    with keys.open() as steward:
        policy = steward.set_attestation(lambda before: without_image(before, name))
    if as_json:
        show_json({"policy": policy.sequence, "removed": name})
        return
    done(f"Boot {name} is not accepted any more")


@click.command(
    epilog="""\b
    Example:
      kifabrik keyholder attestation set-guests guests.json
    """
)
@click.argument("file", type=_FILE)
@steward_options
@json_option
def set_guests(file: Path, keys: StewardKeys, as_json: bool) -> None:
    """Accept exactly the SEV-SNP guests, chips and roots in FILE; docs/formats/attestation.md shows its form."""
    change = read_guests(text_of(file))
    with keys.open() as steward:
        policy = steward.set_attestation(change)
    if as_json:
        show_json({"policy": policy.sequence, "guests": [guest.name for guest in policy.guests]})
        return
    done(f"{len(policy.guests)} guests are accepted; every node must show {', '.join(policy.require)}")
    remark("  Launchers do not make SEV-SNP reports yet: see docs/attestation.md")
