"""Which runs used what, what they made, and under which identity: the graph behind erasure.

Invariants:
- the inputs of a run are noted with its first lease, before any key leaves;
- a model counts as made from everything its run used, transitively;
- what a run has put out counts for other runs only if it has ended well; what came out of it otherwise is noted
  too, since it was made from the same data.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from kifabrik.keyholder.database import Database
from kifabrik.values import Kind, is_id

_SUCCESS: Final = 0
"""In place of an output's number: outputs are counted from 1, and from -1 down if the run has not ended well."""


@dataclass(frozen=True)
class Output:
    """A result of a run.

    Args:
        run: Run id.
        number: From 1; the same below 0 if its run has not ended well.
        manifest: Digest of its manifest statement.
    """

    run: str
    number: int
    manifest: str

    @property
    def owner(self) -> str:
        """The owner its manifest names."""
        return f"{self.run}/{abs(self.number)}"


def run_of(owner: str) -> str:
    """Return the run a run's part belongs to; empty for a dataset."""
    run, slash, _ = owner.partition("/")
    return run if slash else ""


class Lineage:
    """Inputs, outputs and result recipients of runs."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def add_inputs(self, run: str, owners: Iterable[str]) -> None:
        """Note what a run is given; a run without inputs is noted too."""
        rows = [(run, owner) for owner in ("", *owners)]
        self._db.insert_many("INSERT OR IGNORE INTO run_inputs VALUES (?, ?)", rows)

    def inputs(self, run: str) -> tuple[str, ...] | None:
        """Return what a run was given; None if this keyholder never gave it anything."""
        rows = self._db.rows("SELECT owner FROM run_inputs WHERE run = ? ORDER BY owner", (run,))
        return tuple(row["owner"] for row in rows if row["owner"]) if rows else None

    def ancestry(self, owners: Iterable[str]) -> dict[str, tuple[str, ...] | None]:
        """Return the inputs of every run that stands behind `owners`, transitively, by run."""
        found: dict[str, tuple[str, ...] | None] = {}
        waiting = [run for owner in owners if (run := run_of(owner))]
        while waiting:
            run = waiting.pop()
            if run in found:
                continue
            found[run] = self.inputs(run)
            waiting += [behind for owner in found[run] or () if (behind := run_of(owner))]
        return found

    def descendants(self, dataset: str) -> list[str]:
        """Return every run that used a dataset, or a model made from it, transitively."""
        children: dict[str, list[str]] = {}
        for row in self._db.rows("SELECT run, owner FROM run_inputs WHERE owner <> ''"):
            children.setdefault(run_of(row["owner"]) or row["owner"], []).append(row["run"])
        found: list[str] = []
        waiting = [dataset]
        while waiting:
            for run in children.get(waiting.pop(), ()):
                if run not in found:
                    found.append(run)
                    waiting.append(run)
        return sorted(found)

    def add_output(self, output: Output) -> None:
        """Note a result."""
        row = (output.run, output.number, output.manifest)
        self._db.execute("INSERT OR IGNORE INTO outputs VALUES (?, ?, ?)", row)

    def add_success(self, run: str, finish: str) -> None:
        """Note that a run has ended well, by the digest of the end that says so: an output without a number."""
        self.add_output(Output(run, _SUCCESS, finish))

    def succeeded(self, order_run: str) -> set[str]:
        """Return the runs of an order that have ended well: the one of this id, or tasks of the sweep."""
        rows = self._db.rows(
            "SELECT DISTINCT run FROM outputs WHERE number >= ? AND (run = ? OR (run > ? AND run < ?))",
            (_SUCCESS, order_run, f"{order_run}-", f"{order_run}."),
        )
        return {row["run"] for row in rows}

    def runs_of(self, order_run: str) -> list[str]:
        """Return the runs of an order that were given anything: the one of this id, or tasks of the sweep."""
        query = "SELECT DISTINCT run FROM run_inputs WHERE run = ? OR (run > ? AND run < ?) ORDER BY run"
        return [row["run"] for row in self._db.rows(query, (order_run, f"{order_run}-", f"{order_run}."))]

    def outputs(self, run: str) -> list[Output]:
        """Return the results of a run."""
        query = "SELECT * FROM outputs WHERE run = ? AND number <> ? ORDER BY number, manifest"
        rows = self._db.rows(query, (run, _SUCCESS))
        return [Output(row["run"], row["number"], row["manifest"]) for row in rows]

    def output(self, owner: str) -> str:
        """Return the digest of the manifest of a result: the first its run ended with; empty if there is none."""
        run, _, number = owner.partition("/")
        query = "SELECT manifest FROM outputs WHERE run = ? AND number = ? ORDER BY rowid LIMIT 1"
        row = self._db.row(query, (run, int(number))) if number.isdecimal() and int(number) > _SUCCESS else None
        return "" if row is None else str(row["manifest"])

    def result_recipient(self, run: str) -> str:
        """Return what the results of a run are sealed to; empty if the run never had a lease."""
        row = self._db.row("SELECT recipient FROM results WHERE run = ?", (run,))
        return "" if row is None else str(row["recipient"])

    def set_result_recipient(self, run: str, recipient: str) -> None:
        """Bind a result identity to a run, for good."""
        self._db.execute("INSERT OR IGNORE INTO results VALUES (?, ?)", (run, recipient))

    def free_recipients(self, prefix: str, most: int) -> list[str]:
        """Return result recipients that belong to no run yet, the oldest first.

        Args:
            prefix: What the names of their secrets begin with.
            most: How many at most.
        """
        rows = self._db.rows(
            "SELECT public FROM secrets WHERE substr(name, 1, ?) = ?"
            " AND public NOT IN (SELECT recipient FROM results) ORDER BY created, name LIMIT ?",
            (len(prefix), prefix, most),
        )
        return [row["public"] for row in rows]


def is_dataset(owner: str) -> bool:
    """Whether an owner is a dataset, not a part of a run."""
    return is_id(owner, Kind.DATASET)
