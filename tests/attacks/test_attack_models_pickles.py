"""Malicious pickles in results: every way to run code is seen by reading, and nothing is run to see it."""

import collections
import datetime as dt
import io
import os
import pickle
import struct
import zipfile

import numpy as np
import pytest

from kifabrik.errors import RefusedError
from kifabrik.models import archives, pickles
from kifabrik.models.inspection import Verdict, inspect_folder, require_safe


class Evil:
    """Leaves a mark where it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


DATA = {
    "numbers": [1, 2.5, -(2**70), True, None, 1j],
    "texts": ("x" * 70_000, "ü", b"\x80", bytes(300)),
    "sets": [{1}, frozenset({2})],
    "ordered": collections.OrderedDict(a=1),
    "time": dt.datetime(2026, 11, 23, tzinfo=dt.UTC),
    "array": np.arange(6.0).reshape(2, 3),
    "scalar": np.float64(0.5),
    "kinds": np.zeros(2, [("a", "f4"), ("b", "U3")]),
}
PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
MKDIR = b"cposix\nmkdir\n"


def verdict(tmp_path, data: bytes, name: str = "model.pkl"):
    folder = tmp_path / "model"
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    (folder / name).write_bytes(data)
    (finding,) = inspect_folder(folder)
    return finding


def zipped(**members: bytes) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name.replace("__", "/").replace("_pkl", ".pkl").replace("_npy", ".npy"), data)
    return sink.getvalue()


def saved(array) -> bytes:
    sink = io.BytesIO()
    np.save(sink, array, allow_pickle=True)
    return sink.getvalue()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_code_is_seen_in_every_protocol_and_not_run(tmp_path, protocol):
    mark = tmp_path / "mark"
    data = pickle.dumps({"a": [1, Evil(mark)]}, protocol)
    finding = verdict(tmp_path, data)
    assert finding.verdict is Verdict.RUNS_CODE
    assert "posix.mkdir" in finding.says
    assert not mark.exists()
    pickle.loads(data)
    assert mark.exists()  # it does run where it is loaded


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_data_is_harmless_in_every_protocol(tmp_path, protocol):
    assert verdict(tmp_path, pickle.dumps(DATA, protocol)).verdict is Verdict.HARMLESS


@pytest.mark.parametrize(
    ("data", "names"),
    [
        (b"(S'x'\niposix\nmkdir\n.", "posix.mkdir"),
        (b"(" + MKDIR + b"S'x'\no.", "posix.mkdir"),
        (b"\x80\x04\x8c\x05posix\x8c\x05mkdir\x93.", "posix.mkdir"),
        (b"\x80\x04\x8c\x05posix\x940\x8c\x05mkdir\x940h\x00h\x01\x93.", "posix.mkdir"),
        (b"\x80\x04Vposix\np9\n0g9\nVmkdir\n\x93.", "posix.mkdir"),
        (b"\x80\x04S'posix'\nU\x05mkdir\x93.", "posix.mkdir"),
        (b"\x80\x04X\x05\0\0\0posix\x8d\x05\0\0\0\0\0\0\0mkdir\x93.", "posix.mkdir"),
        (b"\x80\x04\x8c\x05mkdir\x8c\x05posix2\x8c\x05posix\x8c\x05mkdir\x93000.", "posix.mkdir"),
        (b"\x80\x04Vp\\u006fsix\nVmkdir\n\x93.", "computed"),
        (b"\x80\x04S'p\\x6fsix'\nVmkdir\n\x93.", "computed"),
        (b"\x80\x04(\x8c\x05posix\x8c\x05mkdirt\x8c\x05mkdir\x93.", "computed"),
        (b"\x80\x02\x82\x01.", "extension registry"),
        (b"\x80\x04\x8c\x0bcollections\x8c\x19OrderedDict.__init__.func\x93.", "OrderedDict.__init__"),
        (b"ccollections\nOrderedDict\n}S'a'\nI1\nsb.", "a change of collections.OrderedDict"),
        (b"ccollections\nOrderedDict\nN}S'a'\nI1\ns\x86b.", "a change of collections.OrderedDict"),
        (b"cbuiltins\neval\n(S'1'\ntR.", "builtins.eval"),
        (b"cbuiltins\ngetattr\n.", "builtins.getattr"),
        (b"ctorch.storage\n_load_from_bytes\n.", "_load_from_bytes"),
        (b"cnumpy.testing._private.utils\nrunstring\n.", "runstring"),
        (b"c" + b"a" * 9000 + b"\nb\n.", "aaaa"),
    ],
)
def test_every_way_to_a_name_is_followed(tmp_path, data, names):
    finding = verdict(tmp_path, data)
    assert finding.verdict is Verdict.RUNS_CODE, finding
    assert names in finding.says


@pytest.mark.parametrize("tail", [b"", b"\xff", b"0000000", b"\x8c\xffx", b"N" * 9])
def test_a_pickle_that_breaks_after_its_harm_is_done_is_no_safer(tmp_path, tail):
    data = b"\x80\x02" + MKDIR + b"X\x04\0\0\0mark\x85R" + tail
    assert verdict(tmp_path, data).verdict is Verdict.RUNS_CODE
    assert verdict(tmp_path, data, "weights.bin").verdict is Verdict.RUNS_CODE


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"\x80", b"\x80\x04]", b"0.", b"a.", b"h\x00.", b"(.", b"\x93.", b"R.", b"gx\n.", b"PK"),
        b"\x80\x04\x8e" + b"\xff" * 8,
    ],
)
def test_a_pickle_that_cannot_be_followed_is_malformed(tmp_path, data):
    assert verdict(tmp_path, data).verdict is Verdict.MALFORMED


def test_a_pickle_without_end_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(pickles, "MOST_STEPS", 1000)
    finding = verdict(tmp_path, b"\x80\x02" + b"N0" * 1000 + b"N.")
    assert finding.verdict is Verdict.MALFORMED
    assert "nobody looked at the rest" in finding.says


def test_the_oldest_pickles_are_seen_under_any_name(tmp_path):
    data = MKDIR + b"(S'x'\ntR."
    for name in ("README", "model.txt", "config.json", "weights.bin"):
        assert verdict(tmp_path, data, name).verdict is Verdict.RUNS_CODE


def test_text_and_numbers_are_not_taken_for_pickles(tmp_path):
    for data in (b"classifier\nweights\n", b"{}", b"\x80\x02raw numbers", struct.pack("<9f", *range(9)), b""):
        assert verdict(tmp_path, data, "notes.bin").verdict is Verdict.UNKNOWN


def test_a_second_pickle_behind_the_first_is_followed_too(tmp_path):
    first = pickle.dumps([1], 2)
    assert verdict(tmp_path, first * 3).verdict is Verdict.HARMLESS
    assert verdict(tmp_path, first + pickle.dumps(Evil("x"), 2)).verdict is Verdict.RUNS_CODE
    assert verdict(tmp_path, first * 5 + b"\x01raw numbers", "legacy.pt").verdict is Verdict.HARMLESS


@pytest.mark.parametrize("place", ["m__data_pkl", "m__constants_pkl", "m__data__0", "other__x"])
def test_a_pickle_anywhere_in_a_torch_file_is_followed(tmp_path, place):
    harmless = zipped(m__data_pkl=pickle.dumps(DATA, 2), m__data__0=b"\x80\x02" + bytes(64))
    assert verdict(tmp_path, harmless, "model.pt").verdict is Verdict.HARMLESS
    members = {"m__data_pkl": pickle.dumps([], 2), "m__data__0": bytes(64)} | {place: pickle.dumps(Evil("x"), 2)}
    for name in ("model.pt", "model.safetensor", "README"):
        assert verdict(tmp_path, zipped(**members), name).verdict is Verdict.RUNS_CODE


def test_torchscript_counts_as_code(tmp_path):
    data = zipped(m__data_pkl=pickle.dumps([], 2), m__code__module=b"def forward(self): ...")
    assert verdict(tmp_path, data, "model.pt").verdict is Verdict.RUNS_CODE


def test_an_archive_with_one_name_twice_is_malformed(tmp_path):
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("m/data.pkl", pickle.dumps(Evil("x"), 2))
        archive.writestr("M/DATA.pkl", pickle.dumps([], 2))
    assert verdict(tmp_path, sink.getvalue(), "model.pt").verdict is Verdict.MALFORMED


@pytest.mark.parametrize("at", ["flags", "method", "checksum", "cut"])
def test_an_archive_that_readers_disagree_about_is_malformed(tmp_path, at):
    data = bytearray(zipped(m__data_pkl=pickle.dumps([], 2)))
    central = data.index(b"PK\x01\x02")
    if at == "cut":
        del data[-4:]
    else:
        data[central + {"flags": 8, "method": 10, "checksum": 16}[at]] ^= 1
    assert verdict(tmp_path, bytes(data), "model.pt").verdict is Verdict.MALFORMED


def test_a_bomb_in_an_archive_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "_MOST_MEMBER_BYTES", 2**16)
    data = zipped(m__data_pkl=b"\x80\x02" + b"N0" * 2**20 + b"N.")
    finding = verdict(tmp_path, data, "model.pt")
    assert finding.verdict is Verdict.MALFORMED
    assert "larger than is looked through" in finding.says


def test_arrays_of_numbers_are_sound_and_arrays_of_objects_are_followed(tmp_path):
    assert verdict(tmp_path, saved(DATA["array"]), "a.npy").verdict is Verdict.SOUND
    assert verdict(tmp_path, saved(DATA["kinds"]), "a.npy").verdict is Verdict.SOUND
    assert verdict(tmp_path, saved(np.array([1, "x"], dtype=object)), "a.npy").verdict is Verdict.HARMLESS
    evil = saved(np.array([Evil("x")], dtype=object))
    for name in ("a.npy", "a.bin"):
        assert verdict(tmp_path, evil, name).verdict is Verdict.RUNS_CODE
    assert verdict(tmp_path, zipped(a_npy=saved(DATA["array"])), "a.npz").verdict is Verdict.SOUND
    assert verdict(tmp_path, zipped(a_npy=saved(DATA["array"]), b=evil), "a.npz").verdict is Verdict.RUNS_CODE


@pytest.mark.parametrize(
    "descr", ["'|O'", "'object'", "'O8'", "'f4,O'", "[('a', 'f4'), ('b', [('c', '|O')])]", "('|O', (2,))"]
)
def test_an_array_is_of_numbers_only_if_that_is_plain_to_see(tmp_path, descr):
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': (1,), }}\n".encode()
    data = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + MKDIR + b"(S'x'\ntR."
    assert verdict(tmp_path, data, "a.npy").verdict is Verdict.RUNS_CODE


@pytest.mark.parametrize(
    "header", [b"", b"{", b"[" * 5000, b"open('x')", b"{'descr': '<f8'}", b"{" + b" " * 20_000]
)
def test_an_array_with_another_header_is_malformed(tmp_path, header):
    data = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    assert verdict(tmp_path, data, "a.npy").verdict is Verdict.MALFORMED


def test_an_archive_of_unknown_use_is_not_called_sound(tmp_path):
    keras = zipped(config=b'{"class_name": "Lambda"}', weights=b"")
    assert verdict(tmp_path, keras, "model.keras").verdict is Verdict.UNKNOWN


def test_accepting_refuses_code_and_says_which(tmp_path):
    verdict(tmp_path, pickle.dumps(DATA))
    require_safe(inspect_folder(tmp_path / "model"))
    verdict(tmp_path, pickle.dumps(Evil("x")))
    with pytest.raises(RefusedError, match=r"model\.pkl: a pickle that runs code when it is loaded: posix\.mkdir"):
        require_safe(inspect_folder(tmp_path / "model"))


def test_a_link_in_the_folder_is_not_followed(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.pkl").symlink_to("/etc/passwd")
    with pytest.raises(Exception, match=r"cannot read model\.pkl"):
        inspect_folder(folder)
