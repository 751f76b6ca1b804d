"""Reasons as people read them: their own names beside the ids, which are all the factory and the keyholder know."""

import re
from collections.abc import Mapping
from typing import Final

from kifabrik.customer.catalogue import Catalogue
from kifabrik.values import sweep_of, task_number

_RUN: Final = re.compile(r"r-[a-z2-7]{16,32}(?:-[1-9][0-9]{0,4})?")
_DATASET: Final = re.compile(r"d-[a-z2-7]{16}")
_NO_GRANT: Final = re.compile(r"There is no grant for purpose (\S+) on dataset (d-[a-z2-7]{16})\.")


def with_names(catalogue: Catalogue, reason: str) -> str:
    """Say the names of runs and datasets that a reason names by their ids.

    Args:
        catalogue: Knows the names.
        reason: A sentence of the factory's or the keyholder's.
    """

    def run(match: re.Match[str]) -> str:
        name = runs.get(sweep_of(match[0]) or match[0])
        task = f"/{task_number(match[0])}" if task_number(match[0]) else ""
        return f"{match[0]} ({name}{task})" if name else match[0]

    runs = {one.run: one.name for one in catalogue.runs()} if _RUN.search(reason) else {}
    datasets = _datasets(catalogue) if _DATASET.search(reason) else {}
    return _DATASET.sub(lambda match: datasets.get(match[0], match[0]), _RUN.sub(run, reason))


def grant_hint(catalogue: Catalogue, reason: str) -> str:
    """What a steward has to do where a reason says that a grant is missing; empty for all other reasons."""
    found = _NO_GRANT.search(reason)
    name = _datasets(catalogue).get(found[2]) if found else None
    return f"A steward gives it: kifabrik dataset grant {name} --purpose {found[1]}" if found and name else ""


def _datasets(catalogue: Catalogue) -> Mapping[str, str]:
    return {one.dataset: one.name for one in catalogue.datasets()}
