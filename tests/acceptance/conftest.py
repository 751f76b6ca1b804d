"""The parties start once; every module here belongs to one xdist group, so that one worker plays them all."""

import pytest
from two_parties import two_parties

from kifabrik.sandbox.check import Verdict, check_sandbox


@pytest.fixture(scope="session")
def stage(tmp_path_factory):
    """A factory and a customer with one sealed dataset, `line-…`, granted for `upkeep` in DE."""
    missing = [check.sentence for check in check_sandbox() if check.verdict is Verdict.ERROR]
    if missing:
        pytest.skip(f"this machine cannot hold rooms: {missing[0]}")
    with two_parties(tmp_path_factory.mktemp("parties")) as playing:
        rows = "\n".join(f"{n},{n * 2}" for n in range(200))
        playing.seal(playing.name("line"), {f"{playing.mark}.csv": f"{playing.mark},value\n{rows}\n"})
        playing.grant(playing.name("line"), "upkeep")
        yield playing


@pytest.fixture(scope="session")
def trained(stage, tmp_path_factory):
    """The main job, ordered and followed with the installed command: its folder and what it printed."""
    folder = tmp_path_factory.mktemp("trained")
    job = stage.job(
        folder,
        TRAIN,
        name=stage.name("slope"),
        outputs={"model": "/out/model", "report": "/out/report"},
        publish=["auc"],
    )
    said = stage.customer.kifabrik("apply", job, "--yes")
    return folder, said


TRAIN = """
import csv, json, os, sys
from pathlib import Path

rows = [row for file in Path("/data/line").iterdir() for row in csv.reader(file.open())]
mark, pairs = rows[0][0], [(float(x), float(y)) for x, y in rows[1:]]
slope = sum(x * y for x, y in pairs) / sum(x * x for x, y in pairs)
print("read", len(pairs), "rows of", mark)
print("on its standard error", file=sys.stderr)
model = Path("/out/model")
model.mkdir()
(model / "slope.json").write_text(json.dumps({"slope": slope, "made from": mark}))
Path("/out/report").mkdir()
Path("/out/report/report.txt").write_text(mark)
Path("/out/undeclared.txt").write_text(mark)
with open(os.environ["KIFABRIK_METRICS"], "a") as file:
    for name, value in (("auc", 0.875), ("private_loss", 0.25)):
        print(json.dumps({"name": name, "value": value}), file=file)
names = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
print("torchrun", *(os.environ[name] for name in names))
"""
