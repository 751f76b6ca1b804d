"""The factory's reasons in German: each sentence it makes is known, what others made is shown as it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kifabrik.factory import attempts, deadlines, followers, handover, stop, supervise
from kifabrik.factory.capacity import Demand, Node
from kifabrik.factory.schedule import Situation, TenantShare, Waiting, schedule
from kifabrik.grants import decision
from kifabrik.plant.governor.river import Binding, Level
from kifabrik.plant.governor.rules import Rules, decide
from kifabrik.portal.sentences import in_language
from kifabrik.runs.retry import _SENTENCES, judge
from kifabrik.runs.states import Outcome, RunState
from kifabrik.runs.sweeps import sentence_of
from kifabrik.values import Place, Resources, now_utc

FOREIGN = 'lang="en"'
RUN = "r-abcdefghijklmnop"


def german(reason):
    return str(in_language(reason, "de"))


@pytest.mark.parametrize("outcome", list(Outcome))
@pytest.mark.parametrize("attempt", [1, 2])
def test_every_verdict_on_an_attempt_is_known(outcome, attempt) -> None:
    now = now_utc()
    causes = frozenset({"preemption", "node-failure", "error"})
    verdict = judge(outcome, attempt=attempt, attempts=2, retry_on=causes, now=now, deadline=now)
    assert FOREIGN not in german(verdict.reason)
    assert FOREIGN not in german(_SENTENCES[outcome])


def test_every_sentence_of_a_step_is_known() -> None:
    said = [
        *attempts._SENTENCES.values(),
        *attempts._STREAMED.values(),
        followers.WAITS,
        followers.HELD.format(most=3),
        followers.awaits([RUN, f"{RUN}-2"]),
        deadlines._WAITED,
        deadlines._GOES_ON,
        handover._HANDED_OVER,
        stop._WAITED,
        stop._ASKED,
        supervise.SILENCE,
        f"Needed {RUN}, which ended as {RunState.FAILED}.",
        "Starting on isar-01, isar-02.",
        "Waits for the tenant's keyholder, which has never called. Start it.",
        "Waits for the tenant's keyholder, last seen at 2026-11-29T08:00:00Z.",
    ]
    assert not [one for one in said if FOREIGN in german(one)]


@pytest.mark.parametrize("share", [TenantShare(most_cpus=8), TenantShare()])
def test_what_the_scheduler_says_of_short_resources_is_known(share) -> None:
    node = Node("n-1", "isar-01", Place("DE"), 8, 16 * 10**9)
    wanted = (Resources(cpus=8), Resources(cpus=1, memory_bytes=16 * 10**9), Resources(cpus=1))
    waiting = [
        Waiting(f"t/{number}", "t", Demand(one, Place()), 600, priority=0, ordered=float(number), rate=1)
        for number, one in enumerate((Resources(cpus=8, memory_bytes=10**9), *wanted))
    ]
    found = schedule(Situation(nodes=[node], waiting=waiting, holding=[], tenants={"t": share}, now=0.0))
    assert found.reasons
    assert not [one for one in found.reasons.values() if FOREIGN in german(one)]


@pytest.mark.parametrize("binding", list(Binding))
def test_what_the_governor_says_is_known(binding) -> None:
    levels = [Level(at=3600.0 * hour, watts=2e6, binding=binding) for hour in range(6)]
    permit = decide(levels, 0.0, Rules(), full_watts=4e6, idle_watts=1e5, before=None)
    assert FOREIGN not in german(f"Waits for power. {permit.reason}")


def test_every_refusal_by_a_grant_is_known() -> None:
    words = {"dataset": "d-abcdefghijklmnop", "purpose": "p", "place": "DE/munich-1", "limit": 3}
    said = [one.format(**words) for key, one in decision._SENTENCES.items() if key != decision.POLICY_ERROR]
    assert len(said) > 10
    assert not [one for one in said if FOREIGN in german(one)]


@given(st.dictionaries(st.sampled_from(list(RunState)), st.integers(0, 5000), min_size=1))
def test_how_far_a_sweep_is_is_known(tasks) -> None:
    assert FOREIGN not in german(sentence_of(tasks))


def test_what_is_not_known_is_shown_as_it_is_and_said_to_be_english() -> None:
    said = german("The node or its launcher stopped working. slurmstepd: error <2>")
    assert said == 'Der Rechner ist ausgefallen. <span lang="en">slurmstepd: error &lt;2&gt;</span>'


@given(st.text(max_size=200))
def test_no_reason_becomes_markup(reason) -> None:
    for language in ("de", "en"):
        said = str(in_language(reason, language))
        assert "<" not in said.replace('<span lang="en">', "").replace("</span>", "")


def test_dates_begin_with_the_day() -> None:
    said = german("Its turn comes at 2026-11-30 00:07 UTC at the latest.")
    assert said == "Spätestens 30.11.2026 00:07 UTC ist er an der Reihe."


def test_amounts_have_a_comma_and_versions_a_point() -> None:
    assert "2,8 von 4 MW" in german("The river is at its temperature limit: 2.8 of 4 MW are permitted.")
    assert german("No node has Python 3.13; there is Python 3.11, 3.12.") == (
        "Kein Rechner hat Python 3.13; es gibt Python 3.11, 3.12."
    )


def test_a_message_that_never_ends_is_not_searched() -> None:
    long = "Waits for " + "a" * 100_000
    assert german(long) == long
