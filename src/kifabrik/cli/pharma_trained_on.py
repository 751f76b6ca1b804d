"""`kifabrik pharma trained-on`."""

from pathlib import Path

import click

from kifabrik.cli.options import json_option
from kifabrik.cli.terminal import remark, show_json, show_table


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

    found = trace(compound, models)
    if as_json:
        show_json(
            [
                {
                    "model": str(one.model),
                    "endpoint": one.endpoint,
                    "id": one.id,
                    "inchikey": one.inchikey,
                    "same": one.same,
                }
                for one in found
            ]
        )
        return
    if not found:
        remark(f"None of {len(models)} models was trained on it, nor on a stereoisomer or salt of it.")
        return
    show_table(
        ["MODEL", "ENDPOINT", "COMPOUND", "INCHIKEY", "MATCH"],
        [(one.model, one.endpoint, one.id, one.inchikey, "same" if one.same else "stereoisomer") for one in found],
    )
