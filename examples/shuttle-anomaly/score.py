"""Score held-out readings with a model that was pulled: python score.py MODEL_FOLDER HELD_OUT.csv"""

import sys
from pathlib import Path

import numpy as np
from forest import auc, score
from safetensors import safe_open

model, held_out = Path(sys.argv[1]), Path(sys.argv[2])
with safe_open(model / "forest.safetensors", framework="numpy") as file:
    feature, threshold, length = (file.get_tensor(name) for name in ("feature", "threshold", "length"))
    sample = int(file.metadata()["sample"])
table = np.loadtxt(held_out, delimiter=",", skiprows=1, dtype=np.float32)
scores = score(table[:, :-1], feature, threshold, length, sample)
odd = table[:, -1] > 0
print(f"{len(table):,} held-out readings, {odd.sum():,} of them odd: AUC {auc(scores, odd):.4f}")
