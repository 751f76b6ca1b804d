"""Files of one's own and shared tables become a sealed version: typed, bounded, confirmed, like a pull."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import pyarrow as pa

from kifabrik.connectors.sap.batches import members_of
from kifabrik.connectors.sap.file_plan import FileTable, SharedTable, SharePlan, UploadPlan
from kifabrik.connectors.sap.files import read_files
from kifabrik.connectors.sap.gathering import in_memory
from kifabrik.connectors.sap.pull import ACCOUNT
from kifabrik.connectors.sap.secrets import SecretStore
from kifabrik.connectors.sap.sharing import open_share, read_shared
from kifabrik.customer.seal import Earlier, SealedDataset, seal_version
from kifabrik.customer.session import Session
from kifabrik.datasets.made import Made, MadeShard
from kifabrik.transfer.objects import silent
from kifabrik.values import format_time, now_utc


@dataclass(frozen=True)
class Brought:
    """A version that was sealed.

    Args:
        sealed: The version.
        rows: By table.
    """

    sealed: SealedDataset
    rows: dict[str, int]


def upload(session: Session, plan: UploadPlan) -> Brought:
    """Seal files of one's own with types.

    Raises:
        KifabrikError: A file is missing, a value is not of its type, or the factory stands in the way.
    """
    return _bring(session, plan, {name: (read_files(name, one), one) for name, one in plan.tables.items()})


def take_share(session: Session, plan: SharePlan, store: SecretStore | None = None) -> Brought:
    """Seal tables another party shares.

    Raises:
        KifabrikError: The share or the factory stands in the way.
    """
    client = open_share(plan, store)
    return _bring(session, plan, {name: (read_shared(client, name, one), one) for name, one in plan.tables.items()})


def _bring(
    session: Session,
    plan: UploadPlan | SharePlan,
    sources: Mapping[str, tuple[Iterator[pa.RecordBatch], FileTable | SharedTable]],
) -> Brought:
    rows = dict.fromkeys(sources, 0)

    def counted(name: str, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            rows[name] += batch.num_rows
            yield batch

    def making(version: int) -> Iterator[MadeShard]:
        for name, (batches, wanted) in sources.items():
            yield from members_of(name, counted(name, batches), wanted.keys, most=wanted.rows, version=version)
        yield in_memory(ACCOUNT, json.dumps(_account(plan, rows), indent=1, ensure_ascii=False).encode())

    @contextmanager
    def packing(earlier: Earlier) -> Iterator[Made]:
        yield Made((), making(earlier.version))

    sealed = seal_version(
        session,
        plan.dataset,
        packing,
        bar=lambda _label, _total: nullcontext(silent),
        description=f"{len(sources)} tables, for {plan.purpose}",
    )
    return Brought(sealed, rows)


def _account(plan: UploadPlan | SharePlan, rows: Mapping[str, int]) -> dict[str, object]:
    return {
        "purpose": plan.purpose,
        "confirmed": plan.confirmed.model_dump(mode="json"),
        "sealed": format_time(now_utc()),
        "rows": dict(rows),
    }
