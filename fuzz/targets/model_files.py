"""Files of a model under any name: arrays, archives and whatever pretends to be one."""

import io
import pickle
import tempfile
import zipfile
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from fuzz.material import take
from fuzz.target import Disagreement, Target
from kifabrik.errors import UnavailableError
from kifabrik.models.inspection import Verdict, inspect_file

_ROOM = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - this process's own folder in it
_NAMES = ("m.npy", "m.npz", "m.pt", "m.pkl", "m.bin", "m.safetensors", "README")


def one(data: bytes) -> None:
    """Look into a file; an array called sound loads in NumPy without any pickle."""
    choice, rest = take(data)
    name = _NAMES[choice % len(_NAMES)]
    with tempfile.NamedTemporaryFile(dir=_ROOM) as file:
        file.write(rest)
        file.flush()
        found = inspect_file(Path(file.name), name)
    if found.verdict is Verdict.SOUND and rest.startswith(b"\x93NUMPY"):
        try:
            np.lib.format.read_array(io.BytesIO(rest), allow_pickle=False)
        except ValueError as error:
            if "Object arrays" in str(error):
                raise Disagreement(f"an array of objects is called sound: {error}") from None


def seeds() -> Iterator[bytes]:
    """One of each."""
    for array in (
        np.arange(3.0),
        np.zeros(2, [("a", "f4"), ("b", "U3", (2,))]),
        np.array([1, "x"], dtype=object),
        np.zeros(1, "M8[s]"),
    ):
        sink = io.BytesIO()
        np.save(sink, array, allow_pickle=True)
        yield b"\0" + sink.getvalue()
    sink = io.BytesIO()
    np.savez(sink, a=np.arange(2))
    yield b"\1" + sink.getvalue()
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("m/data.pkl", pickle.dumps(OrderedDict(a=1), 2))
        archive.writestr("m/data/0", bytes(8))
    yield b"\2" + sink.getvalue()
    yield b"\3" + pickle.dumps([1]) * 2


TARGET = Target(
    "files of models",
    one,
    (UnavailableError,),
    seeds,
    (b"\x93NUMPY\x01\x00", b"'descr': '|O'", b"'descr': [('a', 'O')]", b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"),
)
