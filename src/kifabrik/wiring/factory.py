"""Joins the factory: store, objects, keys, use cases, service."""

import os
import resource
import signal
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Final

from kifabrik.durable import make_folder, write_whole
from kifabrik.errors import UnavailableError, UsageError
from kifabrik.factory.accounts import Accounts
from kifabrik.factory.attempts import Attempts
from kifabrik.factory.attestation import Attestation
from kifabrik.factory.check import Check
from kifabrik.factory.check_entries import EntryCheck
from kifabrik.factory.check_home import HomeCheck
from kifabrik.factory.check_runs import RunCheck
from kifabrik.factory.datasets import Datasets
from kifabrik.factory.deletions import Deletions
from kifabrik.factory.erasures import Erasures
from kifabrik.factory.factory import Factory
from kifabrik.factory.grants import Grants
from kifabrik.factory.hints import Hints
from kifabrik.factory.holdings import Holdings
from kifabrik.factory.housekeeping import EVERY_S, Housekeeping
from kifabrik.factory.keyholders import Keyholders
from kifabrik.factory.leases import Leases
from kifabrik.factory.log import Log
from kifabrik.factory.mailbox import Mailbox
from kifabrik.factory.members import Members
from kifabrik.factory.models import Models
from kifabrik.factory.objects import Objects
from kifabrik.factory.oversight import Oversight
from kifabrik.factory.ports import Clock
from kifabrik.factory.returned import Returned
from kifabrik.factory.run_book import RunBook
from kifabrik.factory.sign_ins import SignIns
from kifabrik.factory.statements import Statements
from kifabrik.factory.trails import Trails
from kifabrik.factory.unregistered import Unregistered
from kifabrik.factory.versions import Versions
from kifabrik.factory.ways import Ways
from kifabrik.service.limits import Limits
from kifabrik.stores.log_keys import FolderLogKeys
from kifabrik.stores.sql.address import Address
from kifabrik.stores.sql.store import SqlStore
from kifabrik.stores.sql.upgrade import upgrade
from kifabrik.stores.staging import FolderStaging
from kifabrik.values import now_utc
from kifabrik.wiring.check_staging import StagingCheck
from kifabrik.wiring.database_file import check_database_file, opening
from kifabrik.wiring.factory_config import FILE, PORT, TEMPLATE, Direct, EngineKind, FactoryConfig, read_config
from kifabrik.wiring.objects import (
    OBJECTS,
    BucketCheck,
    check_bucket,
    linger_of,
    object_store,
    refuse_unmoved,
    signer_of,
    unfinished_removed,
    watched,
)
from kifabrik.wiring.portal import premises_of
from kifabrik.wiring.runs import driving, read_prices, run_cases, service_name
from kifabrik.wiring.service_log import service_log
from kifabrik.wiring.slurm import cluster_of

STAGING: Final = "staging"
KEYS: Final = "keys"
DATABASE: Final = "factory.db"
_FILES: Final = 16_384


def init_home(home: Path, *, port: int = PORT, engine: EngineKind = EngineKind.LOCAL) -> FactoryConfig:
    """Make a factory's home folder, only its owner may enter it; one that exists is left as it is.

    Raises:
        UsageError: The folder holds something else.
    """
    if not (home / FILE).exists():
        # A first start that was cut off has left its unfinished settings at most.
        if home.exists() and any(one.name != f"{FILE}.new" for one in home.iterdir()):
            raise UsageError(f"{home} is not empty and not a factory", hint="Choose an empty or new folder.")
        make_folder(home)
        write_whole(home / FILE, TEMPLATE.format(port=port, engine=engine).encode(), mode=0o644)
    if home.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):  # as a folder has that was made by hand or restored
        home.chmod(0o700)
    return read_config(home)


def database_of(home: Path, config: FactoryConfig) -> Address:
    """Where a factory's rows are.

    Raises:
        UsageError: The settings name no database a factory can use.
    """
    if not config.database:
        return Address.from_text(f"sqlite:///{home.resolve() / DATABASE}")
    password = home.resolve() / config.database_password_file if config.database_password_file else None
    return Address.from_text(config.database, password)


def open_factory(home: Path, *, clock: Clock = now_utc, database: Address | None = None) -> Factory:
    """Open a factory's home and return its use cases; the database is brought to the present schema.

    Args:
        home: Its folder.
        clock: Says what time it is.
        database: Where its rows are, if not where its settings say.

    Raises:
        UsageError: There is no factory in this folder.
        UnavailableError: The database cannot be opened.
        IntegrityError: It is damaged, or missing from a factory that is not new.
    """
    config = read_config(home)
    address = database or database_of(home, config)
    store = SqlStore(address)
    _open_database(store, address, home)
    hints = Hints()
    store.tell(hints)
    keys = FolderLogKeys(home / KEYS)
    log = Log(store, keys, hints, clock)
    mailbox = Mailbox(store, hints, clock)
    statements = Statements(store, log, mailbox)
    accounts = Accounts(store, log, statements)
    members = Members(store, log, statements)
    sign_ins = SignIns(store, log, members)
    keyholders = Keyholders(store, statements)
    files = object_store(home, config)
    home_check = HomeCheck(store, keys, files)
    signer = signer_of(files, config)
    deletions = Deletions(store, files, clock, linger_of(signer))
    objects = Objects(store, files, FolderStaging(home / STAGING), deletions, clock, config.quota)
    ways = Ways(objects, files, signer, nodes_only=config.objects.direct is Direct.NODES)
    unregistered = Unregistered(store, deletions, clock, timedelta(seconds=config.keep_unregistered))
    returned = Returned(store, files, deletions, clock)
    versions = Versions(store)
    book = RunBook(hints, clock)
    attempts = Attempts(store, book)
    pricing = read_prices(home / config.prices)
    erasures = Erasures(store, log, statements, keyholders, deletions)
    return Factory(
        store=store,
        hints=hints,
        log=log,
        statements=statements,
        mailbox=mailbox,
        accounts=accounts,
        members=members,
        keyholders=keyholders,
        deletions=deletions,
        objects=objects,
        ways=ways,
        versions=versions,
        datasets=Datasets(store, statements, members, keyholders, versions, deletions),
        grants=Grants(store, statements),
        attestation=Attestation(store, statements),
        erasures=erasures,
        leases=Leases(store, log, statements, members, keyholders, attempts),
        models=Models(store, statements, members),
        unregistered=unregistered,
        home=home_check,
        housekeeping=Housekeeping(
            deletions, erasures, objects, unregistered, returned, unfinished_removed(files, clock)
        ),
        sign_ins=sign_ins,
        trails=Trails(store),
        holdings=Holdings(store),
        oversight=Oversight(store, clock),
        check=Check(
            store,
            files,
            log,
            (
                RunCheck(store),
                EntryCheck(store),
                StagingCheck(store, home / STAGING),
                unregistered,
                home_check,
                BucketCheck(files, clock),
            ),
        ),
        runs=run_cases(
            store,
            log,
            statements,
            accounts,
            members,
            versions,
            objects,
            attempts,
            book,
            pricing,
            cluster_of(config, store),
            config.site.stated() if config.site else None,
        ),
    )


def _open_database(store: SqlStore, address: Address, home: Path) -> None:
    if not (address.lite and address.url.database):
        store.check()
        upgrade(store)
        return
    file = Path(address.url.database)
    check_database_file(file, home / KEYS, home / OBJECTS)
    with opening(file):
        store.check()
        upgrade(store)


def serve(
    home: Path,
    *,
    ready: Callable[[str], None],
    limits: Limits | None = None,
    port: int | None = None,
    drives: bool = True,
) -> None:
    """Serve a factory until SIGINT or SIGTERM; whoever waits then is answered before it ends.

    Args:
        home: Folder of the factory.
        ready: Called with the URL once the service answers.
        limits: How long callers are waited for, and how much is held for them, if not as `Limits` says.
        port: To listen on, if not the one in the settings.
        drives: Whether this process may drive the runs, and keeps house; else it only answers.

    Raises:
        UsageError: There is no factory in this folder, or its certificate cannot be read.
        UnavailableError: The address is in use, or the database cannot be opened.
        IntegrityError: Database, keys or objects of this factory are missing or damaged.
    """
    import uvicorn  # noqa: PLC0415 - takes time, and only a server needs it

    from kifabrik.portal.app import add_pages  # noqa: PLC0415
    from kifabrik.service.app import make_app  # noqa: PLC0415
    from kifabrik.service.connections import Loop, connection_within  # noqa: PLC0415

    class Server(uvicorn.Server):
        """Says when it answers, and lets waiting callers go when it is told to stop."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                ready(url)

        def handle_exit(self, sig: int, _frame: FrameType | None) -> None:
            waiters = getattr(app.state, "waiters", None)
            connection.ending = True
            if waiters is not None:
                waiters.stop()
            # Not uvicorn's own: that raises the signal again at the end, before anything is closed.
            self.force_exit = self.should_exit and sig == signal.SIGINT
            self.should_exit = True

    config = read_config(home)
    if port is not None:
        config = config.model_copy(update={"port": port})
    if not drives:
        config = config.model_copy(update={"public_url": ""})  # this process is one of several behind it
    refuse_unmoved(home, config)
    check_bucket(home, config)
    factory = open_factory(home)
    factory.home.require()
    limits = limits or Limits()
    _open_many_files()
    connection = connection_within(limits)
    app = make_app(factory, limits)
    add_pages(app, premises_of(home, config))
    with (
        service_log(home),
        _listening(config) as (listener, url),
        factory.store.hearing(service_name()),
        _housekeeping(factory) if drives else nullcontext(),
        watched(factory.objects.files) if config.objects.url else nullcontext(),
        driving(home, factory, url, _pem(home, config)) if drives else nullcontext(),
    ):
        settings = uvicorn.Config(
            app,
            http=connection,
            loop=Loop,  # type: ignore[arg-type]  # not named in uvicorn's types, but taken
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=10,
            ssl_certfile=_file(home, config.tls_cert),
            ssl_keyfile=_file(home, config.tls_key),
        )
        Server(settings).run(sockets=[listener])
    factory.store.close()


def _open_many_files() -> None:
    """Let this process have more connections than the thousand files a process may open by default."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


@contextmanager
def _listening(config: FactoryConfig) -> Iterator[tuple[socket.socket, str]]:
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    # With the protocol named, asyncio turns Nagle's algorithm off: else each answer waits 40 ms for an ACK.
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((config.host, config.port))
        except OSError as error:
            raise UnavailableError(
                f"cannot listen on {config.host} port {config.port}: {os.strerror(error.errno or 0)}",
                hint=f"Is a factory running already? Set another port in {FILE}.",
            ) from error
        host = f"[{config.host}]" if family == socket.AF_INET6 else config.host
        scheme = "https" if config.tls_cert else "http"
        yield listener, config.public_url or f"{scheme}://{host}:{listener.getsockname()[1]}"


@contextmanager
def _housekeeping(factory: Factory) -> Iterator[None]:
    over = threading.Event()

    def work() -> None:
        while True:
            factory.housekeeping.tidy()
            if over.wait(EVERY_S):
                return

    thread = threading.Thread(target=work, name="housekeeping", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _pem(home: Path, config: FactoryConfig) -> str:
    """The service's own certificate, which launchers trust besides the system's authorities."""
    file = _file(home, config.tls_cert)
    return Path(file).read_text() if file else ""


def _file(home: Path, name: str) -> str | None:
    if not name:
        return None
    file = home / name
    if not file.is_file():
        raise UsageError(f"there is no file {file}", hint=f"Correct tls_cert and tls_key in {FILE}.")
    return str(file)
