"""Graph networks by Chemprop, an optional way to learn: kept without pickle, and never saying NaN.

A directed message-passing network reads the bonds of a molecule; one network may learn several endpoints at once,
with shared weights and missing values. Chemprop and torch are an extra, imported when a network is grown or used.

Source: Heid et al., J. Chem. Inf. Model. 64 (2024) 9; Chemprop's published sizes and rates of learning.

Invariants:
    - The same compounds, seed and versions give the same weights to the bit on one processor: one thread, and one
      network at a time.
    - What is said of a compound does not depend on which others are asked about with it.
    - What is said is finite: where the network gives no number, it is the mean of the training data, and flagged.
    - A file holds weights (safetensors) and plain text; reading it runs nothing.
"""

import json
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kifabrik.errors import IntegrityError, UsageError
from kifabrik.recipes.pharma.endpoints import Kind

EPOCHS: Final = 50
PACKAGES: Final = ("chemprop", "torch", "lightning")
"""What predictions depend on besides the packages of all models."""
SUFFIX: Final = ".safetensors"
_HIDDEN: Final = 300
_DEPTH: Final = 3
_BATCH: Final = 64
_FACTS: Final = "kifabrik"
_LOCK: Final = threading.RLock()
"""torch's luck and number of threads are of the process, so networks are grown one after another."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Graphs:
    """Compounds that networks learn from.

    Attributes:
        smiles: Standardised.
        targets: Shape (n, endpoints), the endpoint itself first: 0 and 1, or standardised numbers; NaN where not
            measured.
        fold: Shape (n,), the fold each is left out in.
    """

    smiles: tuple[str, ...]
    targets: Floats
    fold: NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Network:
    """A network.

    Attributes:
        kind: Of its endpoints.
        tasks: How many it was taught; the first is the one that is asked for.
        mean: Of the first one's training values, said where the network gives no number.
        module: Chemprop's model.
    """

    kind: Kind
    tasks: int
    mean: float
    module: Any = field(hash=False, repr=False, compare=False)


def check_installed() -> None:
    """Refuse to begin without Chemprop.

    Raises:
        UsageError: It cannot be imported.
    """
    _chemprop()


def grow(kind: Kind, smiles: Sequence[str], targets: Floats, seed: int, epochs: int = EPOCHS) -> Network:
    """Train a network.

    Args:
        kind: Of all endpoints.
        smiles: Training compounds.
        targets: Shape (n, endpoints); NaN where not measured.
        seed: Of weights and of the order of compounds.
        epochs: Passes over the compounds.

    Raises:
        UsageError: Chemprop is not installed.
    """
    chemprop, torch = _chemprop(), import_module("torch")
    lightning = import_module("lightning.pytorch")
    known = np.flatnonzero(np.isfinite(targets).any(axis=1))
    with _quiet(torch), torch.random.fork_rng():
        torch.manual_seed(seed)
        module = _module(chemprop, kind, targets.shape[1])
        points = [chemprop.data.MoleculeDatapoint.from_smi(smiles[at], targets[at]) for at in known.tolist()]
        loader = chemprop.data.build_dataloader(
            chemprop.data.MoleculeDataset(points, chemprop.featurizers.SimpleMoleculeMolGraphFeaturizer()),
            batch_size=_BATCH,
            seed=seed,
        )
        trainer = lightning.Trainer(
            max_epochs=epochs,
            accelerator="auto",
            devices=1,
            deterministic="warn",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(module, loader)
    module = module.cpu().eval()
    return Network(kind, targets.shape[1], float(np.nanmean(targets[:, 0])), module)


def left_out(graphs: Graphs, kind: Kind, number: int, places: NDArray[np.intp], seed: int, epochs: int) -> Floats:
    """What a network that has not seen a fold says of compounds in it, shape (places,)."""
    seen = np.flatnonzero(graphs.fold != number)
    network = grow(kind, [graphs.smiles[at] for at in seen.tolist()], graphs.targets[seen], seed, epochs)
    return scores([network], [graphs.smiles[at] for at in places.tolist()])[0]


def scores(networks: Sequence[Network], smiles: Sequence[str]) -> tuple[Floats, NDArray[np.bool_]]:
    """Mean over networks: probability of class 1, or standardised numbers.

    Args:
        networks: Of one endpoint.
        smiles: Standardised compounds.

    Returns:
        Scores, always finite, and where a network gave no number; shapes (n,).
    """
    if not smiles:
        return np.zeros(0), np.zeros(0, dtype=bool)
    with _quiet(import_module("torch")):
        said = np.array([[_say(network, text) for text in smiles] for network in networks], dtype=np.float64)
    failed: NDArray[np.bool_] = ~np.isfinite(said)
    means = np.array([[network.mean] for network in networks])
    found: Floats = np.where(failed, means, said).mean(axis=0)
    return found, np.asarray(failed.any(axis=0))


def _say(network: Network, smiles: str) -> float:
    """One compound at a time: how matrices are multiplied depends on their size, and so do the last bits."""
    chemprop, torch = _chemprop(), import_module("torch")
    featurise = chemprop.featurizers.SimpleMoleculeMolGraphFeaturizer()
    with torch.inference_mode():
        graph = featurise(chemprop.data.MoleculeDatapoint.from_smi(smiles).mol)
        return float(network.module(chemprop.data.BatchMolGraph([graph]))[0, 0])


def write(network: Network, path: Path) -> None:
    """Keep a network: weights, and in the header what they belong to."""
    save_file = import_module("safetensors.torch").save_file
    facts = {"kind": network.kind.value, "tasks": network.tasks, "mean": network.mean}
    weights = {name: held.contiguous() for name, held in sorted(network.module.state_dict().items())}
    save_file(weights, str(path), metadata={_FACTS: json.dumps(facts)})


def read(path: Path) -> Network:
    """A network that `write` kept.

    Raises:
        IntegrityError: It is not one.
        UsageError: Chemprop is not installed.
    """
    chemprop = _chemprop()
    opened = import_module("safetensors").safe_open
    try:
        with opened(str(path), framework="pt") as held:
            facts = json.loads(held.metadata()[_FACTS])
            weights = {name: held.get_tensor(name) for name in held.keys()}  # noqa: SIM118 - it is no dictionary
        kind = Kind(facts["kind"])
        module = _module(chemprop, kind, int(facts["tasks"]))
        module.load_state_dict(weights)
    except Exception as error:  # whatever the file holds
        raise IntegrityError(f"{path} is not a network of Chemprop.", hint="Train it again.") from error
    return Network(kind, int(facts["tasks"]), float(facts["mean"]), module.eval())


def _module(chemprop: Any, kind: Kind, tasks: int) -> Any:
    """An untrained network of the published size."""
    passing = chemprop.nn.BondMessagePassing(d_h=_HIDDEN, depth=_DEPTH)
    head = chemprop.nn.BinaryClassificationFFN if kind is Kind.CLASS else chemprop.nn.RegressionFFN
    predictor = head(n_tasks=tasks, input_dim=passing.output_dim, hidden_dim=_HIDDEN)
    return chemprop.models.MPNN(passing, chemprop.nn.MeanAggregation(), predictor)


def _chemprop() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import_module("chemprop.models")
            import_module("chemprop.featurizers")
            return import_module("chemprop")
        except ImportError as error:
            raise UsageError(
                f"The recipe chemprop needs Chemprop, which cannot be imported ({error}).",
                hint="Install kifabrik[pharma-chemprop] in one step with all else, or take another --recipe.",
            ) from error


@contextmanager
def _quiet(torch: Any) -> Iterator[None]:
    """One thread of torch, and none of lightning's remarks."""
    logging = import_module("logging")
    with _LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric", "chemprop")]
        levels = [each.level for each in loggers]
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            for each in loggers:
                each.setLevel(logging.ERROR)
            yield
        finally:
            torch.set_num_threads(threads)
            for each, level in zip(loggers, levels, strict=True):
                each.setLevel(level)
