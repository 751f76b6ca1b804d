"""What a launcher sealed as log is not believed to make sense."""

import json

import pytest

from kifabrik.customer.log_lines import LogLine, read_lines
from kifabrik.errors import IntegrityError


def sealed(*records) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def test_records_are_read_in_order():
    data = sealed(
        {"at": 1.5, "kind": "out", "text": "loss 0.1"},
        {"at": 2, "kind": "metric", "name": "auc", "value": 0.75, "step": 1},
    )
    assert list(read_lines(data, 3)) == [
        LogLine(1.5, "out", "loss 0.1", 3),
        LogLine(2.0, "metric", "auc = 0.75", 3, "auc", 0.75),
    ]


def test_a_metric_may_have_any_name_without_changing_its_value():
    (line,) = read_lines(sealed({"at": 1, "kind": "metric", "name": "a = b", "value": 2, "step": 0}), 1)
    assert (line.metric, line.value) == ("a = b", 2.0)


@pytest.mark.parametrize(
    "data",
    [
        b"{",
        b"[]\n",
        b"null",
        b'"at"',
        b"[" * 10_000,
        b"\xff",
        sealed({}),
        sealed({"at": "x", "kind": "out", "text": ""}),
        sealed({"at": float("nan"), "kind": "out", "text": ""}),
        sealed({"at": 10**400, "kind": "out", "text": ""}),
        sealed({"at": 1, "kind": "metric", "name": "a", "value": "b"}),
        sealed({"at": 1, "kind": "metric", "text": "a = 1"}),
    ],
)
def test_anything_else_than_records_is_an_error_of_the_tree(data):
    with pytest.raises(IntegrityError):
        list(read_lines(data, 1))


def test_every_text_read_can_be_written():
    (line,) = read_lines(b'{"at": 1, "kind": "out", "text": "\\ud800"}\n', 1)
    assert line.text == "?"


def test_a_carriage_return_or_other_break_does_not_divide_a_record():
    (line,) = read_lines(sealed({"at": 1, "kind": "out", "text": "a\u2028b\x0bc"}), 1)
    assert line.text == "a\u2028b\x0bc"
