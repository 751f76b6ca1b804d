"""Amounts as people write them: German with a decimal comma, English with a point; times in UTC."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from kifabrik.portal.language import Language
from kifabrik.values import MICRO_PER_EUR, Resources, format_size, parse_time

_KWH_MJ: Final = 3_600_000_000
_SPACE: Final = "\u00a0"
_NONE: Final = "\N{EN DASH}"
_WHOLE: Final = 1000
_CENT: Final = MICRO_PER_EUR // 100
_MINUTE_S: Final = 60
_HOUR_S: Final = 3600
_DAY_S: Final = 86_400
_SHORT_S: Final = 9.95
"""Below ten seconds, rounded, the tenth matters."""
_MONTHS: Final[dict[Language, tuple[str, ...]]] = {
    "de": (
        *("Januar", "Februar", "März", "April", "Mai", "Juni"),
        *("Juli", "August", "September", "Oktober", "November", "Dezember"),
    ),
    "en": (
        *("January", "February", "March", "April", "May", "June"),
        *("July", "August", "September", "October", "November", "December"),
    ),
}


@dataclass(frozen=True)
class Figures:
    """Writes amounts in one language."""

    language: Language
    dash = _NONE

    def number(self, value: float | Decimal, places: int = 0) -> str:
        """A number with grouped thousands."""
        text = f"{value:,.{places}f}"
        return text.translate(str.maketrans(",.", ".,")) if self.language == "de" else text

    def significant(self, value: float) -> str:
        """A number with three significant digits, or all digits of a large one; no zeros at its end."""
        if abs(value) >= _WHOLE:
            return self.number(value)
        rounded = Decimal(f"{value:.3g}").normalize()
        return self.number(rounded, max(-int(rounded.as_tuple().exponent), 0))

    def money(self, micro_eur: int) -> str:
        """An amount in euros, exact, with cents at least."""
        text = f"{Decimal(micro_eur) / MICRO_PER_EUR:.6f}".rstrip("0")
        places = max(len(text.partition(".")[2]), 2)
        return f"{self.number(Decimal(micro_eur) / MICRO_PER_EUR, places)}{_SPACE}€"

    def cents(self, micro_eur: int) -> str:
        """An amount in euros, to the cent; `< 0.01 €` for what is less than one and not nothing."""
        if 0 < micro_eur < _CENT:
            return f"<{_SPACE}{self.money(_CENT)}"
        return f"{self.number(Decimal(micro_eur) / MICRO_PER_EUR, 2)}{_SPACE}€"

    def energy(self, millijoules: int) -> str:
        """Energy in the unit that suits it."""
        for unit, size in (("MWh", _KWH_MJ * 1000), ("kWh", _KWH_MJ), ("Wh", _KWH_MJ // 1000), ("kJ", 10**6)):
            if millijoules >= size:
                return f"{self.significant(millijoules / size)}{_SPACE}{unit}"
        return f"{self.significant(millijoules / 1000)}{_SPACE}J"

    def mass(self, milligram: int | None) -> str:
        """A mass, such as that of CO2 equivalents."""
        if milligram is None:
            return _NONE
        for unit, size in (("t", 10**9), ("kg", 10**6), ("g", 10**3)):
            if milligram >= size:
                return f"{self.significant(milligram / size)}{_SPACE}{unit}"
        return f"{milligram or '< 1'}{_SPACE}mg".replace(" ", _SPACE)

    def volume(self, millilitre: int) -> str:
        """A volume of water."""
        for unit, size in (("m³", 10**6), ("l", 10**3)):
            if millilitre >= size:
                return f"{self.significant(millilitre / size)}{_SPACE}{unit}"
        return f"{millilitre or '< 1'}{_SPACE}ml".replace(" ", _SPACE)

    def size(self, count: float) -> str:
        """Bytes."""
        text = format_size(count)
        return (text.replace(".", ",") if self.language == "de" else text).replace(" ", _SPACE)

    def power(self, watts: float) -> str:
        """Power."""
        for unit, size in (("MW", 1e6), ("kW", 1e3)):
            if abs(watts) >= size:
                return f"{self.significant(watts / size)}{_SPACE}{unit}"
        return f"{self.significant(watts)}{_SPACE}W"

    def duration(self, seconds: float) -> str:
        """A length of time in its two largest units."""
        if seconds <= 0:
            return f"<{_SPACE}1{_SPACE}s"
        if seconds < _SHORT_S:
            return f"{self.number(seconds, 1)}{_SPACE}s"
        whole = round(seconds)
        for size, unit, smaller, name in (
            (_DAY_S, "d", _HOUR_S, "h"),
            (_HOUR_S, "h", _MINUTE_S, "min"),
            (_MINUTE_S, "min", 1, "s"),
        ):
            if whole >= size:
                rest = whole % size // smaller
                return (
                    f"{whole // size}{_SPACE}{unit} {rest}{_SPACE}{name}"
                    if rest
                    else f"{whole // size}{_SPACE}{unit}"
                )
        return f"{whole}{_SPACE}s"

    def time(self, time: str, *, seconds: bool = False) -> str:
        """A moment as the store holds it, such as `29.11.2026 08:00`; a dash for none."""
        if not time:
            return _NONE
        clock = time[11:19] if seconds else time[11:16]
        return f"{self.day(time)} {clock}"

    def day(self, time: str) -> str:
        """The day of a moment."""
        year, month, day = time[:4], time[5:7], time[8:10]
        return f"{day}.{month}.{year}" if self.language == "de" else f"{year}-{month}-{day}"

    def month(self, month: str) -> str:
        """A month such as `2026-11` in words."""
        return f"{_MONTHS[self.language][int(month[5:7]) - 1]} {month[:4]}"

    def since(self, time: str, now: datetime) -> str:
        """How long ago a moment was."""
        return self.duration((now - parse_time(time)).total_seconds()) if time else _NONE

    def resources(self, asked: Resources, say: Callable[..., str]) -> str:
        """What a run asks for, in the words `say` gives."""
        gpus = [say("gpus_of", count=asked.gpu_count, model=asked.gpu_model)] if asked.gpu_count else []
        cores = say("core_of") if asked.cpus == 1 else say("cores_of", count=asked.cpus)
        nodes = f" {say('nodes_of', count=asked.nodes)}" if asked.nodes > 1 else ""
        return f"{', '.join([*gpus, cores, self.size(asked.memory_bytes)])}{nodes}"

    def percent(self, share: float) -> str:
        """A share as whole percent."""
        return f"{self.number(100 * share)}{_SPACE}%"
