"""Joins what concerns runs: their use cases, and the loop that drives them on this machine."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from kifabrik.engines.local import LocalEngine
from kifabrik.engines.local.processes import ProcessId, boot_id
from kifabrik.factory.accounts import Accounts
from kifabrik.factory.admit import Admission
from kifabrik.factory.attempts import Attempts
from kifabrik.factory.claims import Claims
from kifabrik.factory.deadlines import Deadlines
from kifabrik.factory.endings import Endings
from kifabrik.factory.engine import Cluster, Engine
from kifabrik.factory.factory import Factory
from kifabrik.factory.finish import Finishing
from kifabrik.factory.fleet import Fleet
from kifabrik.factory.gathering import Gathering
from kifabrik.factory.handover import Handover
from kifabrik.factory.journals import Journals
from kifabrik.factory.leader import Leadership
from kifabrik.factory.log import Log
from kifabrik.factory.members import Members
from kifabrik.factory.objects import Objects
from kifabrik.factory.plan import Planner
from kifabrik.factory.ports import Store, Transaction
from kifabrik.factory.power import PowerWatch
from kifabrik.factory.pricing import Pricing
from kifabrik.factory.queue import Queue
from kifabrik.factory.reconcile import Reconciler
from kifabrik.factory.run_book import LAUNCHER_GONE, RunBook
from kifabrik.factory.run_cases import RunCases
from kifabrik.factory.show import Shows
from kifabrik.factory.statements import Statements
from kifabrik.factory.stop import Stopping
from kifabrik.factory.supervise import Supervisor
from kifabrik.factory.versions import Versions
from kifabrik.launcher.care import NodeCare
from kifabrik.meters.footprint import Site
from kifabrik.plant.governor.permit_file import LOG, standing_permit
from kifabrik.plant.governor.rules import Permit
from kifabrik.prices.pricelist import PriceList
from kifabrik.wiring.caretaker import taking_care
from kifabrik.wiring.node import FILE, LAUNCHERS, RUNS, launcher_command, read_key, read_node

NODE: Final = "node"
"""Folder of this machine's own node in a factory's home."""


def read_prices(file: Path) -> Pricing:
    """Read the operator's price list, or the examples that come with kifabrik where there is none.

    Raises:
        UsageError: The list is malformed.
    """
    if file.exists():
        return Pricing(PriceList.load(file), file.name)
    return Pricing(PriceList.load(), "example prices")


def run_cases(
    store: Store,
    log: Log,
    statements: Statements,
    accounts: Accounts,
    members: Members,
    versions: Versions,
    objects: Objects,
    attempts: Attempts,
    book: RunBook,
    pricing: Pricing,
    cluster: Cluster | None,
    site: Site | None = None,
) -> RunCases:
    """Join the use cases of runs."""
    endings = Endings(book, pricing, site)
    return RunCases(
        fleet=Fleet(store),
        planner=Planner(store, pricing),
        admission=Admission(store, log, statements, members, versions, book, pricing),
        attempts=attempts,
        claims=Claims(store, accounts, book, cluster),
        cluster=cluster,
        journals=Journals(store, attempts, objects, book),
        gathering=Gathering(store, book, attempts),
        finishing=Finishing(store, log, statements, versions, attempts, endings),
        stopping=Stopping(store, log, book),
        shows=Shows(store),
        endings=endings,
        book=book,
    )


def reconciler(
    factory: Factory, engine: Engine, cluster: Cluster | None = None, home: Path | None = None
) -> Reconciler:
    """Join the loop that drives all runs; they follow the power permit in the factory's home."""
    store, log, runs = factory.store, factory.log, factory.runs

    def permit(now: float) -> Permit | None:
        return standing_permit(home, now) if home else None

    def trouble() -> str:
        said = factory.objects.files.trouble
        return f"Waiting: {said}." if said else ""

    power = PowerWatch(permit, cluster, governed=home is not None and (home / LOG).exists())
    return Reconciler(
        factory.hints,
        Leadership(store, log.clock, holder=service_name(), gone=_has_ended),
        Supervisor(store, log, factory.accounts, runs.book, runs.endings, engine, cluster),
        Handover(store, runs.book, cluster, power, trouble)
        if cluster
        else Queue(store, factory.accounts, runs.book, engine, power, trouble),
        Deadlines(store, log, runs.book),
    )


def service_name() -> str:
    """What this process is called among all services of a factory."""
    return str(ProcessId.own())


def _has_ended(transaction: Transaction, holder: str) -> bool:
    """Whether a service has ended: one its database misses; where that does not know, one of this boot here."""
    absent = transaction.runs.absent(holder)
    if absent is not None:
        return absent
    process = ProcessId.from_text(holder)
    return process is not None and process.boot == boot_id() and not process.alive()


@contextmanager
def driving(home: Path, factory: Factory, url: str, ca_pem: str = "") -> Iterator[None]:
    """Drive runs: on the cluster, or on this machine's node, which is enrolled, if the factory's home has one.

    Args:
        home: Of the factory.
        factory: Its use cases.
        url: Where launchers reach the service.
        ca_pem: Certificate authority they are to trust.

    Raises:
        UsageError: The node's home says something wrong.
    """
    cluster = factory.runs.cluster
    if cluster is not None:
        loop = reconciler(factory, cluster, cluster, home)
        loop.start()
        try:
            yield
        finally:
            loop.close()
        return
    node = home / NODE
    if not (node / FILE).exists():
        yield
        return
    config = read_node(node)
    factory.runs.fleet.enrol(config.record(read_key(node)))
    runs = Path(config.runs) if config.runs else node / RUNS
    uids = NodeCare.load(node).uids
    with taking_care(runs, lambda: factory.hints.notify(LAUNCHER_GONE), uids=uids) as clear_up:
        engine = LocalEngine(
            config.node,
            node / LAUNCHERS,
            launcher_command(node, config),
            url,
            ca_pem=ca_pem,
            on_exit=clear_up,
        )
        engine.warm_up()
        loop = reconciler(factory, engine, home=home)
        loop.start()
        try:
            yield
        finally:
            loop.close()
            engine.close()
