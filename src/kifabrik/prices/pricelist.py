"""The price list: reading it, and what an hour of given resources costs by it."""

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, Self

from kifabrik.errors import UsageError
from kifabrik.values import Money

_GPU_TABLE: Final = "gpu_hour_eur"
_REQUIRED: Final = ("cpu_core_hour_eur", "memory_gb_hour_eur", "storage_gb_month_eur")
_OPTIONAL: Final = "energy_kwh_eur"
_KEYS: Final = (*_REQUIRED, _OPTIONAL, _GPU_TABLE)
_MOST_EUR: Final = 1_000_000
_GB: Final = 10**9
_MS_PER_S: Final = 1000
_MONTH_S: Final = 30 * 86_400
_HOUR_S: Final = 3600
_MJ_PER_KWH: Final = 3_600_000_000


@dataclass(frozen=True)
class PriceList:
    """Prices without tax.

    Args:
        cpu_core_hour: One CPU thread for one hour.
        memory_gb_hour: One GB (10^9 bytes) of memory for one hour.
        storage_gb_month: One GB of stored data for 30 days.
        gpu_hour: One GPU for one hour, by model in upper case, sorted.
        energy_kwh: One kWh of metered energy; `None` if it is included in the rest.
        name: What plans, invoices and errors call the list.
    """

    cpu_core_hour: Money
    memory_gb_hour: Money
    storage_gb_month: Money
    gpu_hour: tuple[tuple[str, Money], ...] = ()
    energy_kwh: Money | None = None
    name: str = "prices"

    @classmethod
    def load(cls, path: Path | None = None) -> Self:
        """Read a price list, or the examples that come with kifabrik.

        Raises:
            UsageError: The file cannot be read or is not a price list; the message names file and key.
        """
        name = "example prices" if path is None else str(path)
        try:
            text = (files(__package__) / "default.toml" if path is None else path).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise UsageError(f"{name} cannot be read: {reason}") from None
        try:
            return cls.from_mapping(tomllib.loads(text, parse_float=Decimal), name)
        except tomllib.TOMLDecodeError as error:
            raise UsageError(f"{name} is not TOML: {error}") from None

    @classmethod
    def from_mapping(cls, said: Mapping[str, Any], name: str) -> Self:
        """Check what a price list says.

        Args:
            said: The content of the file, numbers with a point as `Decimal`.
            name: What to call the file in errors.

        Raises:
            UsageError: A key is unknown or missing, or a value is not a price.
        """
        for key in said:
            if key not in _KEYS:
                raise UsageError(f"{name}: unknown key {key!r}", hint=_suggest(key, _KEYS))
        for key in _REQUIRED:
            if key not in said:
                raise UsageError(f"{name}: {key} is missing", hint=f"Add a line such as {key} = 0.05")
        table = said.get(_GPU_TABLE, {})
        if not isinstance(table, Mapping):
            raise UsageError(
                f"{name}: {_GPU_TABLE} is not a table", hint=f"Write [{_GPU_TABLE}] and lines below it."
            )
        models = [model.upper() for model in table]
        twice = next((model for model in models if models.count(model) > 1), None)
        if twice is not None:
            raise UsageError(f"{name}: {_GPU_TABLE} names {twice} twice", hint="Models differ by more than case.")
        cpu, memory, storage = (_price(said[key], name, key) for key in _REQUIRED)
        gpus = ((model.upper(), _price(price, name, f"{_GPU_TABLE}.{model}")) for model, price in table.items())
        energy = _price(said[_OPTIONAL], name, _OPTIONAL) if _OPTIONAL in said else None
        return cls(cpu, memory, storage, tuple(sorted(gpus)), energy, name)

    def rate(
        self,
        *,
        gpu_model: str = "",
        gpu_count: int = 0,
        cpus: int,
        memory_bytes: int,
        nodes: int = 1,
    ) -> Money:
        """Return what one hour costs; the resources are those of each node.

        GPUs of any model (`gpu_model` empty) count like the dearest in the list, so that a cap holds
        whichever they turn out to be.

        Raises:
            UsageError: The GPU model has no price; the hint names those that have.
        """
        if min(gpu_count, cpus, memory_bytes, nodes) < 0:
            raise UsageError("resources cannot be negative")
        gpus = self._gpu_price(gpu_model) * gpu_count if gpu_count else Money()
        memory = Money(_up(self.memory_gb_hour.micro_eur * memory_bytes, _GB))
        return (gpus + self.cpu_core_hour * cpus + memory) * nodes

    def storage(self, size_bytes: int, seconds: int) -> Money:
        """Return what keeping data costs."""
        return Money(_up(self.storage_gb_month.micro_eur * size_bytes * seconds, _GB * _MONTH_S))

    def energy(self, millijoules: int) -> Money:
        """Return what metered energy costs beside the hours: nothing, if the list has no price for it."""
        return (
            Money() if self.energy_kwh is None else Money(_up(self.energy_kwh.micro_eur * millijoules, _MJ_PER_KWH))
        )

    def _gpu_price(self, model: str) -> Money:
        prices = dict(self.gpu_hour)
        if not model and prices:
            return max(prices.values())
        if model.upper() not in prices:
            raise UsageError(
                f"no GPU {model} is offered here" if model else "no GPUs are offered here",
                hint=_suggest(model.upper(), prices),
            )
        return prices[model.upper()]


def cost(rate: Money, seconds: float) -> Money:
    """Return what some time costs at an hourly rate, rounded up to the micro-euro.

    Raises:
        UsageError: The time is negative.
    """
    milliseconds = round(seconds * _MS_PER_S)
    if milliseconds < 0:
        raise UsageError(f"a time cannot be negative: {seconds}")
    return Money(_up(rate.micro_eur * milliseconds, _HOUR_S * _MS_PER_S))


def seconds_within(rate: Money, budget: Money) -> int | None:
    """Return how many whole seconds a budget buys at an hourly rate; `None` if it costs nothing."""
    return None if rate.micro_eur <= 0 else max(0, budget.micro_eur) * _HOUR_S // rate.micro_eur


def _up(amount: int, divisor: int) -> int:
    return -(-amount // divisor)


def _price(value: object, name: str, key: str) -> Money:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise UsageError(f"{name}: {key} is not a price: {value!r}", hint=f"Write a number in euro: {key} = 0.05")
    if not Decimal(value).is_finite() or not 0 <= value <= _MOST_EUR:
        raise UsageError(f"{name}: {key} is not between 0 and {_MOST_EUR} euro: {value}")
    return Money.from_eur(Decimal(value))


def _suggest(word: str, known: Iterable[str]) -> str:
    names = list(known)
    close = difflib.get_close_matches(word, names, n=1)
    return f"Did you mean {close[0]}?" if close else f"Known are: {', '.join(names) or 'none'}."
