"""A trained model: predictions with intervals, and the folder it is kept in.

The folder holds `model.json` (everything but what was learnt), `member-N.cbm` and `helper-N.cbm` (CatBoost's own
format) or `network-N.safetensors` (weights of Chemprop's network), `fingerprints.npy` (uint64, n x 32) and
`lineage.csv` (which compounds trained it). Nothing in it is pickled.

Invariants:
- a compound that can be read gets finite numbers; one that cannot gets a reason, NaN, and is outside the domain;
- structures of training compounds are in the folder only if whoever trained the model allowed it;
- a folder whose parts are not those that `model.json` names is refused.
"""

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from catboost import CatBoost
from numpy.typing import NDArray

from kifabrik.errors import IntegrityError
from kifabrik.recipes.pharma import boosting, networks
from kifabrik.recipes.pharma.boosting import Recipe
from kifabrik.recipes.pharma.calibrating import Band, Calibration, Shape, reach_of
from kifabrik.recipes.pharma.compounds import write_table
from kifabrik.recipes.pharma.domain import Domain
from kifabrik.recipes.pharma.endpoints import Bounds, Endpoint
from kifabrik.recipes.pharma.features import maplight
from kifabrik.recipes.pharma.fingerprints import WORDS, morgan
from kifabrik.recipes.pharma.keeping import digest, fresh_folder, read_document, write_document
from kifabrik.recipes.pharma.molecules import Compound, Refused, Standardiser, standardise
from kifabrik.recipes.pharma.neighbours import Packed, nearest
from kifabrik.recipes.pharma.networks import Network
from kifabrik.recipes.pharma.scaling import Scaling
from kifabrik.recipes.pharma.stacking import Helper, with_helpers

DOCUMENT: Final = "model.json"
FINGERPRINTS: Final = "fingerprints.npy"
LINEAGE: Final = "lineage.csv"
_MEMBER: Final = "member-{}.cbm"
_HELPER: Final = "helper-{}.cbm"
_NETWORK: Final = "network-{}.safetensors"
_AGAIN: Final = "Train it again, or take it from where it was kept."

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """Which compounds trained a model: first those it is near to, then those that trained helpers only.

    Attributes:
        id: Name of each compound.
        inchikey: Its InChIKey.
        smiles: Its structure; empty texts unless the model may show neighbours.
        value: What was measured of the endpoint; NaN unless it was, and unless the model may show neighbours.
        relation: Whether it is a bound: `=`, `<` or `>`; empty where there is no value.
    """

    id: tuple[str, ...]
    inchikey: tuple[str, ...]
    smiles: tuple[str, ...]
    value: tuple[float, ...]
    relation: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictions:
    """What a model says of compounds; all of shape (n,).

    Attributes:
        smiles: Standardised; empty where a structure cannot be predicted.
        value: In the endpoint's unit; for classes the probability of class 1.
        low: Lower end of the interval; NaN for classes.
        high: Upper end of the interval; NaN for classes.
        probability: Of class 1; None for numbers.
        similarity: To the nearest training compound (Tanimoto, ECFP4 of 2,048 bits).
        leverage: In the properties of the domain.
        in_domain: Whether both checks of the domain let it in.
        flagged: Whether a feature is not finite (trees take it as missing), or a network gave no number (the mean
            of the training data stands for it).
        nearest: Place of the nearest training compound in the lineage; -1 where there is none.
        reason: Why there is no prediction; empty if there is one.
    """

    smiles: tuple[str, ...]
    value: Floats
    low: Floats
    high: Floats
    probability: Floats | None
    similarity: Floats
    leverage: Floats
    in_domain: NDArray[np.bool_]
    flagged: NDArray[np.bool_]
    nearest: NDArray[np.intp]
    reason: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.smiles)


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A trained model of one endpoint.

    Attributes:
        endpoint: What it predicts.
        recipe: How its trees were grown.
        scaling: From its numbers to those of the endpoint.
        members: Trees, one set for each seed; none where networks learnt.
        networks: Networks, one for each seed.
        helpers: Trees of other endpoints, whose predictions are features of the members.
        calibration: From scores to probabilities; None for numbers.
        bands: Intervals by similarity; none for classes.
        level: Share the intervals are to cover.
        domain: Where it may be trusted.
        fingerprints: Of the training compounds.
        lineage: Which compounds trained it.
        shows_neighbours: Whether it may show training compounds to whoever asks it.
        standardiser: How structures are cleaned up.
        bounds: How bounds among the training data were taken.
        facts: What else is known of its training, for the model card: plain values.
    """

    endpoint: Endpoint
    recipe: Recipe
    scaling: Scaling
    members: tuple[CatBoost, ...] = ()
    networks: tuple[Network, ...] = ()
    helpers: tuple[Helper, ...] = ()
    calibration: Calibration | None
    bands: tuple[Band, ...]
    level: float
    domain: Domain
    fingerprints: Packed = field(repr=False)
    lineage: Lineage = field(repr=False)
    shows_neighbours: bool
    standardiser: Standardiser
    bounds: Bounds = Bounds.LEARN
    facts: dict[str, Any] = field(hash=False, repr=False)

    def predict(self, smiles: Sequence[str], *, workers: int = 1, cache: Path | None = None) -> Predictions:
        """Predict compounds.

        Args:
            smiles: As they come; they are standardised first.
            workers: Processes.
            cache: A folder that keeps features between calls.
        """
        found = list(standardise(smiles, self.standardiser, workers=workers))
        good = [at for at, one in enumerate(found) if isinstance(one, Compound)]
        clean = [one.smiles for one in found if isinstance(one, Compound)]
        count = len(smiles)
        value, low, high, leverage = (np.full(count, np.nan) for _ in range(4))
        similarity = np.zeros(count)
        in_domain, flagged = np.zeros(count, dtype=bool), np.zeros(count, dtype=bool)
        place = np.full(count, -1, np.intp)
        if good:
            features = maplight(clean, workers=workers, cache=cache)
            near, place[good] = nearest(morgan(clean), self.fingerprints)
            similarity[good] = near.astype(np.float64)
            leverage[good] = self.domain.leverages(features.values)
            in_domain[good] = self.domain.holds(similarity[good], leverage[good])
            flagged[good] = features.flagged
            scores, failed = self._scores(clean, features.values)
            flagged[good] |= failed
            value[good], low[good], high[good] = self.interval(scores, similarity[good])
        standard = iter(clean)
        return Predictions(
            smiles=tuple(next(standard) if isinstance(one, Compound) else "" for one in found),
            value=value,
            low=low,
            high=high,
            probability=value.copy() if self.calibration is not None else None,
            similarity=similarity,
            leverage=leverage,
            in_domain=in_domain,
            flagged=flagged,
            nearest=place,
            reason=tuple(
                f"{one.reason.value}: {one.detail}".rstrip(": ") if isinstance(one, Refused) else ""
                for one in found
            ),
        )

    def _scores(self, smiles: Sequence[str], features: NDArray[np.float32]) -> tuple[Floats, NDArray[np.bool_]]:
        """Scores of standardised compounds, always finite, and where a network gave none."""
        if self.networks:
            return networks.scores(self.networks, smiles)
        stacked = with_helpers(features, self.helpers)
        return boosting.scores(self.members, self.endpoint.kind, stacked), np.zeros(len(smiles), dtype=bool)

    def interval(self, scores: Floats, similarity: Floats) -> tuple[Floats, Floats, Floats]:
        """Value and ends of its interval from scores of the trees, shapes (n,)."""
        nothing = np.full(len(scores), np.nan)
        if self.calibration is not None:
            return self.calibration(scores), nothing, nothing
        reach = reach_of(self.bands, similarity)
        return self.scaling.back(scores), self.scaling.back(scores - reach), self.scaling.back(scores + reach)


def save(model: Model, folder: Path) -> None:
    """Write a model.

    Args:
        model: What to write.
        folder: Where to; made if it is not there, a model in it is replaced.

    Raises:
        UsageError: If the folder cannot be made.
    """
    fresh_folder(folder)
    (folder / DOCUMENT).unlink(missing_ok=True)
    for old in (*folder.glob("*.cbm"), *folder.glob(f"*{networks.SUFFIX}")):
        old.unlink()
    trees = {_MEMBER.format(number): member for number, member in enumerate(model.members)}
    trees |= {_HELPER.format(number): helper.trees for number, helper in enumerate(model.helpers)}
    for name, member in trees.items():
        boosting.write(member, folder / name)
    nets = {_NETWORK.format(number): network for number, network in enumerate(model.networks)}
    for name, network in nets.items():
        networks.write(network, folder / name)
    with (folder / FINGERPRINTS).open("wb") as file:
        np.save(file, model.fingerprints.astype("<u8"), allow_pickle=False)
    lineage = model.lineage
    header, columns = ["id", "inchikey"], [lineage.id, lineage.inchikey]
    rows: list[tuple[Any, ...]] = list(zip(*columns, strict=True))
    if model.shows_neighbours:
        header += ["smiles", "value", "relation"]
        rows = list(zip(*columns, lineage.smiles, lineage.value, lineage.relation, strict=True))
    write_table(folder / LINEAGE, header, rows)
    content = {
        "endpoint": model.endpoint.plain(),
        "helpers": [helper.endpoint.plain() for helper in model.helpers],
        "recipe": model.recipe.value,
        "scaling": model.scaling.plain(),
        "calibration": model.calibration.plain() if model.calibration else None,
        "bands": [band.plain() for band in model.bands],
        "level": model.level,
        "domain": model.domain.plain(),
        "shows_neighbours": model.shows_neighbours,
        "standardiser": asdict(model.standardiser),
        "bounds": model.bounds.value,
        "parts": {name: digest(folder / name) for name in (*trees, *nets, FINGERPRINTS, LINEAGE)},
        "facts": model.facts,
    }
    write_document(folder / DOCUMENT, "model", content)


def load(folder: Path) -> Model:
    """Read a model that `save` wrote.

    Raises:
        UsageError: If there is none.
        IntegrityError: If its parts are not those it was saved with.
    """
    document = read_document(folder / DOCUMENT, "model", "train")
    try:
        parts = {str(name): str(value) for name, value in document["parts"].items()}
        _check(folder, parts)
        calibration = document["calibration"]
        count = sum(name.startswith(_MEMBER[:6]) for name in parts)
        nets = sum(name.endswith(networks.SUFFIX) for name in parts)
        return Model(
            endpoint=Endpoint.of(document["endpoint"]),
            recipe=Recipe(document["recipe"]),
            scaling=Scaling(**document["scaling"]),
            members=tuple(boosting.read(folder / _MEMBER.format(number)) for number in range(count)),
            networks=tuple(networks.read(folder / _NETWORK.format(number)) for number in range(nets)),
            helpers=tuple(
                Helper(Endpoint.of(one), boosting.read(folder / _HELPER.format(number)))
                for number, one in enumerate(document["helpers"])
            ),
            calibration=Calibration(Shape(calibration["shape"]), tuple(calibration["x"]), tuple(calibration["y"]))
            if calibration
            else None,
            bands=tuple(
                Band(**{**band, "covered": np.nan if band["covered"] is None else band["covered"]})
                for band in document["bands"]
            ),
            level=float(document["level"]),
            domain=Domain(
                similarity=float(document["domain"]["similarity"]),
                leverage=float(document["domain"]["leverage"]),
                mean=tuple(document["domain"]["mean"]),
                inverse=tuple(tuple(row) for row in document["domain"]["inverse"]),
            ),
            fingerprints=_fingerprints(folder / FINGERPRINTS),
            lineage=_lineage(folder / LINEAGE),
            shows_neighbours=bool(document["shows_neighbours"]),
            standardiser=Standardiser(**document["standardiser"]),
            bounds=Bounds(document["bounds"]),
            facts=dict(document["facts"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise IntegrityError(f"{folder / DOCUMENT} does not hold a model.", hint=_AGAIN) from error


def trained_by(folder: Path) -> tuple[Endpoint, Standardiser, Lineage]:
    """What a model predicts, how it reads structures, and which compounds trained it, without trees or networks.

    Raises:
        UsageError: If there is none.
        IntegrityError: If the list is not the one the model was saved with.
    """
    document = read_document(folder / DOCUMENT, "model", "train")
    try:
        _check(folder, {LINEAGE: str(document["parts"][LINEAGE])})
        standardiser = Standardiser(**document["standardiser"])
        return Endpoint.of(document["endpoint"]), standardiser, _lineage(folder / LINEAGE)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise IntegrityError(f"{folder / DOCUMENT} does not hold a model.", hint=_AGAIN) from error


def _check(folder: Path, parts: dict[str, str]) -> None:
    for name, expected in parts.items():
        path = folder / name
        if Path(name).name != name or not path.is_file():
            raise IntegrityError(f"The model in {folder} is not whole: {name} is missing.", hint=_AGAIN)
        if digest(path) != expected:
            raise IntegrityError(f"{path} is not the part that {DOCUMENT} names.", hint=_AGAIN)


def _fingerprints(path: Path) -> Packed:
    with path.open("rb") as file:
        packed = np.load(file, allow_pickle=False)
    if packed.ndim != 2 or packed.shape[1] != WORDS:  # noqa: PLR2004
        raise IntegrityError(f"{path} does not hold fingerprints.", hint=_AGAIN)
    return np.ascontiguousarray(packed, dtype=np.uint64)


def _lineage(path: Path) -> Lineage:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return Lineage(
        id=tuple(row["id"] for row in rows),
        inchikey=tuple(row["inchikey"] for row in rows),
        smiles=tuple(row.get("smiles") or "" for row in rows),
        value=tuple(float(row.get("value") or "nan") for row in rows),
        relation=tuple(row.get("relation") or "" for row in rows),
    )
