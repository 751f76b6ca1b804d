"""Features beside the plain MapLight loop; search beside FPSim2, RDKit and numpy; a model from table to report.

python bench/pharma.py [--molecules 1000] [--library 500000] [--compounds 5000] [--recipe auto]
    [--only features|search|training] [--json PATH]

FPSim2 is left out where it is not installed.
Figures are CPU time of the processes that worked, and wall clock beside it, since other work may share the machine.
The library is the MOSES molecules, the measurements are AqSolDB, in ../shared/data/pharma.
"""

import csv
import gzip
import os
import resource
import tempfile
import time
from functools import partial
from itertools import accumulate, islice
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from rdkit import Chem, DataStructs
from rdkit.Avalon.pyAvalonTools import GetAvalonCountFP
from rdkit.Chem import rdReducedGraphs
from rdkit.Chem.rdMolDescriptors import GetHashedMorganFingerprint
from rdkit.ML.Descriptors.MoleculeDescriptors import MolecularDescriptorCalculator
from rdkit.rdBase import BlockLogs
from report import Bar, Picture, at_least, at_most, hand_on, parser

from kifabrik.errors import UsageError
from kifabrik.recipes.pharma import descriptors, features, torch_search
from kifabrik.recipes.pharma.fingerprints import WORDS
from kifabrik.recipes.pharma.index import build, open_index
from kifabrik.recipes.pharma.libraries import Library
from kifabrik.recipes.pharma.popcount import count_bits
from kifabrik.recipes.pharma.search import similar
from kifabrik.recipes.pharma.torch_search import Device

MOSES = "library/moses_train.csv.gz"
SOLUBILITIES = "other/aqsoldb_curated.csv.gz"
LEAST_ATOMS = 8
QUERIES = 100
THRESHOLD = 0.7
MOST = 10
SECONDS_OF_A_COMPOUND = 600 / 5000


def data() -> Path:
    """The folder of public pharma data."""
    for above in Path(__file__).resolve().parents:
        if (above.parent / "shared/data/pharma").exists():
            return above.parent / "shared/data/pharma"
    raise SystemExit("the pharma data is not beside the checkout, in shared/data/pharma")


def moses(count: int, start: int = 0) -> list[str]:
    """Molecules of the library."""
    with gzip.open(data() / MOSES, "rt") as file:
        return [row["SMILES"] for row in islice(csv.DictReader(file), start, start + count)]


class Clock:
    """CPU seconds of this process and of those it has ended, and wall clock."""

    def __init__(self) -> None:
        self._cpu, self._wall = self._seconds(), time.perf_counter()

    @staticmethod
    def _seconds() -> float:
        spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(one.ru_utime + one.ru_stime for one in spent)

    def read(self) -> tuple[float, float]:
        """CPU and wall seconds since it was made."""
        return self._seconds() - self._cpu, time.perf_counter() - self._wall


def timed(work):
    """What work gives, its CPU seconds and its wall seconds."""
    clock = Clock()
    result = work()
    return result, *clock.read()


def plain_loop(smiles: list[str]) -> np.ndarray:
    """The published code's features, molecule by molecule."""
    calculator = MolecularDescriptorCalculator(descriptors.NAMES)
    rows = []
    for text in smiles:
        molecule = Chem.MolFromSmiles(text)
        parts = []
        for counted in (
            GetHashedMorganFingerprint(molecule, nBits=1024, radius=2),
            GetAvalonCountFP(molecule, nBits=1024),
        ):
            parts.append(np.zeros(0, np.int32))
            DataStructs.ConvertToNumpyArray(counted, parts[-1])
        parts.append(rdReducedGraphs.GetErGFingerprint(molecule))
        parts.append(np.array(calculator.CalcDescriptors(molecule)))
        rows.append(np.concatenate(parts))
    with np.errstate(over="ignore"):
        return np.array(rows).astype(np.float32)


def measure_features(count: int) -> Picture:
    """Molecules a second."""
    smiles = moses(count, 700_000)
    cores = os.cpu_count() or 1
    features.describe(smiles[:20])  # compiled, or read from disk
    with BlockLogs(), tempfile.TemporaryDirectory() as folder:
        plain, plain_cpu, plain_wall = timed(lambda: plain_loop(smiles))
        ours, cpu, wall = timed(lambda: features.describe(smiles))
        with features.feature_pool(cores) as run:
            list(run([smiles[:20]] * cores))  # processes are there
            many, _, many_wall = timed(
                lambda: np.concatenate(list(run([smiles[at::cores] for at in range(cores)])))
            )
        features.maplight(smiles, cache=Path(folder))
        kept, kept_cpu, kept_wall = timed(lambda: features.maplight(smiles, cache=Path(folder)).values)
    in_order = np.empty_like(many)
    at = 0
    for first in range(cores):
        size = len(smiles[first::cores])
        in_order[first::cores] = many[at : at + size]
        at += size
    if not all(np.array_equal(plain, one, equal_nan=True) for one in (ours, in_order, kept)):
        raise SystemExit("the features differ from those of the plain loop")
    print(f"{count} molecules, 2,563 features; all values identical")
    for name, seconds, waited in (
        ("plain MapLight loop", plain_cpu, plain_wall),
        ("kifabrik, one process", cpu, wall),
        ("kifabrik, from the cache", kept_cpu, kept_wall),
    ):
        print(f"  {name:28} {count / seconds:9,.0f} a CPU second  {count / waited:9,.0f} a second")
    print(f"  {f'kifabrik, {cores} processes':28} {'':22} {count / many_wall:9,.0f} a second")
    ratio = plain_wall / many_wall
    print(f"  {plain_cpu / cpu:.2f} x by CPU in one process; {ratio:.2f} x by wall clock with {cores} processes")
    return Picture(
        "MapLight features",
        "molecules/s",
        (
            Bar("plain loop", count / plain_wall),
            Bar("kifabrik, one process", count / wall, "ours"),
            Bar(f"kifabrik, {cores} processes", count / many_wall, "ours"),
            Bar("4 x the plain loop", 4 * count / plain_wall, "limit"),
        ),
        targets=(at_least(f"MapLight features, {cores} processes, to the plain loop", ratio, 4, "{:.2f} x"),),
    )


def measure_search(count: int) -> list[Picture]:
    """Milliseconds a query, each in one thread."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        smiles = moses(count)
        (folder / "library.smi").write_text("".join(f"{text} {at}\n" for at, text in enumerate(smiles)))
        _, cpu, _ = timed(lambda: build(Library(folder / "library.smi"), folder / "index", workers=2))
        print(f"index of {count:,} molecules: {cpu:.0f} CPU s")
        index = open_index(folder / "index")
        packed = np.empty((count, WORDS), np.uint64)
        packed[index.rows] = index.fingerprints
        peer = fpsim2(smiles, folder / "library.h5")
        places = set(map(int, np.random.default_rng(1).choice(1_000_000, QUERIES, replace=False)))
        asked = [text for at, text in enumerate(moses(1_000_000)) if at in places]
        return [
            _search(index, peer, packed, asked, MOST, 0.0),
            _search(index, peer, packed, asked, None, THRESHOLD),
        ]


def fpsim2(smiles: list[str], file: Path):
    """FPSim2's engine over these molecules, or None where it is not installed."""
    try:
        from FPSim2 import FPSim2Engine  # noqa: PLC0415
        from FPSim2.io import create_db_file  # noqa: PLC0415
    except ModuleNotFoundError:
        print("FPSim2 is not installed and left out (pip install FPSim2)")
        return None
    bits = {"fp_type": "Morgan", "fp_params": {"radius": 2, "fpSize": 2048}}
    source = ([text, at] for at, text in enumerate(smiles))
    _, cpu, _ = timed(lambda: create_db_file(mols_source=source, filename=str(file), mol_format="smiles", **bits))
    print(f"FPSim2's file:              {cpu:.0f} CPU s")
    return FPSim2Engine(str(file))


def _search(index, peer, packed, asked, most, threshold) -> Picture:
    from rdkit.Chem import rdFingerprintGenerator  # noqa: PLC0415

    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    bits = [generator.GetFingerprint(Chem.MolFromSmiles(text)) for text in asked]
    queries = np.frombuffer(b"".join(map(DataStructs.BitVectToBinaryText, bits)), "<u8").reshape(-1, WORDS).copy()
    what = f"the {most} most similar" if most else f"all of similarity {threshold} and more"
    print(f"{what}, {len(asked)} queries in a batch, {len(packed):,} molecules, CPU ms a query in one thread")
    similar(index, queries[:2], most=most, threshold=threshold)  # compiled, or read from disk
    found, cpu, _ = timed(lambda: similar(index, queries, most=most, threshold=threshold))
    few = 10
    library = _vectors(packed)
    bulk, bulk_cpu, _ = timed(
        lambda: [np.array(DataStructs.BulkTanimotoSimilarity(one, library)) for one in bits[:few]]
    )
    for one, values in zip(found[:few], bulk, strict=True):
        if one.similarities.tolist() != np.sort(values[values >= threshold])[::-1][:most].tolist():
            raise SystemExit("other similarities than RDKit's")
    print("  hits as RDKit's, to the last bit")
    counts = count_bits(packed)
    _, numpy_cpu, _ = timed(lambda: [_numpy(packed, counts, query) for query in queries[:few]])
    each = {"kifabrik": cpu / len(asked) * 1e3}
    on_gpu = _on_gpu(index, queries, most, threshold, found)
    if on_gpu is not None:
        each["kifabrik, torch on a GPU (wall clock)"] = on_gpu
    targets = ()
    more = ()
    if peer:
        each["FPSim2"] = _asked_of(peer, asked, most, threshold, found)
        targets = (at_most(f"search, {what}, to FPSim2", each["kifabrik"] / each["FPSim2"], 0.5, "{:.2f} x"),)
        more = (Bar("half of FPSim2", each["FPSim2"] / 2, "limit"),)
    each |= {"RDKit bulk": bulk_cpu / few * 1e3, "numpy": numpy_cpu / few * 1e3}
    for name, spent in each.items():
        ratio = "" if name == "kifabrik" else f"{each['kifabrik'] / spent:8.2f} x its time"
        print(f"  {name:38} {spent:8.2f} {ratio}".rstrip())
    bars = tuple(Bar(name, spent, "ours" if "kifabrik" in name else "peer") for name, spent in each.items())
    title = f"Search of {len(packed):,} molecules: {what}"
    return Picture(title, "CPU ms a query", (*bars, *more), targets=targets)


def _asked_of(peer, asked, most, threshold, expected) -> float:
    """FPSim2's CPU milliseconds a query.

    Raises:
        SystemExit: Its hits differ by more than its 32 bits.
    """

    def answers():
        if most:
            return [peer.top_k(text, k=most, threshold=threshold, n_workers=1) for text in asked]
        return [peer.similarity(text, threshold, n_workers=1) for text in asked]

    found, cpu, _ = timed(answers)
    for one, other in zip(expected, found, strict=True):
        if not np.allclose(np.sort(one.similarities), np.sort(other["coeff"]), atol=1e-6):
            raise SystemExit("other similarities than FPSim2's")
    print("  hits as FPSim2's, to 32 bits")
    return cpu / len(asked) * 1e3


def _on_gpu(index, queries, most, threshold, expected) -> float | None:
    """Wall milliseconds a query by torch, data sent to the GPU included; None where there is no GPU or no torch."""
    try:
        torch_search.torch_for(Device.CUDA)
    except UsageError:
        return None
    search = partial(torch_search.similar, index, queries, most=most, threshold=threshold, device=Device.CUDA)
    search()  # the GPU wakes up
    found, _, wall = timed(search)
    for one, other in zip(found, expected, strict=True):
        if not (np.array_equal(one.rows, other.rows) and np.array_equal(one.similarities, other.similarities)):
            raise SystemExit("torch on the GPU finds other hits than the kernel")
    return wall / len(queries) * 1e3


def _vectors(packed):
    return [DataStructs.CreateFromBinaryText(row.tobytes()) for row in packed]


def _numpy(packed, counts, query):
    shared = np.bitwise_count(packed & query).sum(axis=1)
    return shared / (counts + int(np.bitwise_count(query).sum()) - shared)


def measure_training(count: int, recipe: str) -> Picture:
    """Seconds from a table of measurements to a model and its report, by step."""
    from kifabrik.recipes.pharma.boosting import Recipe  # noqa: PLC0415
    from kifabrik.recipes.pharma.evaluated import load_evaluation, save_evaluation  # noqa: PLC0415
    from kifabrik.recipes.pharma.evaluating import evaluate  # noqa: PLC0415
    from kifabrik.recipes.pharma.measuring import Wishes  # noqa: PLC0415
    from kifabrik.recipes.pharma.model import save  # noqa: PLC0415
    from kifabrik.recipes.pharma.molecules import Standardiser  # noqa: PLC0415
    from kifabrik.recipes.pharma.prepared import load_prepared, save_prepared  # noqa: PLC0415
    from kifabrik.recipes.pharma.preparing import prepare  # noqa: PLC0415
    from kifabrik.recipes.pharma.report import write_report  # noqa: PLC0415
    from kifabrik.recipes.pharma.sides import load_split, save_split  # noqa: PLC0415
    from kifabrik.recipes.pharma.splitting import split  # noqa: PLC0415
    from kifabrik.recipes.pharma.training import Training, train  # noqa: PLC0415

    cores = os.cpu_count() or 1
    lap = Laps()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table = folder / "measured.csv"
        with gzip.open(data() / SOLUBILITIES, "rt") as file, table.open("w") as out:
            rows = csv.writer(out)
            rows.writerow(["id", "smiles", "logS"])
            drug_like = (row for row in csv.DictReader(file) if float(row["HeavyAtomCount"]) >= LEAST_ATOMS)
            rows.writerows([row["ID"], row["SMILES"], row["Solubility"]] for row in islice(drug_like, count))
        print(f"{count:,} solubilities, recipe {recipe}, {cores} at once")
        made = prepare([table], Wishes(endpoints=("logS",)), workers=cores)
        save_prepared(made, [table], folder / "prepared", Standardiser())
        compounds, facts = load_prepared(folder / "prepared")
        lap("prepare")
        save_split(compounds, facts, split(compounds), folder / "split", share=0.2, seed=1)
        sides = load_split(folder / "split")
        lap("split")
        wishes = Training(recipe=None if recipe == "auto" else Recipe(recipe), workers=cores, cache=folder / "kept")
        model = train(sides.train, sides.endpoint(), wishes)
        save(model, folder / "model")
        lap("train")
        found = evaluate(model, sides.train, sides.test, workers=cores, cache=folder / "kept")
        save_evaluation(found, sides, folder / "model")
        lap("evaluate")
        write_report(model, load_evaluation(folder / "model"), folder / "model")
        lap("report")
    cpu, wall, limit = sum(lap.cpu), sum(lap.wall), count * SECONDS_OF_A_COMPOUND
    print(f"  {'all':10} {cpu:7.1f} CPU s {wall:7.1f} s; {cpu / cores:.0f} s if {cores} cores were free")
    what = f"train and report on {count:,} compounds, CPU seconds of each of {cores} cores"
    return Picture(
        f"From {count:,} measurements to a report",
        f"CPU seconds of each of {cores} cores",
        (*lap.bars(cores), Bar("asked", limit, "limit")),
        note=f"Asked: ten minutes for 5,000 compounds, so {limit:.0f} s for these. By the clock: {wall:.0f} s.",
        targets=(at_most(what, cpu / cores, limit, "{:.0f} s"),),
    )


class Laps:
    """Steps that follow one another; prints each as it ends."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._clock = Clock()
        self.cpu: list[float] = []
        self.wall: list[float] = []

    def __call__(self, name: str) -> None:
        """A step has ended."""
        cpu, wall = self._clock.read()
        self._names.append(name)
        self.cpu.append(cpu - sum(self.cpu))
        self.wall.append(wall - sum(self.wall))
        print(f"  {name:10} {self.cpu[-1]:7.1f} CPU s {self.wall[-1]:7.1f} s", flush=True)

    def bars(self, cores: int) -> list[Bar]:
        """CPU seconds of each step, spread over so many cores, each behind the one before."""
        seconds = [one / cores for one in self.cpu]
        starts = (0.0, *accumulate(seconds))
        return [Bar(*step, "ours", start) for *step, start in zip(self._names, seconds, starts, strict=False)]


def main() -> None:
    """Measure and print."""
    made = parser(__doc__)
    made.add_argument("--molecules", type=int, default=1000)
    made.add_argument("--library", type=int, default=500_000)
    made.add_argument("--compounds", type=int, default=5000)
    made.add_argument("--recipe", default="auto")
    made.add_argument("--only", choices=("features", "search", "training"))
    wishes = made.parse_args()
    pictures = []
    if wishes.only in {None, "features"}:
        pictures.append(measure_features(wishes.molecules))
    if wishes.only in {None, "search"}:
        pictures += measure_search(wishes.library)
    if wishes.only in {None, "training"}:
        pictures.append(measure_training(wishes.compounds, wishes.recipe))
    hand_on(wishes.json, *pictures)


if __name__ == "__main__":
    main()
