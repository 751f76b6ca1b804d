"""Where a factory's objects lie, as its settings say: a folder, or a bucket of an S3 store."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from kifabrik.errors import UnavailableError, UsageError
from kifabrik.factory.findings import Finding
from kifabrik.factory.ports import Clock, ObjectStore
from kifabrik.stores.folder import FolderObjects
from kifabrik.wiring.factory_config import FILE, Direct, FactoryConfig, read_config

if TYPE_CHECKING:
    from kifabrik.stores.s3.objects import S3Objects
    from kifabrik.stores.s3.place import S3Place
    from kifabrik.stores.s3.ways import S3Ways

    Objects: TypeAlias = FolderObjects | S3Objects

OBJECTS: Final = "objects"
_LOOK_EVERY_S: Final = 5.0
_OVERDUE: Final = "The service gives it up within a day while it runs; service.log says why it cannot."
_logger = logging.getLogger(__name__)
_LIBRARY_HINT: Final = "Install it: pip install 'kifabrik[s3]'"


def object_store(home: Path, config: FactoryConfig) -> "Objects":
    """Open the store of objects that a factory's settings name.

    Raises:
        UsageError: A file they name is missing, or the library for S3 is not installed.
        UnavailableError: There are no credentials.
    """
    if not config.objects.url:
        return FolderObjects(home / OBJECTS)
    try:
        from kifabrik.stores.s3.objects import S3Objects  # noqa: PLC0415 - takes time, and few need it
    except ModuleNotFoundError as error:
        raise UsageError(f"objects on S3 need the package {error.name}", hint=_LIBRARY_HINT) from None
    return S3Objects(s3_place(home, config))


def signer_of(files: "Objects", config: FactoryConfig) -> "S3Ways | None":
    """Return what gives ways past the service; None if there is nothing of the kind, or it is not wished for."""
    if isinstance(files, FolderObjects) or config.objects.direct is Direct.NONE:
        return None
    from kifabrik.stores.s3.ways import S3Ways  # noqa: PLC0415 - see above

    return S3Ways(files)


def linger_of(signer: "S3Ways | None") -> timedelta:
    """How long a way in is good for, with a minute for clocks that differ."""
    if signer is None:
        return timedelta()
    from kifabrik.stores.s3.ways import WAY_IN_S  # noqa: PLC0415 - see above

    return timedelta(seconds=WAY_IN_S + 60)


def check_bucket(home: Path, config: FactoryConfig) -> None:
    """Refuse a bucket whose settings would keep what is erased or delete what is in use; warn of the rest.

    Raises:
        UsageError: It cannot be used, or must not be.
    """
    files = object_store(home, config)
    if isinstance(files, FolderObjects):
        return
    from kifabrik.stores.s3.bucket import Gravity, concerns  # noqa: PLC0415 - see above
    from kifabrik.stores.s3.failures import StoreAwayError  # noqa: PLC0415

    try:
        found = concerns(files)
    except StoreAwayError as error:
        _logger.warning("objects: %s. %s Runs wait until it answers.", error.message, error.hint)
        return
    except UnavailableError as error:
        raise UsageError(error.message, hint=error.hint) from error
    finally:
        files.close()
    for one in found:
        if one.gravity is Gravity.REFUSE:
            raise UsageError(one.what, hint=one.do)
        _logger.warning("objects: %s. %s", one.what, one.do)


def refuse_unmoved(home: Path, config: FactoryConfig) -> None:
    """Refuse to serve from a bucket while the folder still holds objects.

    Raises:
        UsageError: It does.
    """
    folder = home / OBJECTS
    if config.objects.url and folder.is_dir() and any(file.is_file() for file in folder.rglob("*")):
        raise UsageError(
            f"{folder} still holds objects, and the settings name {config.objects.url}",
            hint="Bring them there: kifabrik admin objects copy --finish",
        )


class BucketCheck:
    """Whether a bucket's settings are still such that deleted is deleted, and nothing is left half stored.

    Args:
        files: The store; a folder has no settings.
        clock: Tells the time.
    """

    def __init__(self, files: "Objects", clock: Clock) -> None:
        self._files = files
        self._clock = clock

    def run(self) -> Iterator[Finding]:
        """Yield what is not as it should be."""
        if isinstance(self._files, FolderObjects):
            return
        from kifabrik.stores.s3.bucket import Gravity, concerns  # noqa: PLC0415 - see above
        from kifabrik.stores.s3.objects import UNFINISHED_FOR  # noqa: PLC0415

        for one in concerns(self._files):
            if one.gravity is Gravity.REFUSE:
                yield Finding("", one.what, one.do)
        for key, _ in self._files.unfinished(self._clock() - 2 * UNFINISHED_FOR):
            yield Finding(key.partition("/")[0], f"object {key} is stored in part, for days", _OVERDUE)


def unfinished_removed(files: "Objects", clock: Clock) -> Callable[[], None]:
    """Return what gives up uploads in parts that nobody goes on with; a folder has none."""

    def give_up() -> None:
        if isinstance(files, FolderObjects):
            return
        from kifabrik.stores.s3.objects import UNFINISHED_FOR  # noqa: PLC0415 - see above

        files.give_up_unfinished(clock() - UNFINISHED_FOR)

    return give_up


@contextmanager
def watched(files: ObjectStore) -> Iterator[None]:
    """Look every few seconds whether the object store answers, while the block runs: runs wait if it does not."""
    over = threading.Event()

    def work() -> None:
        while not over.wait(_LOOK_EVERY_S):
            files.look()

    thread = threading.Thread(target=work, name="object store", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def stored_bytes(home: Path) -> int:
    """Bytes of all objects a factory has stored.

    Raises:
        UsageError: There is no factory in this folder.
        UnavailableError: They cannot be listed.
    """
    return sum(size for _, size in object_store(home, read_config(home)).keys())  # noqa: SIM118 - no mapping


def s3_place(home: Path, config: FactoryConfig) -> "S3Place":
    """Return where the bucket is, as settings say.

    Raises:
        UsageError: A file they name is missing.
    """
    from kifabrik.stores.s3.place import S3Place, parse_s3_url  # noqa: PLC0415 - see above

    said = config.objects
    bucket, prefix = parse_s3_url(said.url)
    credentials = _file(home, said.credentials, "credentials")
    return S3Place(
        bucket=bucket,
        prefix=prefix,
        endpoint=said.endpoint.rstrip("/"),
        region=said.region,
        path_style=said.path_style,
        ca=str(_file(home, said.ca, "ca") or ""),
        credentials=credentials,
        profile=said.profile,
        outside=said.outside.rstrip("/"),
    )


def _file(home: Path, name: str, key: str) -> Path | None:
    if not name:
        return None
    file = home / name
    if not file.is_file():
        raise UsageError(f"there is no file {file}", hint=f"Correct {key} of [objects] in {FILE}.")
    return file
