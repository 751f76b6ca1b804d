"""Gives a factory what many finished runs leave in its database and in its ledger, straight into the tables."""

from dataclasses import replace

from sqlalchemy import insert

from kifabrik.factory.factory import Factory
from kifabrik.factory.log import _complete_tiles
from kifabrik.factory.records import LogState
from kifabrik.factory.run_records import Attempt, Run
from kifabrik.factory.sweep_records import Admitted
from kifabrik.ledger.entry import Entry, EntryKind, new_entry_id
from kifabrik.ledger.merkle import CompactTree, leaf_hash
from kifabrik.ledger.tiles import TILE_WIDTH
from kifabrik.runs.states import RunState
from kifabrik.stores.sql.run_columns import attempt_to_columns, run_to_columns
from kifabrik.stores.sql.schema.log import entries
from kifabrik.stores.sql.schema.orders import orders
from kifabrik.stores.sql.schema.runs import attempts, runs
from kifabrik.values import Kind, new_id, sha256_hex

AT_ONCE = 1000


def fill(factory: Factory, tenant: str, count: int, *, ledger: bool) -> None:
    """Copy the newest run and its attempt `count` times as finished; with `ledger`, also its entries."""
    with factory.store.read() as transaction:
        run = transaction.runs.page(tenant, "", 1)[0]
        (attempt,) = transaction.runs.attempts_of(tenant, [run.run])
        size = transaction.logs.state(tenant).tree.size
        logged = [Entry.from_bytes(data) for data in transaction.logs.entries(tenant, 0, size)]
    left = [one for one in logged if one.refs.get("run") == run.run] if ledger else []
    for number in range(count // AT_ONCE):
        names = [new_id(Kind.RUN) for _ in range(AT_ONCE)]
        with factory.store.write(tenant) as transaction:
            sql = transaction.runs._sql  # noqa: SLF001 - many rows in one statement, which no use case needs
            add_rows(sql, run, attempt, names, 10**6 + number * AT_ONCE)
            if left:
                add_entries(
                    factory, transaction, sql, tenant, [one for name in names for one in copies(left, name)]
                )


def add_rows(sql, run: Run, attempt: Attempt, names: list[str], position: int) -> None:
    """Insert runs and attempts."""
    made = [replace(run, run=name, order=sha256_hex(name.encode()), state=RunState.SUCCEEDED) for name in names]
    sql.execute(insert(runs), [{**run_to_columns(one), "position": n} for n, one in enumerate(made, position)])
    kept = [
        Admitted(one.tenant, one.order, one.run, one.run, 0, 0, 0, one.created, n)
        for n, one in enumerate(made, position)
    ]
    sql.execute(insert(orders), [vars(one) for one in kept])
    tried = [replace(attempt, run=name, attempt=new_id(Kind.ATTEMPT), outputs=(), stream="") for name in names]
    sql.execute(insert(attempts), [{**attempt_to_columns(one), "stream_header": b""} for one in tried])


def copies(left: list[Entry], run: str) -> list[Entry]:
    """What a run leaves in the ledger, under another run's name."""
    made = []
    for one in left:
        order = {"order": sha256_hex(run.encode())} if one.kind is EntryKind.RUN_ORDERED else {}
        made.append(Entry(one.kind, one.time, new_entry_id(), {**one.refs, "run": run, **order}, one.detail))
    return made


def add_entries(factory: Factory, transaction, sql, tenant: str, fresh: list[Entry]) -> None:
    """Append entries tile by tile, and sign the head once."""
    state = transaction.logs.state(tenant)
    tree: CompactTree = state.tree.copy()
    rows = []
    for one in fresh:
        data = one.to_bytes()
        leaf = leaf_hash(data)
        rows.append({"tenant": tenant, "position": tree.size, "kind": str(one.kind), "data": data, "leaf": leaf})
        tree.append(leaf)
        if tree.size % TILE_WIDTH == 0:
            sql.execute(insert(entries), rows)
            rows = []
            _complete_tiles(transaction, tenant, tree.size)
    if rows:
        sql.execute(insert(entries), rows)
    head = factory.log._sign(tenant, tree)  # noqa: SLF001 - what `Log.append` does, once for many entries
    assert transaction.logs.advance(state.tree.size, LogState(tenant, state.vkey, tree, head))
