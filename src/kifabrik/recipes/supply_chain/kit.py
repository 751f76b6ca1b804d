"""The supply-chain study as a kit: job files for one run, or for parts and the run that gathers them."""

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from kifabrik.errors import CapacityError
from kifabrik.recipes.kits import CODE, Kit, Setting, limits, name_of, one_of, sealed_steps, within, without
from kifabrik.recipes.supply_chain.portable import compile_into, levels
from kifabrik.recipes.supply_chain.tables.template import write_example

_MOST_RUNS: Final = 48
"""An order takes at most 50 inputs."""
_PROGRAM: Final = "python -m kifabrik.recipes.supply_chain"
_INSIDE: Final = "kifabrik/recipes/supply_chain/compiled"

_HEAD: Final = """\
name: {name}
purpose: {purpose}
data:
{data}
workdir: {code}
environment: {{requirements: requirements.txt}}
run: >-
  {run}
resources: {{cpu: {cpu}, memory: {memory}}}
outputs: {{{output}: /out/{output}}}
publish: []                    # figures the factory may see: none; beta, alpha, cost and stock_value are there
max_duration: 4h
budget: {budget} EUR
retry: {{attempts: 3, on: [preemption, node-failure]}}
"""

_README: Final = """\
# A supply-chain study on sealed tables

The tables of the network and the history of demand are sealed here, simulated in the factory without network, and
the report comes back sealed. The factory sees neither tables nor code nor results.

    {steps}

- The folder you seal holds the tables (`kifabrik supply-chain template FOLDER` explains each) and, if you have it,
  `history.csv` (`product, site, date, quantity`): demand is then fitted to it, and the tables' own is not used.
- A dataset that `kifabrik sap network` sealed is such a folder already: leave out the first step, and name it with
  `--set dataset=NAME`.
- `code/` is the recipe as it is installed here. It is yours: change it, it travels sealed.
- `requirements.txt` names the packages it was tested with.
{compiled}{spread}"""

_COMPILED: Final = """\
- `code/{compiled}` holds the simulator compiled for kinds of processors, so that runs start at once. A run
  takes it where text, Python, numba and processor agree, and else compiles, about half a minute. Without it
  figures are the same, bit for bit; who wants code to be text only deletes the folder, or sets `compiled=no`.
"""

_SPREAD: Final = """\
- `parts.yaml` is a sweep: each of its {runs} tasks simulates a share of the scenarios. `job.yaml` gathers what they
  put out, without it ever leaving the factory; its figures are, bit for bit, those of the same study in one run.
"""


def _files(values: Mapping[str, str]) -> dict[str, str]:
    runs = int(values["runs"])
    study = " ".join(
        f"--{name} {values[name]}" for name in ("scenarios", "periods", "warm-up", "seed") if values[name]
    )
    study += f" --what-if '{values['what-if']}'" if values["what-if"] else ""
    concluding = f"--out /out/study --critical {values['critical']} --language {values['language']}"
    common = {key: values[key] for key in ("purpose", "cpu", "memory", "budget")} | {"code": CODE}
    network = f"  /data/network: {values['dataset']}"
    steps = "\n    ".join(_steps(Path(), values))
    compiled = _COMPILED.format(compiled=_INSIDE) if values["compiled"] == "yes" else ""
    readme = _README.format(steps=steps, compiled=compiled, spread=_SPREAD.format(runs=runs) if runs > 1 else "")
    if runs == 1:
        run = f"{_PROGRAM} run /data/network {study} {concluding}"
        job = _HEAD.format(name=values["name"], data=network, run=run, output="study", **common)
        return {"README.md": readme, "job.yaml": f"# A study of a sealed supply network, in one run.\n{job}"}
    parts = f"{values['name']}-parts"
    share = f'{_PROGRAM} run /data/network {study} --part "$part/{runs}" --out /out/part'
    numbers = ", ".join(map(str, range(1, runs + 1)))
    sweep = (
        _HEAD.format(name=parts, data=network, run=share, output="part", **common)
        + f"matrix: {{part: [{numbers}]}}\n"
    )
    mounts = "\n".join(f"  /data/part-{number}: output:{parts}/{number}/part" for number in range(1, runs + 1))
    joined = " ".join(f"/data/part-{number}" for number in range(1, runs + 1))
    job = _HEAD.format(
        name=values["name"], data=mounts, run=f"{_PROGRAM} gather {joined} {concluding}", output="study", **common
    )
    return {
        "README.md": readme,
        "parts.yaml": f"# Each task simulates a share of the scenarios.\n{sweep}",
        "job.yaml": f"# Gathers the parts into one study, and writes its report.\n{job}",
    }


def _steps(folder: Path, values: Mapping[str, str]) -> tuple[str, ...]:
    jobs = ["parts.yaml", "job.yaml"] if int(values["runs"]) > 1 else ["job.yaml"]
    return sealed_steps(folder, values, jobs, "study")


def _compile(folder: Path, values: Mapping[str, str], tell: Callable[[str], None]) -> None:
    """Put the simulator, compiled, into the kit's code; where that cannot be, the runs compile."""
    if values["compiled"] == "no":
        return
    made = levels() if find_spec("numba") else ()
    if not made:
        tell("This machine cannot compile for the factory's nodes: each run compiles the simulator, half a minute.")
        return
    tell(f"Compiling the simulator for {' and '.join(made)}: half a minute, once for each version.")
    try:
        compile_into(folder / CODE / _INSIDE)
    except CapacityError as error:
        tell(f"{error.message}. Each run compiles the simulator, half a minute.")


SUPPLY_CHAIN: Final = Kit(
    name="supply-chain",
    about="Simulate a supply network on sealed tables; tables of results and a report come back.",
    package="supply_chain",
    extra="supply-chain",
    settings=(
        Setting("name", "supply-study", "name of the job", name_of("job")),
        Setting("dataset", "supply-network", "dataset that holds the tables", name_of("dataset")),
        Setting("purpose", "supply-planning", "what the data is used for", name_of("purpose")),
        Setting("runs", "1", "runs to spread the scenarios over", within(1, _MOST_RUNS)),
        Setting("scenarios", "10000", "how many", within(2, 100_000_000)),
        Setting("periods", "365", "of each scenario", within(1, 1_000_000)),
        Setting("warm-up", "0", "periods not counted", within(0, 1_000_000)),
        Setting("seed", "1", "of all luck", within(0, 2**32 - 1)),
        Setting("what-if", "", "name of a row of the table scenarios", without("'\n\\")),
        Setting("critical", "10", "most critical nodes to name", within(0, 1000)),
        Setting("language", "en", "of the report: de or en", one_of("de", "en")),
        Setting("compiled", "yes", "send the simulator compiled along: yes or no", one_of("yes", "no")),
        *limits(cpu=2, memory="4GB", budget=5, whose="of each run"),
    ),
    files=_files,
    steps=_steps,
    example=write_example,
    finish=_compile,
)
