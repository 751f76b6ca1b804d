"""One study spread over several runs: each simulates a share of the scenarios, and together they are the whole.

Invariants:
    - Parts begin at multiples of the engine's `GROUP`, and sums are added up group by group in order, so figures of
      the whole are, bit for bit, those of a study in one piece.
"""

import json
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from kifabrik.durable import replacing
from kifabrik.errors import UsageError
from kifabrik.recipes.supply_chain.blocks import GROUP
from kifabrik.recipes.supply_chain.books import Books
from kifabrik.recipes.supply_chain.plan import compile_network
from kifabrik.recipes.supply_chain.results import Results, Settings, Tallies
from kifabrik.recipes.supply_chain.saving import load, save

TALLIES: Final = "tallies.npz"


@dataclass(frozen=True, slots=True)
class Part:
    """Part of a study.

    Attributes:
        results: Of its scenarios.
        whole: Settings of the whole study.
    """

    results: Results
    whole: Settings


def share(whole: Settings, part: int, parts: int) -> Settings:
    """Settings of one part of a study.

    Args:
        whole: Settings of the whole.
        part: Its number, from 1.
        parts: How many there are.

    Raises:
        UsageError: There is no such part, or there are fewer groups of scenarios than parts.
    """
    groups = -(-whole.scenarios // GROUP)
    if not 1 <= part <= parts:
        raise UsageError(f"There is no part {part} of {parts}.", hint="Parts are numbered from 1.")
    if parts > groups:
        raise UsageError(
            f"{whole.scenarios} scenarios cannot be spread over {parts} parts.",
            hint=f"Each part takes at least {GROUP} scenarios: at most {groups} parts.",
        )
    first, end = (GROUP * (groups * number // parts) for number in (part - 1, part))
    count = min(end, whole.scenarios) - first
    return replace(
        whole, scenarios=count, first=whole.first + first, traced=max(0, min(count, whole.traced - first))
    )


def save_part(part: Part, folder: Path) -> None:
    """Write a part's results as `saving.save` does, and beside them what gathering needs.

    Raises:
        CapacityError: If the disk is full.
        UsageError: If the folder cannot be written to, or the results have no tallies.
    """
    if part.results.tallies is None:
        raise UsageError("These results have no tallies: they cannot become part of a study.")
    save(part.results, folder)
    with replacing(folder / TALLIES) as fresh, fresh.open("wb") as file:
        np.savez_compressed(file, whole=json.dumps(asdict(part.whole)), **asdict(part.results.tallies))


def load_part(folder: Path) -> Part:
    """Read what `save_part` wrote.

    Raises:
        UsageError: If it is not there, not whole or not such results.
    """
    results = load(folder)
    path = folder / TALLIES
    try:
        with np.load(path, allow_pickle=False) as found:
            tallies = Tallies(nodes=found["nodes"], lanes=found["lanes"])
            whole = Settings(**json.loads(str(found["whole"])))
    except FileNotFoundError:
        raise UsageError(
            f"{folder} is not part of a study: {TALLIES} is missing.",
            hint="Parts are written by `kifabrik supply-chain run --part 1/4`.",
        ) from None
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise UsageError(f"{path} cannot be read.", hint="Run this part again.") from error
    return Part(replace(results, tallies=tallies), whole)


def gather(parts: Sequence[Part]) -> Results:
    """Make one study of its parts.

    Args:
        parts: All of them, in any order.

    Raises:
        UsageError: They do not make up one study: of different ones, a gap, or one twice.
    """
    if not parts:
        raise UsageError("There are no parts to gather.")
    whole, network = parts[0].whole, parts[0].results.network
    if any(part.whole != whole or part.results.network != network for part in parts):
        raise UsageError("The parts are of different studies.", hint="Gather parts of one network and one setting.")
    ordered = sorted((part.results for part in parts), key=lambda part: part.settings.first)
    _check(ordered, whole)
    tallies = [part.tallies for part in ordered if part.tallies is not None]
    if len(tallies) < len(ordered):
        raise UsageError("A part has no tallies.", hint="Read parts with load_part.")
    books = Books(network, compile_network(network, seed=whole.seed, real=np.float32), whole)
    books.resume(
        {name: np.concatenate([part.scenarios[name] for part in ordered]) for name in ordered[0].scenarios},
        Tallies(
            nodes=np.concatenate([one.nodes for one in tallies]),
            lanes=np.concatenate([one.lanes for one in tallies]),
        ),
    )
    results = books.close({}, (), sum(part.seconds for part in ordered))
    traced = [part.courses for part in ordered if part.courses]
    names = traced[0] if traced else ()
    if any(set(courses) != set(names) for courses in traced):
        raise UsageError("The parts have watched different nodes.", hint="Run them with the same settings.")
    courses = {name: np.concatenate([each[name] for each in traced], axis=1) for name in names}
    return replace(results, courses=courses)


def _check(ordered: Sequence[Results], whole: Settings) -> None:
    """Check that each scenario stands in one part."""
    end = whole.first
    for first, count in [(part.settings.first, part.settings.scenarios) for part in ordered] + [
        (whole.first + whole.scenarios, 0)
    ]:
        if first != end:
            wrong, low, high = ("stand in two parts", first, end) if first < end else ("are missing", end, first)
            raise UsageError(f"Scenarios {low} to {high - 1} {wrong}.", hint="Name every part, each once.")
        end = first + count
