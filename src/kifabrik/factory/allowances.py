"""What the operator allows a tenant, and what it has used of it, as frozen values; money is in micro-euro."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What the operator allows a tenant; 0 means no limit.

    Args:
        most_runs: Runs that have not ended.
        most_cpus: Cores held at once.
        most_gpus: GPUs held at once.
        month_micro_eur: Cost of a calendar month (UTC).
        weight: Its share beside other tenants where both wait.
    """

    most_runs: int = 10_000
    most_cpus: int = 0
    most_gpus: int = 0
    month_micro_eur: int = 0
    weight: float = 1.0


@dataclass(frozen=True)
class Usage:
    """What a tenant used: decayed for fairness as of `at`, and summed for the month `month` (`2026-11`)."""

    tenant: str
    recent_micro_eur: float = 0.0
    at: str = ""
    month: str = ""
    month_micro_eur: int = 0
