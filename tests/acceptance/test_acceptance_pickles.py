"""A result that would run code where it is loaded: said at pulling, refused at accepting."""

import pytest

pytestmark = pytest.mark.xdist_group("acceptance")

PICKLES = """
import os, pickle
from pathlib import Path

class Evil:
    def __reduce__(self):
        return os.system, ("true",)

Path("/out/model").mkdir()
Path("/out/model/model.pkl").write_bytes(pickle.dumps(Evil()))
Path("/out/model/weights.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
"""


def test_a_model_that_runs_code_is_named_at_pulling_and_not_signed_without_the_option(stage, tmp_path):
    name = stage.name("pickled")
    stage.order(tmp_path, PICKLES, name=name, outputs={"model": "/out/model"}).result(120)
    folder = tmp_path / "pulled"
    said = stage.customer.kifabrik("model", "pull", name, "--to", folder)
    assert "! model.pkl: a pickle that runs code when it is loaded: posix.system" in said.err
    assert "weights.safetensors: sound safetensors" in said.err
    refused = stage.customer.kifabrik("model", "accept", name, folder, expect=4)
    assert "posix.system" in refused.err
    assert "--allow-unsafe" in refused.err
    assert not folder.with_name("pulled.sig").exists()
    stage.customer.kifabrik("model", "accept", name, folder, "--allow-unsafe", "--json")
    assert folder.with_name("pulled.sig").exists()
