"""A real model that is trained in a second: polar surface per heavy atom, from 300 molecules."""

from pathlib import Path

import numpy as np
from molecules import moses

from kifabrik.recipes.pharma.boosting import Recipe, grow
from kifabrik.recipes.pharma.calibrating import Band
from kifabrik.recipes.pharma.domain import Domain
from kifabrik.recipes.pharma.endpoints import Endpoint, Kind
from kifabrik.recipes.pharma.features import NAMES, maplight
from kifabrik.recipes.pharma.fingerprints import morgan
from kifabrik.recipes.pharma.model import Lineage, Model, save
from kifabrik.recipes.pharma.molecules import Standardiser
from kifabrik.recipes.pharma.scaling import Scaling


def save_small_model(folder: Path) -> Path:
    """Train and save it; gives its folder."""
    smiles = moses(300, skip=900_000)
    features = maplight(smiles).values
    values = (features[:, NAMES.index("TPSA")] / features[:, NAMES.index("HeavyAtomCount")]).astype(np.float64)
    scaling = Scaling.of(values, log=False)
    names = tuple(f"c{number}" for number in range(len(smiles)))
    model = Model(
        endpoint=Endpoint("polarity", Kind.NUMBER, "", ""),
        recipe=Recipe.FAST,
        scaling=scaling,
        members=(grow(Recipe.FAST, Kind.NUMBER, features, scaling.forth(values), 1, 40),),
        calibration=None,
        bands=(Band(low=0.0, high=1.0, count=300, reach=0.5, covered=0.9),),
        level=0.9,
        domain=Domain.of(morgan(smiles), features),
        fingerprints=morgan(smiles),
        lineage=Lineage(id=names, inchikey=names, smiles=("",) * 300, value=(np.nan,) * 300, relation=("",) * 300),
        shows_neighbours=False,
        standardiser=Standardiser(),
        facts={},
    )
    save(model, folder)
    return folder
