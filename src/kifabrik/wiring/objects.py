"""Where a factory's objects lie, as its settings say: a folder, or a bucket of an S3 store."""

from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from kifabrik.errors import UsageError
from kifabrik.stores.folder import FolderObjects
from kifabrik.wiring.factory_config import FILE, FactoryConfig, read_config

if TYPE_CHECKING:
    from kifabrik.stores.s3.objects import S3Objects
    from kifabrik.stores.s3.place import S3Place

    Objects: TypeAlias = FolderObjects | S3Objects

OBJECTS: Final = "objects"
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
