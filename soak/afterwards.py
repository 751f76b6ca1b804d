"""Afterwards: what must be true once everything has come to rest."""

import json
import re
import time
from contextlib import suppress

from kifabrik.runs.states import RunState, is_end
from kifabrik.values import sweep_of
from kifabrik.wiring.factory import open_factory
from soak.pace import in_time
from soak.truth import wrong

QUIET_S = 300.0
OBJECT = re.compile(r"object (\S+) (is missing|belongs to nothing|came again after it was deleted \(\S+\))")
SOUND = {"healthy": True, "serving": True, "undelivered": 0, "unresolved": 0, "missing_lease": "", "evidence": 0}
"""What the status of a keyholder must say once all is at rest."""


def wait_for_rest(watches, journal):
    """Wait until every run has ended, those whose order was cut off included."""
    until = time.monotonic() + in_time(QUIET_S)
    while time.monotonic() < until:
        going_on = [view for watch in watches for view in watch.views().values() if not is_end(view.state)]
        if not going_on:
            return
        time.sleep(2)
    for view in going_on:
        journal.mistake(f"{view.run} has not ended: {view.state}, {view.reason}")


def check_runs(ordered, watches, journal):
    """Every run ended as it had to, those nobody heard of included; results are right byte by byte."""
    known = {one.run for one in ordered}
    views = {run: view for watch in watches for run, view in watch.views().items()}
    for one in ordered:
        view = views.get(one.run)
        if view is None:
            journal.mistake(f"{one.name} was ordered as {one.run}, and is not in the list of runs")
            continue
        needed = [views[run].state for run in one.needs if run in views]
        if any(state is not RunState.SUCCEEDED for state in needed) and not view.attempts:
            if view.state is not RunState.FAILED:
                journal.mistake(f"{one.name} ({one.run}) is {view.state}, but what it needs is {needed}")
            continue
        for sentence in wrong(one, view, journal.harmed):
            journal.mistake(sentence)
        _check_result(one, journal)
    sweeps = {sweep_of(run) for run in known}
    for run in sorted(views.keys() - known - sweeps):
        # The command that ordered it was killed before it could say so, and its scene ended there.
        journal.note(f"{run} was ordered by a command that was cut off; it is {views[run].state}")


def _check_result(one, journal):
    if one.pulled is None:
        return
    found = {
        str(path.relative_to(one.pulled)): path.read_bytes() for path in one.pulled.rglob("*") if path.is_file()
    }
    if found != one.expected:
        journal.mistake(
            f"{one.name} ({one.run}): what was pulled is not what the program must have left: {sorted(found)}"
        )
    else:
        journal.count("results right")


def check_ledgers(tenants, journal):
    """Each acknowledgement stands in the log that customer and auditor verify by themselves."""
    for tenant in tenants:
        entries = []
        for party in (tenant.steward, tenant.auditor):
            entries = party.insist("ledger", "show", "--json", fragile=False).json()
            said = party.kifabrik("ledger", "verify", "--json", fragile=False)
            with suppress(ValueError):
                verified = said.json()
                if said.status == 0 and verified["ok"]:
                    journal.count("ledgers verified")
                    continue
            journal.mistake(f"{party.name}: the ledger does not verify: {said.out[-300:]} {said.err[-300:]}")
        check_acks(tenant.name, entries, journal)


def check_keyholders(tenants, journal, patience_s=60.0):
    """Each keyholder serves, has delivered everything, and needs nobody: no alarm, nothing it could not verify."""
    for tenant in tenants:
        until = time.monotonic() + in_time(patience_s)
        while True:
            said = tenant.steward.insist(
                "keyholder", "status", "--json", "--key-file", tenant.key_file, fragile=False
            ).json()
            wrong_about = {name: said[name] for name, right in SOUND.items() if said[name] != right}
            if not wrong_about or time.monotonic() > until:
                break
            time.sleep(2)
        if wrong_about:
            journal.mistake(f"{tenant.name}: its keyholder needs a person: {wrong_about}, {said['blocks']}")
        else:
            journal.count("keyholders sound")


def check_acks(tenant, entries, journal):
    """Each acknowledgement of a tenant has its entry."""
    kinds = {}
    for entry in entries:
        kinds.setdefault(entry["kind"], []).append(entry["refs"])
    for ack in [one for one in journal.acks if one.tenant == tenant]:
        if not any(ack.refs.items() <= refs.items() for refs in map(_flat, kinds.get(ack.kind, []))):
            journal.mistake(
                f"{tenant}: {ack.kind} of {ack.refs} was acknowledged at {ack.at} s, and is not in the log"
            )
        else:
            journal.count("acknowledgements in the log")


def _flat(refs):
    return {name: tuple(value) if isinstance(value, list) else value for name, value in refs.items()}


def check_factory(factory, journal, when):
    """`kifabrik admin check --deep` finds nothing."""
    said = factory.kifabrik("admin", "check", "--deep", "--json", fragile=False)
    try:
        found = said.json()["findings"]
    except ValueError:
        journal.mistake(f"admin check {when}: {said.status} {said.err[-400:]}")
        return
    for finding in found:
        journal.mistake(f"admin check {when}: {finding['what']} [{finding['tenant'] or 'factory'}]")
    if said.status == 0 and not found:
        journal.count("admin checks passed")


def check_copies(copies, live, stores, journal):
    """Each backup that was made while runs went on is a whole factory, once it is restored.

    Objects come after the database: what was uploaded meanwhile belongs to nothing in the copy, or has come again
    if it had been deleted before; and what was erased meanwhile is missing in it as it is in the factory.
    """
    kept = open_factory(live)
    for home in copies:
        stores.restore(home)
        factory = open_factory(home)
        try:
            for finding in factory.check.run(deep=True):
                found = OBJECT.fullmatch(finding.what)
                erased = found and found[2] == "is missing" and kept.objects.files.size(found[1]) is None
                if not erased and not (found and found[2] != "is missing"):
                    journal.mistake(f"the backup {home.parent.name}: {finding}")
        finally:
            factory.store.close()
        journal.count("backups whole")
    kept.store.close()


def takeovers_of(home):
    """How often another process began to drive the runs: each does so under the next number."""
    factory = open_factory(home)
    with factory.store.read() as transaction:
        leader = transaction.runs.leader("runs")
    factory.store.close()
    return leader.token - 1 if leader else 0


def check_money(home, journal):
    """Nothing is set aside any more, and every core is free."""
    factory = open_factory(home)
    with factory.store.read() as transaction:
        for tenant in transaction.accounts.tenants():
            unfinished = transaction.runs.count_unfinished(tenant.tenant)
            aside = transaction.runs.set_aside_of(tenant.tenant)
            if unfinished or aside:
                journal.mistake(f"{tenant.tenant}: {unfinished} runs go on, {aside} micro-euro are set aside")
        free = transaction.runs.free()
        for node in transaction.runs.nodes():
            if free[node.node].cpus != node.cpus or free[node.node].memory_bytes != node.memory_bytes:
                journal.mistake(f"node {node.name} has only {free[node.node]} free")
    factory.store.close()


def write_json(path, report):
    """Write the report for machines."""
    path.write_text(json.dumps(report, indent=2, default=str) + "\n")
