"""What tenants have used: decayed for fairness, summed for budgets. Pure functions."""

from dataclasses import replace
from datetime import datetime
from typing import Final

from kifabrik.factory.allowances import Usage
from kifabrik.values import format_time, parse_time

HALF_LIFE_S: Final = 24 * 3600.0
"""After a day, what a tenant used counts half."""


def month_of(moment: datetime) -> str:
    """The calendar month in UTC, such as `2026-11`."""
    return format_time(moment)[:7]


def recent(usage: Usage, now: datetime) -> float:
    """What a tenant used lately, decayed until now, in micro-euro."""
    if not usage.at:
        return 0.0
    age_s = max(0.0, (now - parse_time(usage.at)).total_seconds())
    return usage.recent_micro_eur * float(0.5 ** (age_s / HALF_LIFE_S))


def add(usage: Usage, held_micro_eur: int, charged_micro_eur: int, now: datetime) -> Usage:
    """Add an attempt that has ended.

    Args:
        usage: Before it.
        held_micro_eur: Price of the time it held its shares, for fairness.
        charged_micro_eur: What is charged for it.
        now: The present.
    """
    month = month_of(now)
    before = usage.month_micro_eur if usage.month == month else 0
    return replace(
        usage,
        recent_micro_eur=recent(usage, now) + held_micro_eur,
        at=format_time(now),
        month=month,
        month_micro_eur=before + charged_micro_eur,
    )
