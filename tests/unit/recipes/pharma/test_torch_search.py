"""Search by torch finds what the kernel finds, to the last bit; without torch or a GPU it says so."""

import sys

import numpy as np
import pytest
from molecules import ODD, drugs, moses

from kifabrik.errors import UsageError
from kifabrik.recipes.pharma import torch_search
from kifabrik.recipes.pharma.fingerprints import BITS, morgan
from kifabrik.recipes.pharma.index import Index, build, open_index
from kifabrik.recipes.pharma.libraries import Library
from kifabrik.recipes.pharma.search import similar
from kifabrik.recipes.pharma.searching import like
from kifabrik.recipes.pharma.torch_search import Device


@pytest.fixture(scope="module")
def index(tmp_path_factory) -> Index:
    folder = tmp_path_factory.mktemp("index")
    (folder / "library.smi").write_text("".join(f"{smiles}\n" for smiles in (*ODD, *moses(1_500), *moses(20))))
    build(Library(folder / "library.smi"), folder / "index")
    return open_index(folder / "index")


def _queries():
    odd = np.zeros((2, BITS // 64), np.uint64)
    odd[1] = ~odd[1]
    return np.concatenate([morgan([*moses(12, skip=50_000), *drugs(8), *moses(3)]), odd])


@pytest.mark.parametrize(
    ("most", "threshold", "weights"),
    [
        (10, 0.0, (1, 1)),
        (2_000, 0.0, (1, 1)),
        (None, 0.0, (1, 1)),
        (None, 0.35, (1, 1)),
        (25, 0.3, (0.9, 0.1)),
        (None, 0.6, (0.1, 0.9)),
        (3, 0.0, (0.3, 0.0)),
    ],
)
def test_torch_finds_what_the_kernel_finds_to_the_last_bit(index, monkeypatch, most, threshold, weights):
    pytest.importorskip("torch", reason="torch is an extra, kifabrik[pharma-gpu], and not installed here")
    monkeypatch.setattr(torch_search, "_BLOCKS", {Device.CPU: 257})
    monkeypatch.setattr(torch_search, "_QUERIES", 7)
    question = {"most": most, "threshold": threshold, "weights": weights}
    expected = similar(index, _queries(), **question)
    found = torch_search.similar(index, _queries(), **question, device=Device.CPU)
    assert len(found) == len(expected) == len(_queries())
    for ours, theirs in zip(found, expected, strict=True):
        assert np.array_equal(ours.rows, theirs.rows)
        assert np.array_equal(ours.similarities, theirs.similarities)


def test_a_search_on_a_device_gives_the_same_answer(index):
    pytest.importorskip("torch", reason="torch is an extra, kifabrik[pharma-gpu], and not installed here")
    query = moses(5)[4]
    assert like(index, query, most=7, device=Device.CPU) == like(index, query, most=7)


def test_a_gpu_that_is_not_there_is_said(index):
    torch = pytest.importorskip("torch", reason="torch is an extra, kifabrik[pharma-gpu], and not installed here")
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(UsageError, match="finds no GPU"):
        like(index, "CCO", most=7, device=Device.CUDA)


def test_torch_that_is_not_installed_is_said(index, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(UsageError, match="needs torch") as caught:
        like(index, "CCO", most=7, device=Device.CUDA)
    assert "pharma-gpu" in (caught.value.hint or "")


def test_questions_that_make_no_sense_are_refused_before_torch_is_looked_for(index, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(UsageError, match="threshold of 2"):
        torch_search.similar(index, morgan(["CCO"]), threshold=2)
