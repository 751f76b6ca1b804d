"""Steps taken many at a time, by a played sacctmgr that refuses what it is told to."""

import shlex
from dataclasses import dataclass, field

import pytest

from kifabrik.engines.slurm.account_plan import MANAGE, Plan, TenantShare, plan_accounts, unix_user
from kifabrik.engines.slurm.account_sync import MOST_TOGETHER, AccountSync
from kifabrik.engines.slurm.accounts import Book
from kifabrik.engines.slurm.commands import SlurmCommands
from kifabrik.errors import RefusedError, UnavailableError, UsageError

TENANTS = [TenantShare("t-" + chr(ord("a") + number) * 32, most_gpus=8) for number in range(4)]
EMPTY = Book("c", {}, {})


@dataclass(frozen=True)
class PlayedSacctmgr(SlurmCommands):
    """Does what it is told but for words it refuses; whether it is there at all can change."""

    refused: list[str] = field(default_factory=list)
    away: list[bool] = field(default_factory=list)
    calls: list[int] = field(default_factory=list)
    did: list[tuple[str, ...]] = field(default_factory=list)

    def run(self, program, *arguments, user="", stdin="", patience_s=0):
        assert (program, *arguments[:2]) == MANAGE
        if self.away:
            raise UnavailableError("Slurm does not answer")
        lines = [tuple(shlex.split(line)) for line in stdin.splitlines()] if stdin else [arguments[2:]]
        if stdin:
            assert lines.pop() == ("quit",)
        self.calls.append(len(lines))
        wrong = [line for line in lines if any(word in self.refused for word in line)]
        self.did.extend(line for line in lines if line not in wrong)
        if wrong:
            raise RefusedError("Slurm does not allow this")
        return ""


class Syncing(AccountSync):
    """Its plan is what the played sacctmgr has not done of the first one."""

    def __init__(self, slurm, first):
        super().__init__(slurm, lambda: TENANTS)
        self.slurm, self.first = slurm, first

    def plan(self, *, make_users=False, remove_gone=False):
        return Plan(tuple(step for step in self.first.steps if step.command[3:] not in self.slurm.did))


@pytest.fixture
def plan():
    return plan_accounts(TENANTS, EMPTY, {unix_user(share.tenant) for share in TENANTS})


def test_each_sort_of_steps_is_one_call_and_every_word_arrives_as_it_was(plan):
    slurm, done = PlayedSacctmgr(), []
    Syncing(slurm, plan).do(plan, done=done.append)
    assert slurm.calls == [4, 5, 4], "QOS, accounts with the one above them, members"
    assert slurm.did == [step.command[3:] for step in plan.steps]
    assert done == list(plan.steps)


def test_many_steps_are_several_calls(plan):
    many = Plan(plan.steps[:1] * (2 * MOST_TOGETHER + 1))
    slurm = PlayedSacctmgr()
    AccountSync(slurm, lambda: TENANTS).do(many, done=lambda _step: None)
    assert slurm.calls == [MOST_TOGETHER, MOST_TOGETHER, 1]


def test_the_step_that_fails_is_named_those_beside_it_are_done_once_and_nothing_behind_it(plan):
    slurm, done = PlayedSacctmgr(refused=[TENANTS[2].tenant]), []
    with pytest.raises(RefusedError, match=f"^QOS {TENANTS[2].tenant}: .*: Slurm does not allow this"):
        Syncing(slurm, plan).do(plan, done=done.append)
    assert [words[2] for words in slurm.did] == [TENANTS[number].tenant for number in (0, 1, 3)]
    assert slurm.calls == [4, 1]
    assert done == list(plan.steps[:2])


def test_what_somebody_else_did_meanwhile_is_no_failure(plan):
    slurm = PlayedSacctmgr(refused=[TENANTS[2].tenant])
    slurm.did.append(plan.steps[2].command[3:])
    AccountSync.do(Syncing(slurm, plan), Plan(plan.steps[:4]), done=lambda _step: None)
    assert slurm.calls == [4]


def test_a_slurm_that_does_not_answer_ends_it_at_once(plan):
    slurm = PlayedSacctmgr(away=[True])
    with pytest.raises(UnavailableError):
        Syncing(slurm, plan).do(plan, done=lambda _step: None)
    assert slurm.did == []


def test_a_word_sacctmgr_cannot_read_is_refused(plan):
    wrong = plan_accounts([TenantShare('t-"; quit'), TENANTS[0]], EMPTY, set())
    with pytest.raises(UsageError, match="quotation mark"):
        AccountSync(PlayedSacctmgr(), list).do(wrong, done=lambda _step: None)
