"""How an attempt ends, whoever ends it: shares given back, the run judged, the time paid for.

Invariants:
- an attempt ends once, and gives its shares back in the same transaction;
- what follows is decided by `kifabrik.runs.retry.judge` alone;
- only time that a launcher has signed for is charged: an attempt whose node failed costs nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from kifabrik.factory import budget
from kifabrik.factory.allowances import Usage
from kifabrik.factory.ports import Transaction
from kifabrik.factory.pricing import Pricing, cap_within
from kifabrik.factory.run_book import RunBook
from kifabrik.factory.run_records import Attempt, Run, StopCause
from kifabrik.meters.footprint import Footprint, Site, footprint
from kifabrik.meters.reading import Reading
from kifabrik.meters.recorded import references
from kifabrik.prices.pricelist import cost
from kifabrik.runs.gathering import Stage
from kifabrik.runs.retry import Verdict, judge
from kifabrik.runs.states import Outcome, RunState
from kifabrik.values import Money, parse_time

_BY_CAUSE: Final = {
    StopCause.STOP: Outcome.STOPPED,
    StopCause.CAP: Outcome.CAP,
    StopCause.PREEMPTION: Outcome.PREEMPTED,
}
_STOPPED_FIRST: Final = "Somebody stopped the run; it is not tried again."


@dataclass(frozen=True)
class End:
    """How an attempt ended.

    Args:
        outcome: Exit class.
        message: What else there is to say, for people.
        exit_status: Of the customer's program.
        reading: What its launcher signed that it used.
        others: What the launchers of its other nodes signed.
        published: Metrics the order allows the factory to see.
        outputs: Digests of the outputs' manifest statements.
        finish: Digest of the run-finished statement.
        provenance: Digest of the provenance statement.
    """

    outcome: Outcome
    message: str = ""
    exit_status: int | None = None
    reading: Reading | None = None
    others: tuple[Reading, ...] = ()
    published: Mapping[str, float] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    finish: str = ""
    provenance: str = ""


def lost(run: Run, message: str, known: Outcome | None = None) -> End:
    """How an attempt ended whose launcher is gone without a word: by what it was asked, or a failed node.

    Args:
        run: Its run.
        message: What else there is to say, for people.
        known: What a cluster knows of its end.
    """
    return End(_BY_CAUSE[run.stop] if run.stop else known or Outcome.NODE_FAILURE, message)


class Endings:
    """Ends attempts.

    Args:
        book: Moves runs.
        pricing: What attempts cost.
        site: Turns energy into carbon, where the operator has stated its intensity.
    """

    def __init__(self, book: RunBook, pricing: Pricing, site: Site | None = None) -> None:
        self._book = book
        self._pricing = pricing
        self._site = site

    def judge(self, run: Run, attempt: Attempt, outcome: Outcome) -> Verdict:
        """Say what becomes of a run after this outcome of this attempt."""
        if run.stop is StopCause.STOP and outcome is Outcome.NODE_FAILURE:
            outcome = Outcome.STOPPED
        verdict = judge(
            outcome,
            attempt=attempt.number,
            attempts=run.attempts,
            retry_on=frozenset(run.retry_on),
            now=self._book.clock(),
            deadline=parse_time(run.deadline),
        )
        if run.stop is StopCause.STOP and verdict.state is RunState.QUEUED:
            return Verdict(RunState.STOPPED, _STOPPED_FIRST)  # who was told it stops is not to find it going on
        return verdict

    def end(self, transaction: Transaction, run: Run, attempt: Attempt, how: End) -> Run:
        """End an attempt within `transaction` and return its run as it is now."""
        verdict = self.judge(run, attempt, how.outcome)
        ended = replace(attempt, reading=how.reading, other_readings=how.others)
        charged = self._charged(run, attempt, ended.readings)
        used = self._used(transaction, run, ended.readings, charged)
        verdict, cap_s = _with_what_is_left(run, used, verdict)
        now = self._book.now()
        transaction.runs.give_back(attempt.placement)
        transaction.runs.save_attempt(
            replace(
                ended,
                state=verdict.state,
                outcome=how.outcome,
                exit_status=how.exit_status,
                finished=now,
                outputs=how.outputs,
                finish=how.finish,
                provenance=how.provenance,
            )
        )
        transaction.runs.drop_notes(attempt.tenant, attempt.attempt)
        self._pay(transaction, run, attempt, charged)
        self._book.speak_to(transaction, attempt)
        for stage in Stage if run.resources.nodes > 1 else ():
            self._book.complete(transaction, attempt, stage)
        self._book.look(transaction)
        again = verdict.state is RunState.QUEUED
        return self._book.change(
            transaction,
            run,
            state=verdict.state,
            reason=f"{verdict.reason} {how.message}".strip(),
            footprint=used,
            published={**run.published, **how.published},
            cap_s=cap_s,
            most_micro_eur=used.cost_micro_eur + _price(run, cap_s) if again else used.cost_micro_eur,
            stop=None if again else run.stop,
        )

    def recorded(self, run: Run, attempt: Attempt, readings: Sequence[Reading]) -> dict[str, tuple[str, ...]]:
        """What the log says of an attempt's footprint: of what its launchers signed, by this site's factors."""
        used = footprint(readings, self._charged(run, attempt, readings), self._site)
        return references(used, self._site)

    def _charged(self, run: Run, attempt: Attempt, readings: Sequence[Reading]) -> Money:
        rate, nodes = Money(run.rate_micro_eur), run.resources.nodes
        return self._pricing.charge(rate, readings, attempt.cap_s, nodes)

    def _used(self, transaction: Transaction, run: Run, readings: tuple[Reading, ...], charged: Money) -> Footprint:
        attempts = transaction.runs.attempts_of(run.tenant, [run.run])
        earlier = [reading for one in attempts for reading in one.readings]
        return footprint((*earlier, *readings), run.footprint.cost + charged, self._site)

    def _pay(self, transaction: Transaction, run: Run, attempt: Attempt, charged: Money) -> None:
        held_s = (self._book.clock() - parse_time(attempt.created)).total_seconds()
        (before,) = transaction.runs.usage([run.tenant]) or [Usage(run.tenant)]
        after = budget.add(before, _price(run, held_s), charged.micro_eur, self._book.clock())
        transaction.runs.save_usage(after)


def _price(run: Run, seconds: float) -> int:
    return cost(Money(run.rate_micro_eur), max(0.0, seconds)).micro_eur


def _with_what_is_left(run: Run, used: Footprint, verdict: Verdict) -> tuple[Verdict, int]:
    """A run whose budget is used up is not tried again; else the time the rest pays for."""
    if verdict.state is not RunState.QUEUED or not run.budget_micro_eur:
        return verdict, run.max_duration_s if verdict.state is RunState.QUEUED else run.cap_s
    left = Money(max(1, run.budget_micro_eur - used.cost_micro_eur))
    cap_s = cap_within(Money(run.rate_micro_eur), left, run.max_duration_s)
    if cap_s < 1:
        return Verdict(RunState.FAILED, f"{verdict.reason} The budget is used up."), run.cap_s
    return verdict, cap_s
