"""Python imports this at its start where the folder is in `PYTHONPATH`; see `spans`."""

import os

import spans

if "KIFABRIK_SPANS" in os.environ:
    spans.watch(os.environ["KIFABRIK_SPANS"])
