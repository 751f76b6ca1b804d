"""`kifabrik pharma`: from measurements to a model one may trust, and a screened library."""

import click

from kifabrik.cli.main import LazyGroup


@click.group(
    cls=LazyGroup,
    lazy={
        "prepare": ("kifabrik.cli.pharma_prepare:prepare", "Clean up tables of measured compounds."),
        "split": ("kifabrik.cli.pharma_split:split", "Choose test data that does not leak."),
        "train": ("kifabrik.cli.pharma_train:train", "Train a model of one endpoint."),
        "evaluate": ("kifabrik.cli.pharma_evaluate:evaluate", "Judge a model on test data."),
        "predict": ("kifabrik.cli.pharma_predict:predict", "Predict compounds, with intervals."),
        "report": ("kifabrik.cli.pharma_report:report", "Write a model's report and model card."),
        "trained-on": ("kifabrik.cli.pharma_trained_on:trained_on", "Find the models a compound trained."),
        "index": ("kifabrik.cli.pharma_index:index", "Make an index of a library."),
        "search": ("kifabrik.cli.pharma_search:search", "Find similar molecules or substructures."),
        "screen": ("kifabrik.cli.pharma_screen:screen", "Find the best molecules of a library."),
    },
)
def pharma() -> None:
    """Models and screening for confidential compounds. Nothing leaves this machine.

    \b
    First steps:
      kifabrik pharma prepare measured.csv --out prepared
      kifabrik pharma split prepared --out split
      kifabrik pharma train split --out model
      kifabrik pharma evaluate model split
      kifabrik pharma report model
      kifabrik pharma predict model new.smi --out predictions.csv
      kifabrik pharma screen model library.smi.gz --out screened
    """  # noqa: D301 - \b is click's mark for a block kept as it is
