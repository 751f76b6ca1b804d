"""`kifabrik pharma trained-on`."""

from pathlib import Path

import click

from kifabrik.cli.options import json_option
from kifabrik.cli.terminal import remark, show_json, show_table, warn


@click.command(
    name="trained-on",
    epilog="""\b
    Examples:
      kifabrik pharma trained-on 'CC(=O)Oc1ccccc1C(=O)O' models/*
      kifabrik pharma trained-on BSYNRYMUTXBXSQ-UHFFFAOYSA-N model --json
    """,
)
@click.argument("compound")
@click.argument("models", nargs=-1, required=True, type=click.Path(path_type=Path, file_okay=False))
@json_option
def trained_on(compound: str, models: tuple[Path, ...], *, as_json: bool) -> None:
    """Say which MODELS were trained on COMPOUND: a SMILES, an InChIKey, or its name in the training data.

    Where a compound must be erased, these models must be trained again without it.
    """
    from kifabrik.recipes.pharma.tracing import trace  # noqa: PLC0415 - slow to import

    traced = trace(compound, models)
    found = traced.traces
    if as_json:
        show_json(
            {
                "read_as_structure": traced.is_read,
                "models": [
                    {
                        "model": str(one.model),
                        "endpoint": one.endpoint,
                        "id": one.id,
                        "inchikey": one.inchikey,
                        "same": one.same,
                    }
                    for one in found
                ],
            }
        )
        return
    if not traced.is_read:
        warn(f"{compound} is no structure that can be read, nor an InChIKey: looked for as a name only.")
    if not found:
        sought = "it, nor on a stereoisomer or salt of it" if traced.is_read else "a compound of this name"
        which = f"None of {len(models)} models was" if len(models) > 1 else "The model was not"
        remark(f"{which} trained on {sought}.")
        return
    show_table(
        ["MODEL", "ENDPOINT", "COMPOUND", "INCHIKEY", "MATCH"],
        [(one.model, one.endpoint, one.id, one.inchikey, "same" if one.same else "stereoisomer") for one in found],
    )
    count = len({one.model for one in found})
    remark(f"{count} of {len(models)} models must be trained again without it where it is to be erased.")
