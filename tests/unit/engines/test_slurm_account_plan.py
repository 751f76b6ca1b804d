"""What has to change in Slurm's accounting, played with a simulated sacctmgr that knows what it was told."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kifabrik.engines.slurm.account_plan import (
    PARENT,
    Kind,
    TenantShare,
    plan_accounts,
    unix_user,
)
from kifabrik.engines.slurm.accounts import DESCRIPTION, ORGANIZATION, Account, Book, Qos
from kifabrik.errors import ConflictError

EMPTY = Book("c", {"root": Account("root", "root", "default")}, {"normal": Qos("normal", "Normal QOS default")})
TENANTS = st.lists(
    st.builds(
        TenantShare,
        tenant=st.from_regex(r"t-[a-z2-7]{32}", fullmatch=True),
        weight=st.floats(0.001, 1000),
        most_cpus=st.integers(0, 10**6),
        most_gpus=st.integers(0, 10**5),
        most_runs=st.integers(0, 10**6),
    ),
    max_size=5,
    unique_by=lambda share: share.tenant[:18],
)


def told(book, users, plan):
    """What the cluster holds after these commands, by sacctmgr's own rules."""
    accounts, qos, users = dict(book.accounts), dict(book.qos), set(users)
    for step in plan.steps:
        command = list(step.command)
        if command[0] == "useradd":
            users.add(command[-1])
            continue
        assert command[:3] == ["sacctmgr", "--immediate", "--quiet"]
        action, what, *words = command[3:]
        values = dict(word.replace("+=", "=").split("=", 1) for word in words if "=" in word)
        name = values.get("Name") or words[0]
        if what == "qos":
            if action == "remove":
                del qos[name]
                continue
            old = qos.get(name) or Qos(name, values["Description"])
            tres = dict(old.grp_tres) | {
                part.rpartition("=")[0]: int(part.rpartition("=")[2])
                for part in values.get("GrpTRES", "").split(",") if part
            }  # fmt: skip
            kept = {key: count for key, count in tres.items() if count >= 0}
            qos[name] = replace(old, grp_tres=kept, grp_submit=int(values.get("GrpSubmitJobs", old.grp_submit)))
        elif what == "account":
            if action == "remove":
                del accounts[name]
                continue
            old = accounts.get(name) or Account(name, values["Organization"], values["Description"])
            accounts[name] = replace(
                old,
                parent=values.get("Parent", old.parent or "root"),
                share=int(values.get("Fairshare", old.share)),
                grp_submit=int(values.get("GrpSubmitJobs", old.grp_submit)),
                qos=old.qos | {values["QOS"]} if "QOS" in values else old.qos,
                default_qos=values.get("DefaultQOS", old.default_qos),
            )
        elif action == "add":
            account = accounts[values["Account"]]
            accounts[values["Account"]] = replace(account, members=account.members | {name})
        else:
            accounts = {key: replace(one, members=one.members - {name}) for key, one in accounts.items()}
    return Book(book.cluster, accounts, qos), users


@given(first=TENANTS, second=TENANTS, remove=st.booleans())
def test_whatever_stood_there_a_second_plan_has_nothing_to_do(first, second, remove):
    book, users = told(EMPTY, set(), plan_accounts(first, EMPTY, set(), make_users=True))
    assert plan_accounts(first, book, users).in_step
    plan = plan_accounts(second, book, users, make_users=True, remove_gone=remove)
    book, users = told(book, users, plan)
    assert plan_accounts(second, book, users, remove_gone=remove).in_step
    assert {"root"} <= set(book.accounts)
    assert book.qos["normal"] == EMPTY.qos["normal"]


@given(TENANTS)
def test_what_the_factory_says_is_what_slurm_holds(tenants):
    book, _ = told(EMPTY, set(), plan_accounts(tenants, EMPTY, set(), make_users=True))
    for share in tenants:
        account, qos = book.accounts[share.tenant], book.qos[share.tenant]
        assert account.parent == PARENT
        assert account.members == {unix_user(share.tenant)}
        assert account.default_qos == share.tenant in account.qos
        assert qos.grp_tres.get("gres/gpu", 0) == share.most_gpus
        assert qos.grp_tres.get("cpu", 0) == share.most_cpus
        assert max(qos.grp_submit, 0) == share.most_runs


def test_the_name_of_a_user_is_short_enough_for_linux_and_says_whose_it_is():
    assert unix_user("t-p6n5ttka3uva4rbkzrapqhsnefaob6bg") == "kf-p6n5ttka3uva4rbk"
    assert len(unix_user("t-" + "a" * 32)) <= 32


def test_two_tenants_never_share_a_unix_user():
    alike = [TenantShare("t-aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbb"), TenantShare("t-aaaaaaaaaaaaaaaacccccccccccccccc")]
    with pytest.raises(ConflictError, match="share a Unix user"):
        plan_accounts(alike, EMPTY, set())


@pytest.mark.parametrize("what", ["account", "qos", "parent"])
def test_a_name_that_others_have_taken_stops_the_plan(what):
    share = TenantShare("t-aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbb")
    theirs = Account(PARENT if what == "parent" else share.tenant, "physics", "theirs")
    book = replace(EMPTY, accounts=EMPTY.accounts | {theirs.name: theirs})
    if what == "qos":
        book = replace(EMPTY, qos={share.tenant: Qos(share.tenant, "theirs")})
    with pytest.raises(ConflictError, match="did not make"):
        plan_accounts([share], book, set())


def test_accounts_of_another_factory_below_another_parent_are_left_alone():
    other = Account("t-zzzz", ORGANIZATION, DESCRIPTION + "t-zzzz", parent="elsewhere")
    book = replace(EMPTY, accounts=EMPTY.accounts | {"t-zzzz": other})
    steps = plan_accounts([], book, set(), remove_gone=True).steps
    assert [step.kind for step in steps] == [Kind.CREATE]


def test_of_a_tenant_that_another_cluster_has_too_only_what_it_has_here_is_closed_or_removed():
    share = TenantShare("t-aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbb")
    book, users = told(EMPTY, set(), plan_accounts([share], EMPTY, set(), make_users=True))
    both = replace(book.accounts[share.tenant], elsewhere=frozenset({"other"}))
    book = replace(book, accounts=book.accounts | {share.tenant: both})
    for remove in (False, True):
        steps = plan_accounts([], book, users, remove_gone=remove).steps
        assert {step.command[4] for step in steps} == {"account", "user"}, "the QOS is the other's as well"
        assert all(f"Cluster={book.cluster}" in step.command for step in steps)
    closed, users = told(book, users, plan_accounts([], book, users))
    assert closed.accounts[share.tenant].members == frozenset()
    assert plan_accounts([], closed, users).in_step


def test_an_account_that_only_another_cluster_has_is_added_here():
    share = TenantShare("t-aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbb")
    there = Account(share.tenant, ORGANIZATION, DESCRIPTION + share.tenant, elsewhere=frozenset({"other"}))
    parent = Account(PARENT, ORGANIZATION, ORGANIZATION, elsewhere=frozenset({"other"}))
    book = replace(EMPTY, accounts=EMPTY.accounts | {there.name: there, PARENT: parent})
    plan = plan_accounts([share], book, set(), make_users=True)
    added = {
        step.command[5]
        for step in plan.steps
        if step.command[:5] == ("sacctmgr", "--immediate", "--quiet", "add", "account")
    }
    assert added == {PARENT, share.tenant}
    book, users = told(book, set(), plan)
    assert plan_accounts([share], book, users).in_step
