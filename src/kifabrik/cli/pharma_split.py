"""`kifabrik pharma split`."""

from pathlib import Path

import click

from kifabrik.cli.options import json_option
from kifabrik.cli.terminal import remark, show_json, show_table


@click.command(
    epilog="""\b
    Examples:
      kifabrik pharma split prepared --out split
      kifabrik pharma split prepared --by cluster --test 0.25 --seed 7 --out split
    """
)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder for the result."
)
@click.option(
    "--by",
    type=click.Choice(["time", "scaffold", "cluster", "random"]),
    help="How. [time where all compounds have dates, else scaffold]",
)
@click.option(
    "--test",
    "share",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.2,
    show_default=True,
    help="Share of test data.",
)
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Of luck.")
@json_option
def split(folder: Path, out: Path, by: str | None, share: float, seed: int, *, as_json: bool) -> None:
    """Split the compounds that `prepare` wrote into FOLDER into training and test data.

    No compound, nor a stereoisomer or salt of it, is on both sides.
    """
    import numpy as np  # noqa: PLC0415 - slow to import

    from kifabrik.recipes.pharma.prepared import load_prepared  # noqa: PLC0415
    from kifabrik.recipes.pharma.sides import save_split  # noqa: PLC0415
    from kifabrik.recipes.pharma.splitting import Method  # noqa: PLC0415
    from kifabrik.recipes.pharma.splitting import split as make  # noqa: PLC0415

    compounds, facts = load_prepared(folder)
    made = make(compounds, Method(by) if by else None, share=share, seed=seed)
    save_split(compounds, facts, made, out, share=share, seed=seed)
    edges = (0.0, 0.3, 0.4, 0.5, 0.6, 0.7, 1.0)
    counts = np.histogram(made.similarity, edges)[0].tolist()
    if as_json:
        show_json(
            {
                "method": made.method.value,
                "cut": made.cut,
                "train": len(made.train),
                "test": len(made.test),
                "left_out": len(made.left_out),
                "similarity": {"edges": list(edges), "counts": counts, "median": float(np.median(made.similarity))},
                "folder": str(out),
            }
        )
        return
    rows = [
        (f"{low:.1f} to {high:.1f}", count, f"{count / len(made.test):.0%}")
        for low, high, count in zip(edges, edges[1:], counts, strict=False)
    ]
    show_table(["SIMILARITY TO NEAREST", "TEST", "SHARE"], rows, right=(1, 2))
    since = f" (from {made.cut})" if made.cut else ""
    remark(f"By {made.method.value}{since}: {len(made.train):,} to train, {len(made.test):,} to test: {out}")
    if len(made.left_out):
        remark(f"{len(made.left_out):,} later measured twins of training compounds are left out.")
