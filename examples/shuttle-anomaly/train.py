"""Train an isolation forest on CSV files of sensor readings.

Runs the same on a laptop: python train.py --data ./readings --out ./model
"""

import argparse
import json
import os
from pathlib import Path

import numpy as np
from forest import auc, grow, score
from safetensors.numpy import save_file

TREES, SAMPLE, DEPTH = 100, 256, 8


def report(name, value, step):
    """Append a metric for kifabrik; without it there is nothing to do."""
    if "KIFABRIK_METRICS" in os.environ:
        with Path(os.environ["KIFABRIK_METRICS"]).open("a") as file:
            file.write(json.dumps({"name": name, "value": value, "step": step}) + "\n")


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--data", type=Path, required=True)
    arguments.add_argument("--out", type=Path, required=True)
    options = arguments.parse_args()

    files = sorted(options.data.glob("*.csv"))
    table = np.concatenate([np.loadtxt(file, delimiter=",", skiprows=1, dtype=np.float32) for file in files])
    readings, odd = table[:, :-1], table[:, -1] > 0
    print(f"{len(files)} files, {len(readings):,} readings of {readings.shape[1]} sensors, {odd.sum():,} odd")

    random = np.random.default_rng(7)
    held = random.random(len(readings)) < 0.2
    trees = []
    for number in range(1, TREES + 1):
        trees.append(grow(readings[~held], SAMPLE, DEPTH, random))
        if number % 25 == 0:
            feature, threshold, length = (np.stack(part) for part in zip(*trees, strict=True))
            area = auc(score(readings[held], feature, threshold, length, SAMPLE), odd[held])
            print(f"{number:3} trees  validation AUC {area:.4f}")
            report("validation_auc", area, number)

    options.out.mkdir(parents=True, exist_ok=True)
    arrays = {"feature": feature, "threshold": threshold, "length": length}
    save_file(arrays, options.out / "forest.safetensors", {"sample": str(SAMPLE)})
    print(f"saved {TREES} trees")


if __name__ == "__main__":
    main()
