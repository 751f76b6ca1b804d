"""Training on confidential compounds as a kit: one job, or a sweep over endpoints and seeds."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from kifabrik.errors import UsageError
from kifabrik.recipes.kits import CODE, Kit, Setting, choice_of, name_of, number_of, size_of

_PROGRAM: Final = "python -m kifabrik.recipes.pharma.job"
_UNSAFE: Final = frozenset("'\"\\$`\n")

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
    words.append(f"--recipe {values['recipe']} --members {values['members']}")
    common = {key: values[key] for key in ("name", "purpose", "dataset", "cpu", "memory", "budget")}
    job = _JOB.format(code=CODE, run=f"{_PROGRAM} {' '.join(words)}", **common)
    if is_sweep:
        seeds = ", ".join(str(first + number) for number in range(count))
        named = "".join(f", endpoint: [{', '.join(map(_quoted, endpoints))}]" if endpoints else "")
        job += f"matrix: {{seed: [{seeds}]{named}}}\n"
    return {"README.md": _README.format(steps="\n    ".join(_steps(Path(), values))), "job.yaml": job}


def _quoted(text: str) -> str:
    return f'"{text}"'


def _steps(folder: Path, values: Mapping[str, str]) -> tuple[str, ...]:
    name = values["name"]
    is_sweep = "," in values["endpoints"] or int(values["seeds"]) > 1
    chosen = (f"kifabrik results {name}", f"kifabrik model promote {name} --task 1") if is_sweep else ()
    return (
        f"kifabrik dataset seal {values['dataset']} {folder / 'input'}",
        f"kifabrik dataset grant {values['dataset']} --purpose {values['purpose']}",
        f"kifabrik apply {folder / 'job.yaml'}",
        *chosen,
        f"kifabrik model pull {name} --to {folder / 'model'}",
    )


def _plain(value: str) -> str:
    if _UNSAFE & set(value):
        raise UsageError(f"{value!r} must not hold quotation marks, $ or backslashes")
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
        Setting("endpoints", "", "columns to learn, with commas; empty: the only one", _plain),
        Setting("active", "", "make classes: a limit such as pIC50>6", _plain),
        Setting(
            "by",
            "",
            "time, scaffold, cluster or random",
            choice_of("by", "", "time", "scaffold", "cluster", "random"),
        ),
        Setting("recipe", "auto", "auto, maplight or fast", choice_of("recipe", "auto", "maplight", "fast")),
        Setting("members", "1", "sets of trees to take the mean of", number_of("members", 1, 50)),
        Setting("seed", "1", "of luck", number_of("seed", 0, 2**31)),
        Setting("seeds", "1", "so many models with seeds of their own: a sweep", number_of("seeds", 1, 1000)),
        Setting("cpu", "2", "cores of each run", number_of("cpu", 1, 4096)),
        Setting("memory", "6GB", "of each run", size_of("memory")),
        Setting("budget", "5", "euros at most", number_of("budget", 1, 1_000_000)),
    ),
    files=_files,
    steps=_steps,
    example=_example,
)
