"""Play a dishonest operator: ask for keys with every right the factory has, past every check it makes.

    python demo/forge.py FACTORY_HOME              for an order the factory makes up itself
    python demo/forge.py FACTORY_HOME ORDER_FILE   for an order a member has really signed (demo/bypass.py)

The factory writes its own database and log, signs tree heads with the log's key, and holds the node's key.
For the first it copies a real order of the tenant and signs it with a device key it made itself. Then it puts
order and request on record as if the service had taken them, and waits for the keyholder.

The exit status is 0 if the keyholder refused.
"""

import json
import secrets
import sys
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from ink import paint

from kifabrik.factory.records import KeyRequest, MailKind, RequestState
from kifabrik.leases.statements import AttemptRequest, Refusal, RequestingNode
from kifabrik.ledger.entry import Entry, EntryKind
from kifabrik.orders.order import Order, sign_order
from kifabrik.seals.identities import Identity
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.keys import SigningKey
from kifabrik.signatures.statements import read_unverified, sign_statement
from kifabrik.values import Kind, Place, format_time, new_id, now_utc
from kifabrik.wiring.factory import open_factory

PATIENCE_S = 30


def main():
    home = Path(sys.argv[1])
    factory = open_factory(home)
    tenant = factory.accounts.tenants()[0].tenant
    if len(sys.argv) > 2:
        order = taken_order(factory, tenant, Path(sys.argv[2]))
        told = f"the factory logs order {order.digest[:12]}, which it should have refused"
    else:
        order = made_up_order(factory, tenant)
        told = f"the factory signs order {order.digest[:12]} with a device key of its own and logs it"
    said, _ = read_unverified(order, Order)
    node, run_key = SigningKey((home / "node" / "node.key").read_bytes()), SigningKey.generate()
    recipient = Identity.generate().recipient.text
    request = sign_statement(
        AttemptRequest(
            tenant=tenant,
            run=said.run,
            attempt=new_id(Kind.ATTEMPT),
            number=1,
            order=order.digest,
            items=(said.code, *(item.manifest for item in said.inputs)),
            nodes=(RequestingNode(node.public.hex, recipient),),
            place=Place("DE"),
            run_key=run_key.public.hex,
            recipient=recipient,
            environment="0" * 64,
            created=format_time(now_utc()),
        ),
        {"order": order.digest},
        run_key,
        node,
    )
    put_on_record(factory, tenant, order, request)
    print(f"     {told}")
    refusal = wait_for_answer(factory, tenant, request.digest)
    factory.store.close()
    if refusal is None:
        return 1
    print(f"     {paint('32', '✓ refused')} by the keyholder ({refusal.reason}): {refusal.message}")
    return 0


def made_up_order(factory, tenant):
    """An order like a real one, by a device key of the factory's."""
    changed = replace(
        real_order(factory, tenant),
        run=new_id(Kind.RUN),
        created=format_time(now_utc()),
        deadline=format_time(now_utc() + timedelta(hours=1)),
        nonce=secrets.token_hex(16),
    )
    return sign_order(changed, SigningKey.generate())


def taken_order(factory, tenant, path):
    """An order of a member, and the manifest of its code, kept although the service refused it."""
    kept = json.loads(path.read_text())
    with factory.store.write(tenant) as transaction:
        transaction.statements.add(tenant, Envelope.from_json(kept["code"]))
    return Envelope.from_json(kept["order"])


def real_order(factory, tenant):
    """The newest order of the tenant that the factory has seen."""
    with factory.store.read() as transaction:
        size = transaction.logs.state(tenant).tree.size
        entries = [Entry.from_bytes(data) for data in transaction.logs.entries(tenant, 0, size)]
        orders = [entry.refs["order"] for entry in entries if entry.kind == EntryKind.RUN_ORDERED]
        return read_unverified(transaction.statements.get(tenant, orders[0]), Order)[0]


def put_on_record(factory, tenant, order, request):
    """Do what the service does when a member orders and a launcher asks, without any check."""
    said, _ = read_unverified(order, Order)
    asked, _ = read_unverified(request, AttemptRequest)
    ordered = {
        "order": order.digest,
        "run": said.run,
        "member": said.member,
        "purpose": said.purpose,
        "code": said.code,
        "lock": said.lock,
        "inputs": tuple(item.manifest for item in said.inputs),
    }
    requested = {
        "request": request.digest,
        "run": said.run,
        "attempt": asked.attempt,
        "order": order.digest,
        "items": asked.items,
    }
    with factory.store.write(tenant) as transaction:
        factory.statements.put_on_record(transaction, tenant, order, EntryKind.RUN_ORDERED, ordered)
        record = KeyRequest(
            tenant, request.digest, said.run, "", asked.attempt, RequestState.PENDING, format_time(now_utc())
        )
        transaction.leases.add(record)
        factory.statements.put_on_record(
            transaction, tenant, request, EntryKind.LEASE_REQUESTED, requested, mail=MailKind.REQUEST
        )


def wait_for_answer(factory, tenant, digest):
    """The keyholder's refusal, or None if it released keys or did not answer."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        with factory.store.read() as transaction:
            found = transaction.leases.get(tenant, digest)
            if found.state is RequestState.REFUSED:
                return read_unverified(transaction.statements.get(tenant, found.decision), Refusal)[0]
            if found.state is RequestState.RELEASED:
                return None
        time.sleep(0.1)
    return None


if __name__ == "__main__":
    sys.exit(main())
