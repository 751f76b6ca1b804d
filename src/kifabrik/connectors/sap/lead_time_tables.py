"""Fitted lead times go into the table `sourcing`, and an account of them beside it."""

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from kifabrik.connectors.sap.lead_times import LeadTimes
from kifabrik.errors import UsageError

LEAD_TIMES: Final = "lead_times.csv"
_LANE: Final = ("supplier", "product", "site")
_FITTED: Final = ("lead_time", "lead_time_unit", "lead_time_cv", "lead_time_sd", "lead_time_kind")
_ACCOUNT: Final = (*_LANE, "fitted_to", "observed", "open", "mean_days", "cv", "planned")
PLANNED: Final = "planned"
"""Instead of a level, for a lane without enough lines: it keeps what the master data says."""


def with_lead_times(sourcing: str, times: LeadTimes) -> tuple[str, str, Mapping[str, int]]:
    """Return the table with fitted lead times, the account of them, and lanes by what they are fitted to.

    Args:
        sourcing: The table as CSV.
        times: Fitted.

    Raises:
        UsageError: It lacks a column that says whose lead time it is.
    """
    reader = csv.DictReader(io.StringIO(sourcing))
    headings = list(reader.fieldnames or ())
    missing = [name for name in _LANE if name not in headings]
    if missing:
        raise UsageError(
            f"lead times are fitted by supplier, product and site, and the table sourcing has no {missing[0]}",
            hint="Add it under network, tables, sourcing, columns.",
        )
    rows, account = [], []
    counts: Counter[str] = Counter()
    for row in reader:
        supplier, product, site = (row[name] for name in _LANE)
        planned = row.get("lead_time") or ""
        found = times.of(supplier, product, site)
        level = PLANNED if found is None else str(found.level)
        counts[level] += 1
        if found is None:
            account.append([supplier, product, site, level, "", "", "", "", planned])
        else:
            mean, cv = f"{found.mean:.4f}", f"{found.cv:.4f}"
            row.update(dict.fromkeys(_FITTED, ""), lead_time=mean, lead_time_unit="days", lead_time_cv=cv)
            account.append(
                [supplier, product, site, level, str(found.observed), str(found.open), mean, cv, planned]
            )
        rows.append([row.get(name) or "" for name in dict.fromkeys((*headings, *_FITTED))])
    return _csv([list(dict.fromkeys((*headings, *_FITTED))), *rows]), _csv([list(_ACCOUNT), *account]), counts


def _csv(rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
