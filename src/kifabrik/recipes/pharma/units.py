"""Units of measurements, and turning one into another where that is possible."""

import math
import re
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Final

from kifabrik.errors import UsageError


class Form(Enum):
    """How a number is written."""

    PLAIN = "plain"
    LOG = "log10"
    MINUS_LOG = "-log10"


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit that is known.

    Attributes:
        name: As written in results.
        dimension: Units of one dimension can be turned into each other; mass and amount a litre too, by the
            molar mass.
        factor: So many of the dimension's basic unit (mol/L, g/L, s, 1, cm/s) are one of this.
        form: Whether the number is itself a logarithm.
    """

    name: str
    dimension: str
    factor: float = 1.0
    form: Form = Form.PLAIN

    @property
    def spans_decades(self) -> bool:
        """Whether numbers of this unit are usually compared as logarithms."""
        return self.form is Form.PLAIN and self.dimension in {_AMOUNT, _MASS}

    @property
    def falls(self) -> bool:
        """Whether its numbers get smaller where more is meant."""
        return self.form is Form.MINUS_LOG

    def to_basic(self, value: float) -> float:
        """A value in the dimension's basic unit."""
        match self.form:
            case Form.PLAIN:
                return value * self.factor
            case Form.LOG:
                return math.pow(10.0, value) * self.factor
            case Form.MINUS_LOG:
                return math.pow(10.0, -value) * self.factor

    def from_basic(self, value: float) -> float:
        """A value of the basic unit in this one; NaN where it has no logarithm."""
        if self.form is Form.PLAIN:
            return value / self.factor
        if value <= 0:
            return math.nan
        log = math.log10(value / self.factor)
        return log if self.form is Form.LOG else -log


_AMOUNT, _MASS, _TIME, _SHARE, _SPEED = "amount a litre", "mass a litre", "time", "share", "speed"
_KNOWN: Final = (
    Unit("M", _AMOUNT),
    Unit("mM", _AMOUNT, 1e-3),
    Unit("uM", _AMOUNT, 1e-6),
    Unit("nM", _AMOUNT, 1e-9),
    Unit("pM", _AMOUNT, 1e-12),
    Unit("-log10(M)", _AMOUNT, form=Form.MINUS_LOG),
    Unit("log10(M)", _AMOUNT, form=Form.LOG),
    Unit("log10(uM)", _AMOUNT, 1e-6, Form.LOG),
    Unit("log10(nM)", _AMOUNT, 1e-9, Form.LOG),
    Unit("g/L", _MASS),
    Unit("mg/L", _MASS, 1e-3),
    Unit("ug/L", _MASS, 1e-6),
    Unit("log10(ug/mL)", _MASS, 1e-3, Form.LOG),
    Unit("h", _TIME, 3600.0),
    Unit("min", _TIME, 60.0),
    Unit("s", _TIME),
    Unit("d", _TIME, 86400.0),
    Unit("%", _SHARE, 0.01),
    Unit("share", _SHARE),
    Unit("cm/s", _SPEED),
    Unit("1e-6 cm/s", _SPEED, 1e-6),
    Unit("nm/s", _SPEED, 1e-7),
)
_SPELLINGS: Final = {
    **{unit.name.lower(): unit.name for unit in _KNOWN if unit.name not in {"M", "mM"}},
    "mol/l": "M", "molar": "M", "mmol/l": "mM", "umol/l": "uM", "micromolar": "uM", "nmol/l": "nM",
    "nanomolar": "nM", "pmol/l": "pM", "pic50": "-log10(M)", "pec50": "-log10(M)", "pki": "-log10(M)",
    "pkd": "-log10(M)", "-log(m)": "-log10(M)", "-log m": "-log10(M)", "log(m)": "log10(M)",
    "log mol/l": "log10(M)", "log(mol/l)": "log10(M)", "log10(mol/l)": "log10(M)", "logs": "log10(M)",
    "mg/ml": "g/L", "ug/ml": "mg/L", "ng/ml": "ug/L", "log ug/ml": "log10(ug/mL)",
    "hr": "h", "hrs": "h", "hour": "h", "hours": "h", "std": "h", "minute": "min", "minutes": "min",
    "sec": "s", "second": "s", "seconds": "s", "day": "d", "days": "d", "tag": "d", "tage": "d",
    "percent": "%", "prozent": "%", "pct": "%", "fraction": "share", "anteil": "share",
    "10^-6 cm/s": "1e-6 cm/s", "10-6 cm/s": "1e-6 cm/s", "e-6 cm/s": "1e-6 cm/s",
}  # fmt: skip
_BRACKETS: Final = re.compile(r"[(\[]([^()\[\]]+)[)\]]\s*$")
_OF_LOGARITHMS: Final = re.compile(r"[Ll]og|LOG|^p[A-Z]")
_BY_NAME: Final = {unit.name: unit for unit in _KNOWN}


def unit_of(text: str) -> Unit:
    """The unit a cell names; one that is not known is a dimension of its own."""
    plain = " ".join(text.replace("µ", "u").replace("\N{GREEK SMALL LETTER MU}", "u").split())
    name = plain if plain in _BY_NAME else _SPELLINGS.get(plain.lower(), plain)
    return _BY_NAME.get(name, Unit(name, name))


@cache
def unit_in(name: str) -> str:
    """The unit that a column's name ends with in brackets, as in `IC50 (nM)`; empty if none is known.

    Of `logS (mol/L)` and `pIC50 (M)` nothing is guessed: numbers there are logarithms.
    """
    match = None if _OF_LOGARITHMS.search(name) else _BRACKETS.search(name)
    found = unit_of(match.group(1)).name if match else ""
    return found if found in _BY_NAME else ""


def converted(value: float, given: Unit, wanted: Unit, molar_mass: float) -> float | None:
    """A value in another unit.

    Args:
        value: The number.
        given: Its unit.
        wanted: The unit to come to.
        molar_mass: Of the compound, g/mol; turns mass into amount of substance.

    Returns:
        The number in `wanted`; None where the units measure different things, or there is no logarithm.
    """
    if given == wanted:
        return value
    try:
        basic = given.to_basic(value)
    except OverflowError:
        return None
    match given.dimension, wanted.dimension:
        case one, other if one == other:
            pass
        case (one, other) if {one, other} == {_AMOUNT, _MASS} and molar_mass > 0:
            basic = basic / molar_mass if one == _MASS else basic * molar_mass
        case _:
            return None
    result = wanted.from_basic(basic)
    return result if math.isfinite(result) else None


def units_wished(texts: tuple[str, ...]) -> dict[str, str]:
    """Read `ENDPOINT=UNIT` of the command line.

    Raises:
        UsageError: If one is not of this form.
    """
    wished = {}
    for text in texts:
        name, sign, unit = text.partition("=")
        if not sign or not name.strip() or not unit.strip():
            raise UsageError(f"--unit {text} is not of the form ENDPOINT=UNIT.", hint="Such as --unit IC50=nM.")
        wished[name.strip()] = unit_of(unit).name
    return wished
