"""An attempt's footprint as its `run.finished` entry in the log has it.

Two references, each a list of `name=number`: `footprint` says what was used, `site` by which factors of the
operator the rest follows from it. docs/formats/ledger.md lists the names.

Invariants:
- amounts that follow from others are checked when they are read: an entry cannot say less heat or more carbon than
  its energy and its factors give;
- an entry without these references reads as nothing: logs written before there were any stay valid;
- names this version does not know are left alone; another version number is nothing this version can read.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Final

from kifabrik.errors import IntegrityError, UsageError
from kifabrik.meters.footprint import EnergyPart, Footprint, Site, Surroundings, carbon_mg, surroundings
from kifabrik.meters.reading import EnergySource, Reading, total

FOOTPRINT: Final = "footprint"
SITE: Final = "site"
VERSION: Final = 1
_VERSION: Final = "v"
_PAIR: Final = re.compile(r"([a-z][a-z0-9_]{0,31})=(0|[1-9][0-9]{0,23})")
_COUNTED: Final = ("wall_ms", "cpu_ms", "gpu_ms", "cost_micro_eur")
_CARBON: Final = "carbon_mg"
_FACTORS: Final = tuple(field.name for field in fields(Site))


@dataclass(frozen=True)
class Recorded:
    """What one attempt used, as the log says.

    Args:
        wall_ms: Time of all its nodes together.
        cpu_ms: CPU time.
        gpu_ms: Time GPUs were held, times their number.
        energy: By source, sorted; a source that gave nothing is left out.
        cost_micro_eur: What it cost.
        site: The operator's factors; `None` if none were stated.
        carbon_mg: CO2 equivalents by the grid's mix, overhead included; `None` without factors.
        surroundings: What the energy meant beyond the machines; `None` without factors.
    """

    wall_ms: int
    cpu_ms: int
    gpu_ms: int
    energy: tuple[EnergyPart, ...]
    cost_micro_eur: int
    site: Site | None = None
    carbon_mg: int | None = None
    surroundings: Surroundings | None = None

    @property
    def energy_mj(self) -> int:
        """Energy of all sources in millijoules, without the building's overhead."""
        return sum(part.millijoules for part in self.energy)

    def is_of(self, readings: Iterable[Reading]) -> bool:
        """Whether these readings, as launchers signed them, add up to it."""
        found = tuple(readings)
        by_source = {part.source: part.millijoules for part in self.energy}
        signed = {
            source: total(one for reading in found for one in reading.energy if one.source is source)
            for source in EnergySource
        }
        times = tuple(sum(getattr(one, name) for one in found) for name in ("wall_ms", "cpu_ms", "gpu_ms"))
        return times == (self.wall_ms, self.cpu_ms, self.gpu_ms) and all(
            by_source.get(source, 0) == amount for source, amount in signed.items()
        )


def references(used: Footprint, site: Site | None) -> dict[str, tuple[str, ...]]:
    """What the entry of an attempt says of its footprint."""
    amounts: dict[str, int] = {_VERSION: VERSION} | {name: getattr(used, name) for name in _COUNTED}
    amounts |= {f"{part.source}_mj": part.millijoules for part in used.energy}
    if site is None or used.surroundings is None or used.carbon_mg is None:
        return {FOOTPRINT: _texts(amounts)}
    amounts[_CARBON] = used.carbon_mg
    return {
        FOOTPRINT: _texts(amounts | _stated(asdict(used.surroundings))),
        SITE: _texts(_stated(asdict(site))),
    }


def recorded(refs: Mapping[str, object]) -> Recorded | None:
    """Read the footprint of an entry; `None` if it has none, or one of a version this one does not know.

    Raises:
        IntegrityError: It does not have its form, or what follows from its energy is not what it says.
    """
    if FOOTPRINT not in refs:
        return None
    said = _numbers(refs[FOOTPRINT])
    if said.get(_VERSION) != VERSION:
        return None
    try:
        energy = tuple(
            EnergyPart(source, source.measured, said[f"{source}_mj"])
            for source in sorted(EnergySource)
            if said.get(f"{source}_mj")
        )
        wall_ms, cpu_ms, gpu_ms, cost = (said[name] for name in _COUNTED)
        counted = Recorded(wall_ms, cpu_ms, gpu_ms, energy, cost)
        if SITE not in refs:
            return counted
        factors = _numbers(refs[SITE])
        site = Site(**{name: factors[name] for name in _FACTORS if name in factors})
    except (KeyError, TypeError) as error:
        raise IntegrityError(f"a footprint in the log lacks {error}") from None
    except UsageError as error:
        raise IntegrityError(f"a footprint in the log is none: {error.message}") from None
    return _checked(counted, site, said)


def _checked(counted: Recorded, site: Site, said: Mapping[str, int]) -> Recorded:
    """Add what follows from the energy, if the entry says the same."""
    around, carbon = surroundings(counted.energy, site), carbon_mg(counted.energy_mj, site)
    for name, amount in (_stated(asdict(around)) | {_CARBON: carbon}).items():
        if said.get(name) != amount:
            raise IntegrityError(
                f"a footprint in the log says {name}={said.get(name)}; "
                f"its energy and the site's factors give {amount}"
            )
    return Recorded(
        counted.wall_ms,
        counted.cpu_ms,
        counted.gpu_ms,
        counted.energy,
        counted.cost_micro_eur,
        site,
        carbon,
        around,
    )


def _stated(amounts: Mapping[str, int | None]) -> dict[str, int]:
    return {name: amount for name, amount in amounts.items() if amount is not None}


def _texts(amounts: Mapping[str, int]) -> tuple[str, ...]:
    return tuple(f"{name}={amount}" for name, amount in amounts.items())


def _numbers(texts: object) -> dict[str, int]:
    found: dict[str, int] = {}
    for text in texts if isinstance(texts, tuple) else (texts,):
        pair = _PAIR.fullmatch(str(text))
        if pair is None or pair[1] in found:
            raise IntegrityError(f"a footprint in the log is none: {str(text)[:80]!r}")
        found[pair[1]] = int(pair[2])
    return found
