"""Play training on sealed compounds, with two parties as `make demo` does.

    make demo-pharma

A company learns from 1,017 sodium channel inhibitors (ChEMBL document CHEMBL2321810, as RDKit distributes it). The
factory sees neither structures nor measurements nor the model. The sealed model then screens a sealed library
(4,999 molecules of the NCI open collection), without ever being opened outside.
"""

import csv
import time

from play import CUSTOMER, ROOT, chapter, kifabrik, note, paint, two_parties
from recipes import play_recipe

STEPS = 8


def main():
    started = time.monotonic()
    print(paint("1", "kifabrik: learn from your own compounds, sealed"))
    with two_parties(STEPS) as secret:
        kit = play_recipe("pharma-train", {"recipe": "fast"}, secret, 2, STEPS, needles=needles)
        wishes = {"keep": 20, "hits": 20, "rule": "lipinski"}
        screen = play_recipe("pharma-screen", wishes, secret, 5, STEPS, needles=library, folder="screen")
        print("".join(f"     {line}" for line in (screen / "result" / "hits.csv").open().readlines()[:6]))
        chapter(8, "The model predicts here, and says where it must not be trusted", STEPS)
        (kit / "new.smi").write_text("".join(f"{smiles} {name}\n" for smiles, name in NEW))
        words = ("pharma", "predict", kit / "result", kit / "new.smi", "--out", kit / "predictions.csv")
        kifabrik(CUSTOMER, *words, shown="pharma predict work/result work/new.smi --out work/predictions.csv")
        print((kit / "predictions.csv").read_text())
    print(f"{paint('1;32', '✓')} All {STEPS} steps worked, in {time.monotonic() - started:.0f} s.")
    note(f"The model and its report: {(kit / 'result').relative_to(ROOT)}")


NEW = (
    ("N#Cc1cc(S(=O)(=O)Nc2ncns2)ccc1Oc1ccc(F)cc1", "relative"),
    ("CC(=O)Oc1ccccc1C(=O)O", "aspirin"),
    ("CN1C=NC2=C1C(=O)N(C(=O)N2C)C", "caffeine"),
)


def library(kit):
    """Molecules of the library, as they were sealed and as they come back."""
    return [line.split()[0] for line in (kit / "input" / "library.smi").read_text().splitlines()]


def needles(kit):
    """Structures, lines of the code and of the model's own tables."""
    with (kit / "input" / "inhibitors.csv").open() as file:
        found = [row["smiles"] for row in csv.DictReader(file)]
    for path in (kit / "code/kifabrik/recipes/pharma/training.py", kit / "result" / "lineage.csv"):
        found += path.read_text().splitlines()
    return found


if __name__ == "__main__":
    main()
