"""Training on confidential compounds, and screening with what was learnt, as kits."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from kifabrik.errors import UsageError
from kifabrik.recipes.kits import CODE, Kit, Setting, limits, name_of, one_of, sealed_steps, within, without

_PROGRAM: Final = "python -m kifabrik.recipes.pharma.job"
_UNSAFE: Final = "'\"\\$`\n"

_JOB: Final = """\
# Learn from sealed compounds: prepared, split, trained, judged, reported; the model comes back sealed.
name: {name}
purpose: {purpose}
data:
  /data/compounds: {dataset}
workdir: {code}
environment: {{requirements: requirements.txt}}
run: >-
  {run}
resources: {{cpu: {cpu}, memory: {memory}}}
outputs: {{model: /out/model}}
publish: []                    # figures the factory may see: none; the log names those there are
max_duration: 12h
budget: {budget} EUR
retry: {{attempts: 3, on: [preemption, node-failure]}}
"""

_README: Final = """\
# A model from sealed compounds

    {steps}

- The folder you seal holds tables of structures and measurements (CSV, SDF or SMILES; docs/pharma.md names the
  columns). The factory sees neither structures nor figures, nor which recipe ran.
- `code/` is the recipe as it is installed here. It is yours: change it, it travels sealed.
- The model folder holds the model, its lineage (which compounds made it), its figures and the report.
"""


_SCREEN: Final = """\
# Find the best molecules of a sealed library by a sealed model, which is never opened outside.
name: {name}
purpose: {purpose}
data:
  /data/model: model:{model}
  /data/library: {dataset}
workdir: {code}
environment: {{requirements: requirements.txt}}
run: >-
  {run}
resources: {{cpu: {cpu}, memory: {memory}}}
outputs: {{hits: /out/hits}}
checkpoint: /checkpoint        # another attempt goes on where this one ended
max_duration: 24h
budget: {budget} EUR
retry: {{attempts: 3, on: [preemption, node-failure]}}
"""

_SCREEN_README: Final = """\
# Screening a sealed library with a sealed model

    {steps}

- The model is one that `kifabrik recipe new pharma-train` has made; every dataset behind it needs a live grant for
  this purpose, too. The folder you seal holds one table of molecules (SMILES, CSV or Parquet; .gz).
- What comes back: hits.csv, hits.sdf, rejects.csv and summary.json (docs/pharma-screening.md names the columns).
- `code/` is the recipe as it is installed here. It is yours: change it, it travels sealed.
"""


def _screen_files(values: Mapping[str, str]) -> dict[str, str]:
    words = ["screen /data/model /data/library --out /out/hits --resume /checkpoint"]
    words += [f"--{name} {values[name]}" for name in ("keep", "hits", "diverse", "pick", "best", "seed")]
    words += [f"--{name} {each}" for name in ("rule", "alerts") for each in values[name].split(",") if each]
    common = {key: values[key] for key in ("name", "purpose", "dataset", "model", "cpu", "memory", "budget")}
    job = _SCREEN.format(code=CODE, run=f"{_PROGRAM} {' '.join(words)}", **common)
    return {"README.md": _SCREEN_README.format(steps="\n    ".join(_screen_steps(Path(), values))), "job.yaml": job}


def _screen_steps(folder: Path, values: Mapping[str, str]) -> tuple[str, ...]:
    return sealed_steps(folder, values, ["job.yaml"], "hits")


def _screen_example(folder: Path) -> None:
    """Write 4,999 molecules of the National Cancer Institute's open collection, as RDKit distributes them."""
    from rdkit import RDConfig  # noqa: PLC0415 - slow to import, and an extra

    source = Path(RDConfig.RDDataDir) / "NCI" / "first_5K.smi"
    if not source.is_file():
        raise UsageError("this RDKit comes without the example library", hint="Take the one from PyPI.")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "library.smi").write_bytes(source.read_bytes())


def _per_cent(name: str, value: str) -> str:
    if not re.fullmatch(r"\d{1,3}(\.\d{1,4})?", value) or not 0 < float(value) <= 100:  # noqa: PLR2004
        raise UsageError(f"{name} must be more than 0 and at most 100 per cent, not {value!r}")
    return value


def _files(values: Mapping[str, str]) -> dict[str, str]:
    endpoints = [each for each in values["endpoints"].split(",") if each]
    first, count = int(values["seed"]), int(values["seeds"])
    is_sweep = len(endpoints) > 1 or count > 1
    words = ["train /data/compounds --out /out/model"]
    if is_sweep:
        words.append('--seed "$seed"')
        words += ['--endpoint "$endpoint"'] if endpoints else []
    else:
        words.append(f"--seed {first}")
        words += [f"--endpoint '{endpoints[0]}'"] if endpoints else []
    words += [f"--{name} '{values[name]}'" for name in ("active", "by") if values[name]]
    words += [f"--{name} {values[name]}" for name in ("recipe", "bounds", "members", "language")]
    common = {key: values[key] for key in ("name", "purpose", "dataset", "cpu", "memory", "budget")}
    job = _JOB.format(code=CODE, run=f"{_PROGRAM} {' '.join(words)}", **common)
    if is_sweep:
        seeds = ", ".join(str(first + number) for number in range(count))
        named = f", endpoint: [{', '.join(map(_quoted, endpoints))}]" if endpoints else ""
        job += f"matrix: {{seed: [{seeds}]{named}}}\n"
    return {"README.md": _README.format(steps="\n    ".join(_steps(Path(), values))), "job.yaml": job}


def _quoted(text: str) -> str:
    return f'"{text}"'


def _steps(folder: Path, values: Mapping[str, str]) -> tuple[str, ...]:
    name = values["name"]
    *before, pull = sealed_steps(folder, values, ["job.yaml"], "model")
    is_sweep = "," in values["endpoints"] or int(values["seeds"]) > 1
    chosen = (f"kifabrik results {name}", f"kifabrik model promote {name}/1") if is_sweep else ()
    return (*before, *chosen, pull)


def _words(_name: str, value: str) -> str:
    if not re.fullmatch(r"[a-z-]*(,[a-z-]+)*", value):
        raise UsageError(f"{value!r} is not a list of words with commas between")
    return value


def _example(folder: Path) -> None:
    """Write 1,017 inhibitors of a sodium channel with their pIC50 (ChEMBL document CHEMBL2321810, CC BY-SA 3.0).

    They are part of RDKit's distribution, which says what of: `Contrib/FreeWilson`.
    """
    from rdkit import RDConfig  # noqa: PLC0415 - slow to import, and an extra

    source = Path(RDConfig.RDContribDir) / "FreeWilson" / "data"
    table, structures = source / "CHEMBL2321810_act.csv", source / "CHEMBL2321810.smi"
    if not (table.is_file() and structures.is_file()):
        raise UsageError("this RDKit comes without the example compounds", hint="Take the one from PyPI.")
    activity = dict(line.split(",") for line in table.read_text().splitlines()[1:])
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "inhibitors.csv").open("w", encoding="utf-8") as file:
        file.write("id,smiles,pIC50\n")
        for line in structures.read_text().splitlines():
            smiles, name = line.split()
            file.write(f"CHEMBL{name},{smiles},{activity[name]}\n")


PHARMA_TRAIN: Final = Kit(
    name="pharma-train",
    about="Learn from sealed compounds; the model, its figures and its report come back.",
    package="pharma",
    extra="pharma",
    settings=(
        Setting("name", "compound-model", "name of the job and of the model", name_of("job")),
        Setting("dataset", "compounds", "dataset with structures and measurements", name_of("dataset")),
        Setting("purpose", "pharma-research", "what the data is used for", name_of("purpose")),
        Setting("endpoints", "", "columns to learn, with commas; empty: the only one", without(_UNSAFE)),
        Setting("active", "", "make classes: a limit such as pIC50>6", without(_UNSAFE)),
        Setting("by", "", "time, scaffold, cluster or random", one_of("", "time", "scaffold", "cluster", "random")),
        Setting("recipe", "auto", "auto, maplight or fast", one_of("auto", "maplight", "fast")),
        Setting(
            "bounds",
            "learn",
            "how to take <10 and >10: learn, value or leave-out",
            one_of("learn", "value", "leave-out"),
        ),
        Setting("members", "1", "sets of trees to take the mean of", within(1, 50)),
        Setting("language", "en", "of the report: en or de", one_of("en", "de")),
        Setting("seed", "1", "of luck", within(0, 2**31)),
        Setting("seeds", "1", "so many models with seeds of their own: a sweep", within(1, 1000)),
        *limits(cpu=2, memory="6GB", budget=5, whose="of each run"),
    ),
    files=_files,
    steps=_steps,
    example=_example,
)

PHARMA_SCREEN: Final = Kit(
    name="pharma-screen",
    about="Find the best molecules of a sealed library by a sealed model; the hits come back.",
    package="pharma",
    extra="pharma",
    settings=(
        Setting("name", "compound-hits", "name of the job", name_of("job")),
        Setting("model", "compound-model", "name of the model, as the job was called", name_of("model")),
        Setting("dataset", "library", "dataset with one table of molecules", name_of("dataset")),
        Setting("purpose", "pharma-research", "what the data is used for", name_of("purpose")),
        Setting("keep", "5", "per cent of the library that the model sees", _per_cent),
        Setting("hits", "1000", "how many", within(1, 10_000_000)),
        Setting("diverse", "0", "pick so many hits unlike each other", within(0, 1_000_000)),
        Setting("pick", "maxmin", "how: maxmin, or butina's clusters", one_of("maxmin", "butina")),
        Setting("best", "high", "high or low values", one_of("high", "low")),
        Setting("rule", "", "lipinski, veber or lead-like; several with commas", _words),
        Setting("alerts", "", "pains, brenk or nih; several with commas", _words),
        Setting("seed", "1", "of luck", within(0, 2**31)),
        *limits(cpu=2, memory="6GB", budget=5),
    ),
    files=_screen_files,
    steps=_screen_steps,
    example=_screen_example,
)
