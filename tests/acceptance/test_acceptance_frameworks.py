"""Frameworks as they are used outside: MLflow tracking into files, and a torch script that knows nothing of us."""

import shutil
import sys
from pathlib import Path

import pytest

from kifabrik.environments.lock import lock
from kifabrik.errors import KifabrikError
from torch_environment import EXAMPLE, give

pytestmark = [pytest.mark.xdist_group("acceptance"), pytest.mark.slow, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]

TRACKS = """
import mlflow

mlflow.set_tracking_uri("file:///out/mlruns")
mlflow.set_experiment("upkeep")
with mlflow.start_run():
    mlflow.log_param("depth", 3)
    mlflow.log_metric("auc", 0.875)
print("tracked with", mlflow.__version__)
"""


def need(requirements, python="3.11"):
    """Skip, with a clear line, where the packages cannot be had here."""
    try:
        lock(requirements, python=python)
    except KifabrikError as error:
        pytest.skip(f"{requirements.strip()} cannot be had here: {error.message}")


def test_mlflow_tracks_into_files_that_leave_as_a_declared_output(stage, tmp_path):
    need("mlflow-skinny\n")
    result = stage.order(
        tmp_path,
        TRACKS,
        environment={
            "requirements": ["mlflow-skinny"],
            "variables": {"MLFLOW_ALLOW_FILE_STORE": "true", "GIT_PYTHON_REFRESH": "quiet"},
        },
        resources={"cpu": 1, "memory": "1GB"},
        outputs={"mlruns": "/out/mlruns"},
    ).result(400)
    result.pull("mlruns", tmp_path / "pulled")
    (metric,) = (tmp_path / "pulled").rglob("metrics/auc")
    assert metric.read_text().split()[1] == "0.875"


def test_the_torch_example_trains_unchanged_and_comes_back_sealed(stage, torch_environment, tmp_path):
    """On the first of its readings: the rest takes twenty seconds of a core, and trains no otherwise."""
    give(torch_environment, stage.sdk.session.tenant, stage.factory.home / "factory" / "node" / "environments")
    sys.path.append(str(ROOT / "demo"))
    from readings import write_readings

    write_readings(tmp_path / "readings", tmp_path / "held-out.csv")
    dataset, first = stage.name("readings"), min((tmp_path / "readings").iterdir())
    stage.seal(dataset, {first.name: first.read_text()})
    stage.grant(dataset, "predictive-maintenance")
    shutil.copytree(EXAMPLE, tmp_path / "job")
    result = stage.sdk.submit(
        tmp_path / "job" / "job.yaml", name=stage.name("torch"), data={"/data/shuttle": dataset}
    ).result(500)
    log = [line.text for line in result.log()]
    assert any(line.startswith("epoch 12") for line in log)
    assert any("AUC" in line for line in log)
    result.pull("model", tmp_path / "model")
    assert (tmp_path / "model" / "network.safetensors").stat().st_size > 1000
