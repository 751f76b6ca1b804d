"""`kifabrik admin objects copy`."""

from dataclasses import asdict
from pathlib import Path

import click

from kifabrik.cli.options import home_option, json_option
from kifabrik.cli.terminal import counted, done, remark, show_json, transfer, warn
from kifabrik.values import format_size
from kifabrik.wiring.moving import move_objects


@click.command(
    epilog="""\b
    Examples:
      kifabrik admin objects copy                beside the running service, as often as you like
      kifabrik admin objects copy --finish       once more with the service stopped; then start it
      kifabrik admin objects copy --from /mnt/backup/factory/objects      after a restore
    """
)
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the objects; default HOME/factory/objects.",
)
@click.option("--finish", is_flag=True, help="Check that nothing is missing, and set the folder aside.")
@home_option
@json_option
def copy(source: Path | None, finish: bool, home: Path, *, as_json: bool) -> None:
    """Copy the objects of a folder into the bucket that [objects] in factory.toml names.

    A running service goes on with the folder until it is started anew: so write [objects] first, copy beside it,
    stop it, copy the rest with --finish, start it. What is in the bucket is not sent again. Each object is hashed
    before it is sent, and the bucket takes no other bytes than those of that digest.
    """
    folder = home / "factory"
    if as_json:
        found = move_objects(folder, source, finish=finish)
        show_json({**asdict(found), "missing": list(found.missing)})
        return
    with transfer("copying", None) as told:
        found = move_objects(folder, source, finish=finish, told=told)
    done(f"{counted(found.objects, 'object')}, {format_size(found.size)}, in the bucket")
    remark(f"  {found.copied} sent now")
    if found.missing:
        warn(f"{counted(len(found.missing), 'object')} in neither place, such as {found.missing[0]}")
    if found.aside:
        remark(f"  The folder is {found.aside} now: delete it soon, an erasure does not reach it.")
