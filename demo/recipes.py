"""What demonstrations of recipes share: write a recipe, seal its example, order it, pull what comes back."""

import json

from play import CUSTOMER, chapter, kifabrik, show_search


def play_recipe(recipe, settings, secret, step, steps, *, needles, folder="work"):
    """Play three steps from `step` on; return the recipe's folder.

    `needles` makes pieces of plaintext, of that folder, to search the factory for.
    """
    kit = CUSTOMER / folder
    chosen = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    chapter(step, "The recipe is written: job files, requirements, its own code, example input", steps)
    said = kifabrik(
        CUSTOMER, "recipe", "new", recipe, kit, "--example", *chosen, "--json",
        shown=f"recipe new {recipe} {folder} --example …", quiet=True,
    )  # fmt: skip
    values = json.loads(said)["settings"]
    dataset, purpose, name = values["dataset"], values["purpose"], values["name"]

    chapter(step + 1, "The input is sealed, and one purpose is granted", steps)
    kifabrik(CUSTOMER, "dataset", "seal", dataset, kit / "input", shown=f"dataset seal {dataset} {folder}/input")
    grant = ("dataset", "grant", dataset, "--purpose", purpose, "--passphrase-file", secret)
    kifabrik(CUSTOMER, *grant, shown=f"dataset grant {dataset} --purpose {purpose}")

    chapter(
        step + 2, "It runs without network on data the factory cannot read; what it makes comes back sealed", steps
    )
    jobs = sorted(kit.glob("*.yaml"), reverse=True)
    shown = " ".join(f"{folder}/{job.name}" for job in jobs)
    kifabrik(CUSTOMER, "apply", *jobs, "--yes", shown=f"apply {shown}")
    kifabrik(CUSTOMER, "model", "pull", name, "--to", kit / "result", shown=f"model pull {name}")
    show_search("input, code and results", [piece.encode() for piece in needles(kit) if len(piece) > 24])
    return kit
