"""From files of measurements to compounds: each once, in one spelling, with one value for each endpoint.

Invariants:
- compounds come out in the order of their InChIKeys: the order of rows in the files changes nothing;
- every value that is left out stands in the rejects, with the reason;
- a compound's value is the median of its measurements if they agree, and none if they conflict; a bound counts only
  where nothing was measured, and of several the one that says most.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from rdkit import Chem
from rdkit.Chem import Descriptors

from kifabrik.errors import UsageError
from kifabrik.recipes.pharma.compounds import Compounds, Values
from kifabrik.recipes.pharma.endpoints import Censored, Endpoint, Kind, Limit
from kifabrik.recipes.pharma.measuring import Columns, Measured, Wishes, date_of
from kifabrik.recipes.pharma.molecules import Compound, Refused, Standardiser, shortened, standardise
from kifabrik.recipes.pharma.numbers import Relation
from kifabrik.recipes.pharma.reading import Row, rows_of
from kifabrik.recipes.pharma.rejects import ADVICE, Reason, Reject
from kifabrik.recipes.pharma.units import converted, unit_of

_STEP: Final = 100
_DECADE: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Compounds ready to be split.

    Attributes:
        compounds: Each once, in the order of their InChIKeys.
        endpoints: What was measured.
        rejects: What was left out, in the order of files and rows.
        rows: How many rows were read.
        tolerances: Most that measurements of one compound were allowed to differ, by endpoint: decades for
            concentrations, else the endpoint's unit.
    """

    compounds: Compounds
    endpoints: tuple[Endpoint, ...]
    rejects: tuple[Reject, ...]
    rows: int
    tolerances: dict[str, float] = field(hash=False)

    @property
    def bounds(self) -> dict[str, int]:
        """How many measurements were left out because they are bounds, by endpoint."""
        counts = Counter(one.endpoint for one in self.rejects if one.reason is Reason.CENSORED)
        return {one.name: counts[one.name] for one in self.endpoints}

    @property
    def bounds_kept(self) -> dict[str, int]:
        """How many compounds have a bound as their value, by endpoint."""
        return {name: int((values.side != 0).sum()) for name, values in self.compounds.endpoints.items()}


@dataclass(frozen=True, slots=True)
class _Seen:
    """A row whose structure is good."""

    file: str
    row: Row
    id: str
    date: str
    compound: Compound
    columns: Columns

    def reject(self, reason: Reason, detail: str, endpoint: str = "") -> Reject:
        return _reject(self.file, self.row, self.id, reason, detail, endpoint)


@dataclass(frozen=True, slots=True)
class _Value:
    """A measurement in the endpoint's unit."""

    value: float
    relation: Relation
    seen: _Seen


def prepare(
    files: Sequence[Path],
    wishes: Wishes | None = None,
    standardiser: Standardiser | None = None,
    *,
    workers: int = 1,
    progress: Callable[[int], None] | None = None,
) -> Prepared:
    """Read, clean up, and make one of what was measured several times.

    Args:
        files: CSV, SDF or SMILES files, gzipped or not.
        wishes: What is wished of columns, units and replicates.
        standardiser: How structures are cleaned up.
        workers: Processes for that.
        progress: Called with the number of structures done.

    Raises:
        UsageError: If a file cannot be read, its columns are not clear, or nothing is left.
    """
    wishes = wishes or Wishes()
    rejects: list[Reject] = []
    seen: list[_Seen] = []
    count = 0
    for path in files:
        rows = list(rows_of(path, wishes.smiles_column))
        count += len(rows)
        if not rows:
            raise UsageError(f"{path.name} has no rows of compounds.", hint="It needs rows below the column names.")
        columns = Columns.of(rows, wishes, path.name)
        _look(path.name, rows, columns, seen, rejects, standardiser, workers, progress)
    names = list(dict.fromkeys(name for one in seen for name in one.columns.endpoints))
    strangers = [name for name in wishes.units if name not in names]
    if strangers:
        raise UsageError(
            f"--unit names {strangers[0]}, which is no endpoint.", hint=f"Endpoints: {', '.join(names)}."
        )
    endpoints, values, tolerances = [], {}, {}
    for name in names:
        endpoint, found = _values(name, seen, wishes, rejects)
        endpoints.append(endpoint)
        tolerances[name] = _tolerance(endpoint, found, wishes)
        values[name] = _combine(endpoint, found, tolerances[name], rejects)
    rejects += [
        one.reject(Reason.NO_VALUE, "")
        for one in seen
        if all(one.columns.measurement(one.row, name) is None for name in one.columns.endpoints)
    ]
    compounds = _compounds(seen, values)
    if not len(compounds):
        most = Counter(reject.reason for reject in rejects).most_common(1)
        why, hint = (f"; mostly: {most[0][0].value}", ADVICE[most[0][0]]) if most else ("", "Look at the columns.")
        raise UsageError(f"No compound is left of {count:,} rows{why}.", hint=hint)
    order = {path.name: number for number, path in enumerate(files)}
    return Prepared(
        compounds=compounds,
        endpoints=tuple(endpoints),
        rejects=tuple(sorted(rejects, key=lambda one: (order[one.file], one.row, one.endpoint))),
        rows=count,
        tolerances=tolerances,
    )


def _look(
    file: str,
    rows: Sequence[Row],
    columns: Columns,
    seen: list[_Seen],
    rejects: list[Reject],
    standardiser: Standardiser | None,
    workers: int,
    progress: Callable[[int], None] | None,
) -> None:
    good = []
    for row in rows:
        if row.broken:
            rejects.append(_reject(file, row, columns.name_of(row, file), Reason.BROKEN_ROW, row.broken))
        else:
            good.append(row)
    results = standardise([row.structure for row in good], standardiser, workers=workers)
    for number, (row, compound) in enumerate(zip(good, results, strict=True), 1):
        name = columns.name_of(row, file)
        if isinstance(compound, Refused):
            rejects.append(_reject(file, row, name, compound.reason, compound.detail))
        else:
            seen.append(_Seen(file, row, name, date_of(row.cells.get(columns.date, "")), compound, columns))
        if progress and number % _STEP == 0:
            progress(_STEP)
    if progress:
        progress(len(rows) - len(good) // _STEP * _STEP)


def _values(
    name: str, seen: Sequence[_Seen], wishes: Wishes, rejects: list[Reject]
) -> tuple[Endpoint, list[_Value]]:
    """Measurements of an endpoint in one unit."""
    found = _read(name, seen, rejects)
    unit = wishes.units.get(name) or _usual([measured.unit for _, measured in found if measured.unit])
    limit = next((limit for limit in wishes.limits if limit.endpoint == name), None)
    is_mixed = len({unit_of(measured.unit).name for _, measured in found if measured.unit}) > 1
    values = []
    for one, measured in found:
        if is_mixed and not measured.unit:  # in which of them it was measured is not known
            rejects.append(one.reject(Reason.WRONG_UNIT, f"{measured.value:g} without a unit, wanted {unit}", name))
            continue
        value = _converted(one, measured, unit)
        if value is None:
            detail = f"{measured.value:g} {measured.unit}, wanted {unit}"
            rejects.append(one.reject(Reason.WRONG_UNIT, detail, name))
            continue
        relation = _turned(measured, unit)
        decided = _decided(value, relation, limit, wishes)
        if decided is None:
            rejects.append(_open(_Value(value, relation, one), name))
        else:
            values.append(_Value(*decided, one))
    if limit is not None:
        says = f"{limit.side.value}= {limit.value:g} {unit}".rstrip()
        return Endpoint(name, Kind.CLASS, "", says), values
    exact = [one for one in values if one.relation is Relation.EQUAL]
    if unit or not _are_classes(exact):
        return Endpoint(name, Kind.NUMBER, unit), values
    rejects += [_open(one, name) for one in values if one.relation is not Relation.EQUAL]
    return Endpoint(name, Kind.CLASS), exact


def _read(name: str, seen: Sequence[_Seen], rejects: list[Reject]) -> list[tuple[_Seen, Measured]]:
    """Measurements of an endpoint as they stand in cells."""
    found = []
    for one in seen:
        measured = one.columns.measurement(one.row, name) if name in one.columns.endpoints else None
        if isinstance(measured, tuple):
            rejects.append(one.reject(*measured, name))
        elif measured is not None:
            found.append((one, measured))
    return found


def _are_classes(values: Sequence[_Value]) -> bool:
    return bool(values) and all(one.value in {0.0, 1.0} for one in values)


def _open(one: _Value, name: str) -> Reject:
    """A bound where classes were measured says nothing."""
    return one.seen.reject(Reason.CENSORED, f"{one.relation.value}{one.value:g}", name)


def _usual(units: Sequence[str]) -> str:
    counts = Counter(unit_of(unit).name for unit in units)
    return min(counts, key=lambda name: (-counts[name], name)) if counts else ""


def _converted(one: _Seen, measured: Measured, unit: str) -> float | None:
    if not unit or not measured.unit:
        return measured.value
    given, wanted = unit_of(measured.unit), unit_of(unit)
    if given == wanted:
        return measured.value
    mass = 0.0
    if given.dimension != wanted.dimension:
        mass = float(Descriptors.MolWt(Chem.MolFromSmiles(one.compound.smiles)))  # type: ignore[attr-defined]
    return converted(measured.value, given, wanted, mass)


def _turned(measured: Measured, unit: str) -> Relation:
    """A bound of a concentration is the other bound of its negative logarithm."""
    if measured.relation is Relation.EQUAL or not unit or not measured.unit:
        return measured.relation
    if unit_of(measured.unit).falls == unit_of(unit).falls:
        return measured.relation
    return Relation.ABOVE if measured.relation is Relation.BELOW else Relation.BELOW


def _decided(
    value: float, relation: Relation, limit: Limit | None, wishes: Wishes
) -> tuple[float, Relation] | None:
    """What is kept of a measurement; None: nothing."""
    if limit is not None:
        inside = limit.decide(value, relation)
        return None if inside is None else (float(inside), Relation.EQUAL)
    if relation is not Relation.EQUAL and wishes.censored is Censored.DROP:
        return None
    return value, relation


def _tolerance(endpoint: Endpoint, values: Sequence[_Value], wishes: Wishes) -> float:
    if endpoint.kind is Kind.CLASS:
        return 0.0
    if wishes.tolerance is not None:
        return wishes.tolerance
    if unit_of(endpoint.unit).spans_decades:
        return _DECADE
    exact = [one.value for one in values if one.relation is Relation.EQUAL]
    return float(np.std(exact)) if exact else 0.0


def _combine(
    endpoint: Endpoint, values: Sequence[_Value], tolerance: float, rejects: list[Reject]
) -> dict[str, tuple[float, str, int]]:
    """Value, relation and number of measurements by InChIKey."""
    by_key: dict[str, list[_Value]] = defaultdict(list)
    for one in values:
        by_key[one.seen.compound.inchikey].append(one)
    return {
        key: made
        for key, group in by_key.items()
        if (made := _combined(endpoint, group, tolerance, rejects)) is not None
    }


def _combined(
    endpoint: Endpoint, group: Sequence[_Value], tolerance: float, rejects: list[Reject]
) -> tuple[float, str, int] | None:
    exact = [one for one in group if one.relation is Relation.EQUAL]
    if not exact:
        return _tightest(endpoint, group, rejects)
    numbers = sorted(one.value for one in exact)  # a measurement says more than a bound
    low, high = numbers[0], numbers[-1]
    if endpoint.kind is Kind.NUMBER and unit_of(endpoint.unit).spans_decades:
        apart = math.log10(high / low) if low > 0 else 0.0 if low == high else math.inf
    else:
        apart = high - low
    if apart > tolerance * (1 + 1e-9):
        said = ", ".join(f"{number:g}" for number in numbers[:6])
        rejects.extend(one.seen.reject(Reason.CONFLICT, said, endpoint.name) for one in group)
        return None
    return float(np.median(numbers)), Relation.EQUAL.value, len(exact)


def _tightest(endpoint: Endpoint, group: Sequence[_Value], rejects: list[Reject]) -> tuple[float, str, int] | None:
    """The bound that says most of several on the same side; bounds on both sides are no bound."""
    relations = {one.relation for one in group}
    if len(relations) > 1:
        said = ", ".join(sorted(f"{one.relation.value}{one.value:g}" for one in group)[:6])
        rejects.extend(one.seen.reject(Reason.CONFLICT, said, endpoint.name) for one in group)
        return None
    relation = relations.pop()
    most = max if relation is Relation.ABOVE else min
    return most(one.value for one in group), relation.value, len(group)


def _compounds(seen: Sequence[_Seen], values: dict[str, dict[str, tuple[float, str, int]]]) -> Compounds:
    by_key: dict[str, list[_Seen]] = defaultdict(list)
    measured = {key for found in values.values() for key in found}
    for one in seen:
        if one.compound.inchikey in measured:
            by_key[one.compound.inchikey].append(one)
    keys = sorted(by_key)
    groups = [sorted(by_key[key], key=lambda one: (one.id, sorted(one.row.cells.items()))) for key in keys]
    nothing = (math.nan, "", 0)
    endpoints = {}
    for name, found in values.items():
        rows = [found.get(key, nothing) for key in keys]
        endpoints[name] = Values(
            value=np.array([row[0] for row in rows], dtype=np.float64),
            relation=tuple(row[1] for row in rows),
            count=np.array([row[2] for row in rows], dtype=np.int64),
        )
    properties = list(dict.fromkeys(name for one in seen for name in one.columns.properties))
    return Compounds(
        id=tuple(group[0].id for group in groups),
        smiles=tuple(min(one.compound.smiles for one in group) for group in groups),
        inchikey=tuple(keys),
        date=tuple(min((one.date for one in group if one.date), default="") for group in groups),
        endpoints=endpoints,
        properties={name: tuple(_first(group, name) for group in groups) for name in properties},
    )


def _first(group: Sequence[_Seen], name: str) -> str:
    return next((one.row.cells[name] for one in group if one.row.cells.get(name)), "")


def _reject(file: str, row: Row, name: str, reason: Reason, detail: str, endpoint: str = "") -> Reject:
    return Reject(
        file=file,
        row=row.number,
        id=name,
        structure=shortened(row.structure),
        endpoint=endpoint,
        reason=reason,
        detail=shortened(detail),
    )
