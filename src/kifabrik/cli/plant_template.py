"""`kifabrik plant template`."""

from pathlib import Path

import click

from kifabrik.cli.options import json_option
from kifabrik.cli.terminal import done, show_json
from kifabrik.errors import ConflictError


@click.command(
    epilog="""\b
    Examples:
      kifabrik plant template munich
      kifabrik plant template munich --out site.yaml
    """
)
@click.argument("name", default="munich")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Where to. [the terminal]")
@json_option
def template(name: str, out: Path | None, *, as_json: bool) -> None:
    """Write a shipped site file, with a remark beside every number."""
    from kifabrik.durable import write_whole  # noqa: PLC0415
    from kifabrik.plant.site_file import find_site  # noqa: PLC0415 - slow to import

    text = find_site(name).read_text(encoding="utf-8")
    if out is None and as_json:
        show_json({"site": name, "text": text})
        return
    if out is None:
        click.echo(text, nl=False)
        return
    if out.exists():
        raise ConflictError(f"{out} is there already.", hint="Choose another name, or remove it.")
    write_whole(out, text.encode(), mode=0o644)
    if as_json:
        show_json({"site": name, "file": str(out)})
        return
    done(f"Wrote {out}; check it with `kifabrik plant validate {out}`.")
