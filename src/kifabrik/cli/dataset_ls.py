"""`kifabrik dataset ls`."""

from pathlib import Path

import click

from kifabrik.cli.options import home_option, json_option
from kifabrik.cli.terminal import remark, show_json, show_table
from kifabrik.customer.session import open_session
from kifabrik.values import format_size


@click.command(
    epilog="""\b
    Example:
      kifabrik dataset ls
    """
)
@home_option
@json_option
def ls(home: Path, as_json: bool) -> None:
    """List datasets and their versions. Names come from your ledger; the factory does not know them."""
    with open_session(home) as session:
        names = session.catalogue().datasets()
        views = {view.manifest: view for view in session.datasets.versions()}
    rows = [
        (one, number, manifest, views.get(manifest))
        for one in names
        for number, manifest in enumerate(one.manifests, 1)
    ]
    if as_json:
        show_json(
            [
                {
                    "name": one.name,
                    "version": number,
                    "dataset": one.dataset,
                    "manifest": manifest,
                    "erased": one.erased,
                    **(view.model_dump(mode="json", include={"shards", "size", "created"}) if view else {}),
                }
                for one, number, manifest, view in rows
            ]
        )
        return
    if not rows:
        remark("No datasets yet. Seal one with: kifabrik dataset seal NAME FOLDER")
        return
    show_table(
        ["NAME", "SHARDS", "SEALED", "CREATED", "DATASET"],
        [
            (
                f"{one.name}@{number}",
                "erased" if one.erased or view is None else view.shards,
                format_size(view.size) if view else "",
                view.created if view else "",
                one.dataset,
            )
            for one, number, _, view in rows
        ],
        right=(1, 2),
    )
