"""Steps put together, and taken by a played sacctmgr that refuses what it is told to."""

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from kifabrik.engines.slurm.account_batches import MOST_TOGETHER, batches
from kifabrik.engines.slurm.account_plan import MANAGE, PARENT, Plan, TenantShare, plan_accounts, unix_user
from kifabrik.engines.slurm.account_sync import AccountSync
from kifabrik.engines.slurm.accounts import DESCRIPTION, ORGANIZATION, Account, Book, Qos
from kifabrik.engines.slurm.commands import SlurmCommands
from kifabrik.errors import RefusedError, UnavailableError, UsageError

TENANTS = [TenantShare("t-" + chr(ord("a") + number) * 32, most_gpus=8) for number in range(4)]
NAMES = [share.tenant for share in TENANTS]
USERS = [unix_user(name) for name in NAMES]
EMPTY = Book("c", {}, {})
LISTED = re.compile(r"(Account|User) - '([^']+)'")


@dataclass(frozen=True)
class PlayedSacctmgr(SlurmCommands):
    """Does what it is told but for names it refuses; whether it is there at all can change."""

    refused: list[str] = field(default_factory=list)
    away: list[bool] = field(default_factory=list)
    calls: list[tuple[str, ...]] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    did: list[tuple[str, str]] = field(default_factory=list)

    def run(self, program, *arguments, user="", stdin="", patience_s=0):
        assert (program, *arguments[:2]) == MANAGE
        if self.away:
            raise UnavailableError("Slurm does not answer")
        self.calls.append(arguments[2:])
        if arguments[2] == "load":
            self.files.append(Path(arguments[3].removeprefix("file=")).read_text())
            wanted = [(kind.lower(), name) for kind, name in LISTED.findall(self.files[-1])]
        else:
            at = 5 if arguments[4] == "where" else 4
            wanted = [(arguments[3], name) for name in arguments[at].removeprefix("Name=").split(",")]
        wrong = [one for one in wanted if one[1] in self.refused]
        self.did.extend(one for one in wanted if one not in wrong)
        if wrong:
            raise RefusedError("Slurm does not allow this")
        return ""


class Syncing(AccountSync):
    """Its plan is what the played sacctmgr has not done of the first one."""

    def __init__(self, slurm, first):
        super().__init__(slurm, lambda: TENANTS)
        self.slurm, self.first = slurm, first

    def plan(self, *, make_users=False, remove_gone=False):
        return Plan(
            tuple(step for step in self.first.steps if (step.command[4], step.command[5]) not in self.slurm.did)
        )


@pytest.fixture
def plan():
    return plan_accounts(TENANTS, EMPTY, set(USERS))


def standing():
    """What a cluster has once the plan is done."""
    accounts = {
        name: Account(
            name, ORGANIZATION, DESCRIPTION + name, PARENT, 100, -1, frozenset({name}), name, frozenset({user})
        )
        for name, user in zip(NAMES, USERS, strict=True)
    }
    accounts[PARENT] = Account(PARENT, ORGANIZATION, ORGANIZATION, "root")
    return Book("c", accounts, {name: Qos(name, "kifabrik tenant", {"gres/gpu": 8}, 0) for name in NAMES})


def test_many_steps_are_four_commands_with_every_word_in_its_place(plan):
    slurm, done = PlayedSacctmgr(), []
    Syncing(slurm, plan).do(plan, done=done.append)
    qos, parent, accounts, members = slurm.calls
    assert qos == ("add", "qos", ",".join(NAMES), "Description=kifabrik tenant", "GrpTRES=gres/gpu=8")
    assert parent[:3] == ("add", "account", PARENT)
    assert (accounts[0], members[0]) == ("load", "load")
    first, line = slurm.files[0].splitlines()[0], slurm.files[0].splitlines()[2]
    assert (first, slurm.files[0].count("Parent - ")) == ("Cluster - 'c'", 1)
    assert line == (
        f"Account - '{NAMES[0]}':Fairshare='100':QOS='{NAMES[0]}':Organization='kifabrik'"
        f":Description='kifabrik tenant {NAMES[0]}':DefaultQOS='{NAMES[0]}'"
    )
    assert slurm.files[1].splitlines()[1:3] == [
        f"Parent - '{NAMES[0]}'", f"User - '{USERS[0]}':DefaultAccount='{NAMES[0]}'"
    ]  # fmt: skip
    assert done == list(plan.steps)


def test_every_step_is_in_one_batch_and_only_those_that_say_the_same_are_joined():
    less = [TenantShare(name, most_gpus=number % 2, weight=2.0) for number, name in enumerate(NAMES, 1)]
    plan = plan_accounts(less, standing(), set(USERS))
    found = list(batches(plan.steps))
    assert Counter(step for batch in found for step in batch.steps) == Counter(plan.steps)
    said = [batch.command[3:] for batch in found]
    odd, even = f"{NAMES[0]},{NAMES[2]}", f"{NAMES[1]},{NAMES[3]}"
    assert ("modify", "qos", "where", f"Name={odd}", "set", "GrpTRES=gres/gpu=1", "GrpSubmitJobs=-1") in said
    assert ("modify", "qos", "where", f"Name={even}", "set", "GrpTRES=gres/gpu=-1", "GrpSubmitJobs=-1") in said
    assert said[-1] == (
        "modify",
        "account",
        "where",
        f"Name={','.join(NAMES)}",
        "Cluster=c",
        "set",
        "Fairshare=200",
    )


def test_what_is_removed_goes_in_the_order_slurm_needs_with_one_command_a_sort():
    plan = plan_accounts([], standing(), set(), remove_gone=True)
    assert [batch.command[3:5] for batch in batches(plan.steps)] == [
        ("remove", "user"), ("remove", "account"), ("remove", "qos")
    ]  # fmt: skip


def test_very_many_steps_are_several_commands():
    many = [
        TenantShare(f"t-{number:016d}{'a' * 16}".translate(str.maketrans("0189", "wxyz"))) for number in range(250)
    ]
    sizes = [len(batch.steps) for batch in batches(plan_accounts(many, EMPTY, set()).steps)]
    assert sizes == [MOST_TOGETHER, MOST_TOGETHER, 50, 1, MOST_TOGETHER, MOST_TOGETHER, 50]


@pytest.mark.parametrize(("sort", "steps_before"), [("QOS", 2), ("account", 7)])
def test_the_step_that_fails_is_named_and_those_beside_it_are_done_once(plan, sort, steps_before):
    slurm, done = PlayedSacctmgr(), []
    syncing = Syncing(slurm, plan)
    if sort == "account":
        slurm.did.extend(("qos", name) for name in NAMES)
        plan = Plan(plan.steps[4:])
    slurm.refused.append(NAMES[2])
    with pytest.raises(RefusedError, match=f"^{sort} {NAMES[2]}: .*: Slurm does not allow this"):
        syncing.do(plan, done=done.append)
    assert Counter(slurm.did)[sort.lower(), NAMES[3]] == 1
    assert len(done) == steps_before - (4 if sort == "account" else 0)


def test_what_somebody_else_did_meanwhile_is_no_failure(plan):
    slurm = PlayedSacctmgr(refused=[NAMES[2]], did=[("qos", NAMES[2])])
    Syncing(slurm, plan).do(Plan(plan.steps[:4]), done=lambda _step: None)
    assert len(slurm.calls) == 1


def test_a_slurm_that_does_not_answer_ends_it_at_once(plan):
    slurm = PlayedSacctmgr(away=[True])
    with pytest.raises(UnavailableError):
        Syncing(slurm, plan).do(plan, done=lambda _step: None)
    assert slurm.did == []


def test_a_word_sacctmgr_cannot_read_from_a_file_is_refused():
    wrong = plan_accounts([TenantShare("t-'; quit"), TENANTS[0]], EMPTY, set())
    with pytest.raises(UsageError, match="cannot read"):
        list(batches(wrong.steps))


def test_a_qos_made_by_an_earlier_release_still_is_its_tenants():
    assert Qos(NAMES[0], f"kifabrik tenant {NAMES[0]}").is_of(NAMES[0])
    assert Qos(NAMES[0], "kifabrik tenant").is_of(NAMES[0])
    assert not Qos(NAMES[0], "kifabrik tenants' own").is_of(NAMES[0])
    assert not Qos(NAMES[0], "kifabrik tenant").is_of(NAMES[1])
