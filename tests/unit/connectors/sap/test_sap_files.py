"""Files of one's own and shared tables, typed like a pull."""

from datetime import date
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kifabrik.connectors.sap.batches import members_of
from kifabrik.connectors.sap.file_plan import UploadPlan, read_upload_plan
from kifabrik.connectors.sap.files import read_files
from kifabrik.connectors.sap.plan import parse
from kifabrik.errors import CapacityError, IntegrityError, NotFoundError, UsageError

HEAD = """
dataset: stock
purpose: testing
confirmed: {by: Anna Huber, on: 2026-11-20, because: "an export of our own"}
"""
STOCK = """
tables:
  Stock:
    files: [stock.csv]
    rows: 100
    keys: [product]
    delimiter: ";"
    decimal: ","
    dates: sap
    headings: {product: "Material Nr."}
    columns: {product: text, quantity: "decimal(13,3)", counted: date, active: boolean, note: text}
"""
CSV = (
    "Material Nr.;quantity;counted;active;note;left out\n"
    "000123;1.234,500-;20261231;X;Größe ½″;y\n"
    "000124;;00000000;;;\n"
)


def table(tmp_path, csv=CSV, plan=STOCK):
    (tmp_path / "stock.csv").write_text(csv, encoding="utf-8")
    (tmp_path / "plan.yaml").write_text(HEAD + plan)
    wanted = read_upload_plan(tmp_path / "plan.yaml").tables["Stock"]
    return pa.Table.from_batches(read_files("Stock", wanted)), wanted


def test_an_export_of_saps_is_read_with_its_types(tmp_path):
    found, _ = table(tmp_path)
    assert found.schema.field("quantity").type == pa.decimal128(13, 3)
    assert found.to_pylist() == [
        {
            "product": "000123",
            "quantity": Decimal("-1234.500"),
            "counted": date(2026, 12, 31),
            "active": True,
            "note": "Größe ½″",
        },
        {"product": "000124", "quantity": None, "counted": None, "active": None, "note": None},
    ]


def test_parquet_is_cast_exactly_or_refused(tmp_path):
    plan = STOCK.replace("stock.csv", "stock.parquet")
    columns = {
        "Material Nr.": ["1", "2"],
        "quantity": pa.array([Decimal("1.25"), None], pa.decimal128(10, 2)),
        "counted": pa.array([date(2026, 1, 1), None]),
        "active": [True, None],
        "note": ["a", None],
    }
    pq.write_table(pa.table(columns), tmp_path / "stock.parquet")
    found, _ = table(tmp_path, plan=plan)
    assert found.column("quantity").to_pylist() == [Decimal("1.250"), None]
    pq.write_table(pa.table({**columns, "quantity": [1.2345, None]}), tmp_path / "stock.parquet")
    with pytest.raises(IntegrityError, match=r"a value of 'quantity' \(double\) does not fit"):
        table(tmp_path, plan=plan)


@pytest.mark.parametrize(
    ("csv", "error", "says"),
    [
        (CSV.replace("quantity", "amount"), UsageError, "has no column 'quantity'"),
        (CSV.replace("1.234,500-", "abc"), IntegrityError, "a value of 'quantity'"),
        (CSV.replace("1.234,500-", "1,2345"), IntegrityError, "a value of 'quantity'"),
        (CSV.replace("20261231", "20261331"), IntegrityError, "a value of 'counted' is no date32"),
        (CSV.replace(";X;", ";perhaps;"), IntegrityError, "a value of 'active'"),
        (CSV.replace("000123", ""), IntegrityError, "'product' is empty"),
        (CSV + "000125\n", UsageError, "fewer cells"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, csv, error, says):
    with pytest.raises(error, match=says):
        table(tmp_path, csv)


def test_a_file_that_is_missing_or_not_utf8_is_named(tmp_path):
    with pytest.raises(NotFoundError, match="there is no file"):
        table(tmp_path, plan=STOCK.replace("stock.csv", "other.csv"))
    (tmp_path / "latin.csv").write_bytes(CSV.replace("½″", "").encode("latin-1"))
    with pytest.raises(UsageError, match="is not UTF-8"):
        table(tmp_path, plan=STOCK.replace("stock.csv", "latin.csv"))


def test_keys_and_limits_hold(tmp_path):
    found, wanted = table(tmp_path, CSV.replace("000124", "000123"))
    with pytest.raises(IntegrityError, match="same key came a second time, in row 2"):
        list(members_of("Stock", found.to_batches(), wanted.keys, most=10))
    with pytest.raises(CapacityError, match="more than the 1 rows"):
        list(members_of("Stock", found.to_batches(), (), most=1))


def test_members_are_parquet_files_with_their_keys(tmp_path):
    found, wanted = table(tmp_path)
    members = list(members_of("Stock", found.to_batches(), wanted.keys, most=10, version=3))
    pieces = []
    members[0].write_to(pieces.append)
    read = pq.read_table(pa.BufferReader(b"".join(bytes(piece) for piece in pieces)))
    assert members[0].path == "Stock/00003-00000.parquet"
    assert read.schema.metadata[b"kifabrik.keys"] == b"product"
    assert read.to_pylist() == found.to_pylist()


@pytest.mark.parametrize(
    ("plan", "says"),
    [
        (STOCK.replace("decimal(13,3)", "decimal(3,13)"), "no more of them behind the point"),
        (STOCK.replace("note: text", "note: words"), "'words' is no type"),
        (STOCK.replace("keys: [product]", "keys: [matnr]"), "'matnr' is none of the columns"),
        (STOCK.replace("product: text", '"../x": text'), "tables.Stock.columns"),
        (STOCK.replace("rows: 100\n", "rows: 100\n    rwos: 1\n"), "unknown key"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(plan, says):
    with pytest.raises(UsageError, match=says):
        parse(UploadPlan, HEAD + plan, "plan.yaml")
