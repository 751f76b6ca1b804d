"""What an operator sees of nodes, the queue and tenants beside each other."""

from dataclasses import replace
from datetime import timedelta

from kifabrik.factory.allowances import Limits, Usage
from kifabrik.factory.capacity import Gpu, Share
from kifabrik.factory.factory import Factory
from kifabrik.factory.node_records import NodeRecord
from kifabrik.runs.states import RunState
from kifabrik.values import Kind, Place, format_time, new_id, now_utc, sha256_hex
from rows_of_runs import CREATED, attempt, enter
from signing_up import sign_up


def _node(factory: Factory, name: str, gpus: int = 0, node_class: str = "", *, enabled: bool = True) -> str:
    node = NodeRecord(
        node=new_id(Kind.NODE),
        name=name,
        key=sha256_hex(name.encode()),
        place=Place("DE", "munich-1", node_class),
        cpus=32,
        memory_bytes=10**12,
        gpus=tuple(Gpu(number, "H200", 141 * 10**9) for number in range(gpus)),
        pythons=("3.11",),
        created=CREATED,
        enabled=enabled,
    )
    factory.runs.fleet.enrol(node)
    return node.node


def test_nodes_that_are_alike_are_counted_together_with_what_is_held_and_what_is_drained(opened: Factory) -> None:
    first = _node(opened, "a", 8)
    _node(opened, "b", 8, enabled=False)
    _node(opened, "c", 8, "confidential")
    _node(opened, "d")
    with opened.store.write() as transaction:
        assert transaction.runs.take((Share(first, 10, 10**11, (0, 1, 2)),))
    kinds = {(one.place, one.gpu): one for one in opened.oversight.look().kinds}
    assert len(kinds) == 3
    alike = kinds["DE/munich-1", "H200"]
    assert alike.gpus == (16, 3, 8)
    assert alike.cpus == (64, 10, 32)
    assert alike.memory == (2 * 10**12, 10**11)
    assert alike.draining == 1
    assert kinds["DE/munich-1", ""].gpus == (0, 0, 0)


def test_what_waits_here_and_in_a_cluster_is_shown_with_its_reasons(opened: Factory) -> None:
    tenant = sign_up(opened)
    waits = enter(opened, tenant, reason="Waits its turn behind earlier runs.")
    handed = enter(opened, tenant, state=RunState.PENDING, reason="It is first in line.")
    attempt(opened, tenant, handed, state=RunState.PENDING)
    goes = enter(opened, tenant, state=RunState.RUNNING)
    attempt(opened, tenant, goes, state=RunState.RUNNING)
    seen = opened.oversight.look()
    assert [(one.run, one.reason) for one in seen.next_ones] == [
        (handed, "It is first in line."),
        (waits, "Waits its turn behind earlier runs."),
    ]
    assert seen.waiting == 2
    assert [(one.going, one.waiting) for one in seen.tenants] == [(1, 2)]
    assert seen.overdue == 3  # the rows' deadline is long past
    assert not seen.driven


def test_shares_fade_beside_weights_and_only_this_month_is_money(opened: Factory) -> None:
    large, small = sign_up(opened), sign_up(opened)
    now = now_utc()
    month = format_time(now)[:7]
    with opened.store.write() as transaction:
        transaction.runs.set_limits(large, Limits(weight=3.0))
        used = Usage(large, 800.0, format_time(now - timedelta(days=1)), month, 5)
        transaction.runs.save_usage(used)
        transaction.runs.save_usage(
            replace(used, tenant=small, at=format_time(now), month="2001-01", month_micro_eur=7)
        )
    seen = opened.oversight.look()
    by_tenant = {one.tenant.tenant: one for one in seen.tenants}
    assert abs(by_tenant[large].share - 1 / 3) < 0.01  # a day has halved it
    assert (by_tenant[large].due, by_tenant[small].due) == (0.75, 0.25)
    assert (by_tenant[large].month_micro_eur, by_tenant[small].month_micro_eur) == (5, 0)
    assert seen.month_micro_eur == 5
    assert seen.tenants[0].tenant.tenant == large


def test_a_keyholder_that_never_called_is_away(opened: Factory) -> None:
    tenant = sign_up(opened)
    assert [one.away for one in opened.oversight.look().tenants] == [True]
    with opened.store.write(tenant) as transaction:
        transaction.accounts.set_keyholder_seen(tenant, format_time(now_utc()))
    assert [one.away for one in opened.oversight.look().tenants] == [False]
