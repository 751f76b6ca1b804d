"""Malformed safetensors: what two readers could see differently, or what reaches outside, is not called sound."""

import io
import json
import tracemalloc

import numpy as np
import pytest
import safetensors
from safetensors.numpy import save

from kifabrik.errors import IntegrityError, RefusedError
from kifabrik.models import tensors
from kifabrik.models.inspection import Verdict, inspect_folder, require_safe
from kifabrik.models.tensors import Tensor, read_tensors

GOOD = {"a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}


def made(header, data=b"", *, length=None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def read(data: bytes) -> tuple[Tensor, ...]:
    return read_tensors(io.BytesIO(data))


def one(**changes) -> dict:
    return {"a": GOOD["a"] | changes}


def test_a_file_of_the_library_is_sound_and_its_tensors_are_found():
    arrays = {"b": np.zeros((2, 3), np.float32), "a": np.zeros(0, np.int8), "c": np.array(1, np.uint16)}
    found = read(save(arrays, {"made": "here"}))
    assert {one.name: one.shape for one in found} == {"a": (0,), "b": (2, 3), "c": ()}


@pytest.mark.parametrize("dtype", sorted(tensors._BITS))
def test_every_type_named_here_is_one_of_the_library(dtype):
    data = made({"a": {"dtype": dtype, "shape": [8], "data_offsets": [0, tensors._BITS[dtype]]}})
    data += bytes(tensors._BITS[dtype])
    try:
        safetensors.deserialize(data)
    except safetensors.SafetensorError as error:
        pytest.fail(f"{dtype}: {error}")
    assert read(data)[0].dtype == dtype


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "cannot have"),
        (b"\x02\0\0", "cannot have"),
        (made(b"{}", length=3), "cannot have"),
        (made(b"{}", length=2**63), "cannot have"),
        (made(b"[]"), "does not begin"),
        (made(b" {}"), "does not begin"),
        (made(b'"{}"'), "does not begin"),
        (made(b"{"), "not JSON"),
        (made(b"{}x"), "not JSON"),
        (made(b"{}\0"), "not JSON"),
        (made(b"{}\n"), "not JSON"),
        (made(b'{"a\xff": 1}'), "not JSON"),
        (made(b'{"a":' * 100_000), "not JSON"),
        (made(b'{"\\ud800": {}}'), "not JSON"),
        (made(json.dumps(GOOD).encode()[:-1] + b", " + json.dumps(GOOD).encode()[1:], bytes(24)), "every key once"),
        (made(b'{"a":{"dtype":"U8","dtype":"U8","shape":[0],"data_offsets":[0,0]}}'), "every key once"),
        (made(b'{"__metadata__":{"a":"1","a":"2"}}'), "every key once"),
        (made({"__metadata__": {"a": 1}}), "metadata"),
        (made({"__metadata__": "a"}), "metadata"),
        (made({"a": []}), "dtype, shape"),
        (made({"a": {"dtype": "F32", "shape": [0]}}), "dtype, shape"),
        (made(one(more=1), bytes(24)), "dtype, shape"),
        (made(one(dtype="F33"), bytes(24)), "unknown type"),
        (made(one(dtype=["F32"]), bytes(24)), "unknown type"),
        (made(one(shape=[2, -3]), bytes(24)), "no proper shape"),
        (made(one(shape=[2.0, 3]), bytes(24)), "no proper shape"),
        (made(one(shape=[True, 6]), bytes(24)), "no proper shape"),
        (made(one(shape="23"), bytes(24)), "no proper shape"),
        (made(one(shape=[1] * 65), bytes(24)), "no proper shape"),
        (made(one(shape=[2**63, 2]), bytes(24)), "no proper shape"),
        (made(one(data_offsets=[0]), bytes(24)), "no proper shape"),
        (made(b'{"a":{"dtype":"U8","shape":[0],"data_offsets":[-0,0]}}'), "no proper shape"),
        (made(one(data_offsets=[-24, 0]), bytes(24)), "no proper shape"),
        (made(one(shape=[2, 4]), bytes(24)), "others"),
        (made(one(shape=[2**62, 2**62]), bytes(24)), "others"),
        (made(one(data_offsets=[24, 0]), bytes(24)), "others"),
        (made(one(dtype="F4", shape=[3], data_offsets=[0, 1]), bytes(1)), "others"),
        (made(GOOD, bytes(23)), "24 bytes and the file has 23"),
        (made(GOOD, bytes(25)), "24 bytes and the file has 25"),
        (made({}, b"smuggled"), "0 bytes and the file has 8"),
        (made(one(data_offsets=[8, 32]), bytes(32)), "gap"),
        (made(GOOD | {"b": {"dtype": "U8", "shape": [8], "data_offsets": [20, 28]}}, bytes(28)), "overlaps"),
        (made(GOOD | {"b": GOOD["a"]}, bytes(24)), "overlaps"),
        (made(one(data_offsets=[2**62, 2**62 + 24]), bytes(24)), "gap"),
    ],
)
def test_each_way_to_be_malformed_is_named(data, says):
    with pytest.raises(IntegrityError, match=says):
        read(data)


def test_a_huge_header_is_refused_before_it_is_read():
    class Endless(io.BytesIO):
        """Claims to be as large as its header, and must not be read."""

        def seek(self, offset, whence=0):
            return super().seek(offset, whence) if whence == 0 else 2**40

        def read(self, size=-1):
            assert size <= 8, "the header is read"
            return super().read(size)

    with pytest.raises(IntegrityError, match="cannot have 100000001 bytes"):
        read_tensors(Endless(made(b"", length=100_000_001)))


def test_the_tensors_themselves_are_not_read(tmp_path):
    size = 2**36
    path = tmp_path / "large.safetensors"
    header = made({"a": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}})
    with path.open("wb") as file:
        file.write(header)
        file.truncate(len(header) + size)  # a hole: takes no room
    tracemalloc.start()
    (finding,) = inspect_folder(tmp_path)
    assert tracemalloc.get_traced_memory()[1] < 2**22
    tracemalloc.stop()
    assert finding.verdict is Verdict.SOUND


def test_accepting_refuses_a_malformed_file_and_names_it(tmp_path):
    (tmp_path / "good.safetensors").write_bytes(made(GOOD, bytes(24)))
    require_safe(inspect_folder(tmp_path))
    (tmp_path / "part").mkdir()
    (tmp_path / "part/bad.safetensors").write_bytes(made(GOOD, bytes(25)))
    with pytest.raises(RefusedError, match=r"part/bad\.safetensors: malformed safetensors"):
        require_safe(inspect_folder(tmp_path))


def test_another_format_under_the_name_is_malformed(tmp_path):
    (tmp_path / "model.SAFETENSORS").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    (finding,) = inspect_folder(tmp_path)
    assert finding.verdict is Verdict.MALFORMED
