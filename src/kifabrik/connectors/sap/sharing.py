"""Tables shared by Delta Sharing, as Datasphere and Business Data Cloud offer them, as typed batches.

The client library speaks the protocol; the Parquet files it names are fetched into memory one by one, and none
touches the disk. Source: Delta Sharing Protocol 1.0, "Read Data from a Table".
"""

from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import pyarrow as pa
import pyarrow.parquet as pq

from kifabrik.connectors.sap.file_plan import SharedTable, SharePlan
from kifabrik.connectors.sap.secrets import SecretStore
from kifabrik.connectors.sap.share_listing import Listing, SharedFile
from kifabrik.errors import CapacityError, IntegrityError, UnavailableError, UsageError

LARGEST_FILE: Final = 2**30
_ENDED: Final = frozenset({400, 401, 403, 404, 410})
"""What stores answer once a link has ended: S3 403, Azure 403, Google 400, others 401, 404 or 410."""
_TIMEOUT: Final = httpx.Timeout(300, connect=15)


def open_share(plan: SharePlan, store: SecretStore | None = None) -> Any:
    """Return a client of the share.

    Raises:
        SignInError: The profile is not where the plan says.
        UsageError: It is no profile.
    """
    from delta_sharing.protocol import DeltaSharingProfile  # noqa: PLC0415 - slow to import
    from delta_sharing.rest_client import DataSharingRestClient  # noqa: PLC0415

    text = plan.profile.read(store)
    try:
        profile = DeltaSharingProfile.from_json(text)
    except (ValueError, KeyError, TypeError):
        raise UsageError(
            "the profile of the share is not what a provider of Delta Sharing gives",
            hint='Put the whole file into the variable: export SHARE="$(cat profile.share)"',
        ) from None
    parts = urlsplit(profile.endpoint)
    if parts.scheme != "https" and parts.hostname not in {"127.0.0.1", "localhost"}:
        raise UsageError("the share's endpoint must be https://")
    return DataSharingRestClient(profile, num_retries=4)


def read_shared(client: Any, name: str, wanted: SharedTable) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a shared table, file after file.

    Raises:
        KifabrikError: The share refuses, cannot be reached, or what it gives is not what it says.
    """
    listing = Listing(client, name, wanted.table)
    schema: pa.Schema | None = None
    for file in listing.files:
        found = _fetched(name, listing, file)
        missing = [column for column in wanted.columns if column not in found.schema_arrow.names]
        absent = [column for column in missing if column not in file.partitions]
        if absent:
            raise UsageError(
                f"{wanted.table} has no column {absent[0]!r}",
                hint=f"It has: {', '.join(found.schema_arrow.names)[:300]}.",
            )
        if missing:
            raise UsageError(
                f"{wanted.table} is parted by {missing[0]!r}, whose values are not in its files",
                hint="Leave that column out of the plan.",
            )
        for batch in found.iter_batches(columns=list(wanted.columns)):
            chosen = batch.select(list(wanted.columns))
            schema = schema or chosen.schema.remove_metadata()
            try:
                yield chosen.cast(schema)
            except pa.ArrowException:
                raise IntegrityError(f"{wanted.table}: its files have columns of different types") from None


def _fetched(name: str, listing: Listing, file: SharedFile) -> pq.ParquetFile:
    if file.size > LARGEST_FILE:
        raise CapacityError(f"{name}: a file of the share has {file.size / 2**30:.1f} GiB; 1 GiB is held in memory")
    answer = _got(name, file)
    if answer.status_code in _ENDED:
        answer = _got(name, listing.again(file))
    if answer.status_code != httpx.codes.OK:
        raise UnavailableError(
            f"{name}: a file of the share answers {answer.status_code}", hint="Repeat the command."
        )
    if file.size and len(answer.content) != file.size:
        raise IntegrityError(
            f"{name}: a file of the share has {len(answer.content)} bytes, and was to have {file.size}"
        )
    try:
        return pq.ParquetFile(pa.BufferReader(answer.content))
    except (pa.ArrowInvalid, OSError):
        raise IntegrityError(f"{name}: a file of the share is no Parquet file") from None


def _got(name: str, file: SharedFile) -> httpx.Response:
    try:
        return httpx.get(file.url, timeout=_TIMEOUT)
    except httpx.HTTPError as error:
        raise UnavailableError(f"{name}: a file of the share cannot be had: {type(error).__name__}") from None
