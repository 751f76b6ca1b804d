"""Find odd times in machine readings, and say which sensors make them odd.

Learns from the first part of the readings how the sensors go together, and looks where the rest does not follow.
Runs the same on a laptop: python watch.py --data ./readings --out ./result

The method is multivariate process monitoring with principal components: Q (what the components do not explain;
Jackson and Mudholkar, Technometrics 21, 1979) and Hotelling's T² (how far out on them), each against a limit
that 99.9 % of the learnt rows keep.
"""

import argparse
import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
from readings import read_folder

EXPLAINED, KEPT = 0.9, 0.999
GAP = 5
"""Odd rows with no more than this many others between them are one odd time."""


def scaled(values, model):
    """Rows as distances from what is usual, in units of the usual spread; an empty cell counts as usual."""
    return np.nan_to_num((values - model["usual"]) / model["spread"])


def learn(values):
    """Learn what is usual from rows of shape (rows, sensors); extremes count no more than six spreads."""
    usual = np.nanmedian(values, axis=0)
    spread = 1.4826 * np.nanmedian(np.abs(values - usual), axis=0)
    spread = np.where(spread > 0, spread, np.nanstd(values, axis=0))
    still = np.maximum(0.01 * np.abs(usual), 1e-6)  # a sensor that never moved: a hundredth of its value
    model = {"usual": usual, "spread": np.where(spread > 0, spread, still)}
    rows = np.clip(scaled(values, model), -6, 6)
    variance, directions = np.linalg.eigh(rows.T @ rows / len(rows))
    variance, directions = variance[::-1], directions.T[::-1]
    count = int(np.searchsorted(np.cumsum(variance), EXPLAINED * variance.sum())) + 1
    count = min(count, values.shape[1] - 1)
    model |= {"directions": directions[:count], "variance": np.maximum(variance[:count], 1e-9)}
    q, t2, _, _ = judge(values, model)
    return model | {"q_limit": max(np.quantile(q, KEPT), 1e-9), "t2_limit": max(np.quantile(t2, KEPT), 1e-9)}


def judge(values, model):
    """Q and T² of each row, and each sensor's part in what the components leave and in all; (rows, sensors)."""
    rows = scaled(values, model)
    along = rows @ model["directions"].T
    rest = (rows - along @ model["directions"]) ** 2
    return rest.sum(axis=1), (along**2 / model["variance"]).sum(axis=1), rest, rows**2


def odd_times(strength, parts, table, model):
    """Odd rows as times from row to row, the oddest first, each with the sensors that make it odd."""
    found, rows = [], np.flatnonzero(strength > 1)
    for group in np.split(rows, np.flatnonzero(np.diff(rows) > GAP + 1) + 1) if len(rows) else ():
        peak = group[np.argmax(strength[group])]
        share = parts[peak] / max(parts[peak].sum(), 1e-12)
        said = [
            f"{table.columns[at]} {table.iloc[peak, at]:.4g} (usually {model['usual'][at]:.4g})"
            for at in np.argsort(share)[::-1][:3]
            if share[at] > 0.1
        ]
        found.append((int(group[0]), int(group[-1]), float(strength[peak]), ", ".join(said)))
    return sorted(found, key=lambda one: -one[2])


def auc(strength, odd):
    """Area under the ROC curve: the chance that an odd row is told from a usual one."""
    ranks = pd.Series(strength).rank().to_numpy()
    positives = odd.sum()
    return (ranks[odd].sum() - positives * (positives + 1) / 2) / (positives * (len(odd) - positives))


def report(name, value):
    """Append a metric for kifabrik; without it there is nothing to do."""
    if "KIFABRIK_METRICS" in os.environ:
        with Path(os.environ["KIFABRIK_METRICS"]).open("a") as file:
            file.write(json.dumps({"name": name, "value": float(value)}) + "\n")


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--data", type=Path, required=True, help="folder with CSV files")
    arguments.add_argument("--out", type=Path, required=True, help="folder for the result")
    arguments.add_argument(
        "--learn", type=float, default=0.7, help="share of the rows to learn from, the first ones"
    )
    arguments.add_argument("--label", default="", help="column that is above 0 where a row is known to be odd")
    arguments.add_argument("--leave-out", nargs="*", default=[], help="columns that are no sensors")
    options = arguments.parse_args()

    if options.out.resolve().is_relative_to(options.data.resolve()):
        raise SystemExit(f"error: {options.out} lies among the readings; name another folder for the result")
    found = read_folder(options.data, options.label, options.leave_out)
    table = found.sensors
    ends = [] if found.times is None else [f"{found.times.iloc[at]:%Y-%m-%d %H:%M}" for at in (0, -1)]
    span = f", {' to '.join(ends)}" if ends else ""
    print(f"{found.files} file{'s' * (found.files != 1)}, {len(table):,} rows of {table.shape[1]} sensors{span}")
    for name, why in found.left_out.items():
        print(f"  left out  {name}: {why}")

    learnt = int(len(table) * options.learn)
    if not 30 <= learnt < len(table):
        said = f"{learnt:,} of {len(table):,} rows to learn from"
        raise SystemExit(f"error: {said}; at least 30 are needed, and some to watch")
    silent = table.columns[table.iloc[:learnt].isna().all()]
    for name in silent:
        print(f"  left out  {name}: empty in all rows to learn from")
    table = table.drop(columns=silent)
    values = table.to_numpy()
    usual = values[:learnt] if found.label is None else values[:learnt][~found.label[:learnt]]
    model = learn(usual)
    q, t2, rest, whole = judge(values, model)
    apart, far = q / model["q_limit"], t2 / model["t2_limit"]
    strength = np.maximum(apart, far)
    parts = np.where((apart >= far)[:, None], rest, whole)
    components = len(model["variance"])
    learnt_by = f"{components} component{'s' * (components != 1)}"
    print(f"learnt from {len(usual):,} rows, {learnt_by}; watched the other {len(table) - learnt:,}")
    if found.label is not None and 0 < found.label[learnt:].sum() < len(table) - learnt:
        area = auc(strength[learnt:], found.label[learnt:])
        print(f"{found.label[learnt:].sum():,} of those watched are known to be odd: AUC {area:.4f}")
        report("auc", area)

    watched = np.where(np.arange(len(table)) < learnt, 0, strength)
    times = odd_times(watched, parts, table, model)
    report("odd_times", len(times))
    named = [
        [*(at if found.times is None else f"{found.times.iloc[at]:%Y-%m-%d %H:%M:%S}" for at in one[:2]), *one[2:]]
        for one in times
    ]
    options.out.mkdir(parents=True, exist_ok=True)
    listed = pd.DataFrame(named, columns=["from", "to", "times_the_limit", "sensors"])
    written = {"sep": found.separator, "decimal": "," if found.separator == ";" else ".", "encoding": "utf-8-sig"}
    listed.to_csv(options.out / "odd-times.csv", index=False, float_format="%.3g", **written)
    kept = {key: np.asarray(value).tolist() for key, value in model.items()}
    (options.out / "model.json").write_text(json.dumps({"sensors": list(table.columns)} | kept, allow_nan=False))
    print(f"{len(times):,} odd times, the oddest first; all are in odd-times.csv" if times else "nothing odd")
    for start, _, peak, said in named[:10]:
        print(f"  {start}  {peak:8.1f} x the limit  {said}")


if __name__ == "__main__":
    main()
