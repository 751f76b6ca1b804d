"""Play the main job with two parties in two folders and separate processes.

    make demo

A customer and a factory. The customer trains an anomaly detector on its own sealed sensor readings; the
factory runs it and never sees them. Everything is done with the `kifabrik` command as a person would.
"""

import base64
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

from ink import paint
from needles import search
from readings import LICENCE, SOURCE, write_readings

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ROOT / "demo-folders"
CUSTOMER, FACTORY = FOLDERS / "customer", FOLDERS / "factory"
EXAMPLE = ROOT / "examples" / "shuttle-anomaly"
KIFABRIK = Path(sys.executable).parent / "kifabrik"
PURPOSE, DATASET, MODEL = "predictive-maintenance", "shuttle-sensors", "shuttle-anomaly"
STEPS = 7


def chapter(number, text, of=STEPS):
    print(f"\n{paint('1;36', f'{number}/{of}  {text}')}", flush=True)


def note(text):
    print(f"     {text}", flush=True)


def environment(home):
    return {**os.environ, "KIFABRIK_HOME": str(home), "PYTHONUNBUFFERED": "1"}


def kifabrik(home, *words, expect=0, shown=None, quiet=False):
    """Run a command as the party that owns `home`; show it, and stop if it ends otherwise than expected."""
    print(paint("2", f"  {home.name}$ kifabrik {shown or ' '.join(map(str, words))}"), flush=True)
    ran = subprocess.run(
        [KIFABRIK, *map(str, words)],
        env=environment(home),
        cwd=CUSTOMER,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if quiet else None,
        text=True,
    )
    wanted = expect if isinstance(expect, tuple) else (expect,)
    if ran.returncode not in wanted:
        sys.exit(f"that ended with status {ran.returncode}, not {' or '.join(map(str, wanted))}")
    return (ran.stdout or "").strip()


def refused(home, *words, why, shown=None, statuses=(3, 4, 9)):
    """Run a command that must be refused."""
    kifabrik(home, *words, expect=statuses, shown=shown)
    print(f"     {paint('32', '✓ refused')}: {why}", flush=True)


@contextmanager
def process(name, home, *words):
    """Run a long-lived command in the background, its output in a log file of its party."""
    with (home / f"{name}.log").open("w") as log:
        running = subprocess.Popen(
            [KIFABRIK, *map(str, words)],
            env=environment(home),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        try:
            yield running
        finally:
            running.terminate()
            try:
                running.wait(15)
            except subprocess.TimeoutExpired:
                running.kill()


def wait_for_port(port, running, log):
    for _ in range(900):  # the first start compiles Python files; a busy machine takes its time
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if running.poll() is not None:
            break
        time.sleep(0.1)
    ended = "ended" if running.poll() is not None else "does not answer after 90 s"
    sys.exit(f"the factory {ended}:\n{log.read_text()}")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def show_search(what, needles):
    searched, found = search(FACTORY, needles)
    if found:
        sys.exit(f"PLAINTEXT in the factory's folder: {found}")
    note(f"searched {searched.files} files, {searched.size / 1e6:.1f} MB of the factory for {what}:")
    print(f"     {paint('32', '✓ none')} of {len(needles):,} pieces of plaintext is in there", flush=True)


def main():
    started = time.monotonic()
    print(paint("1", "kifabrik: train your own model on your own sealed data"))
    with two_parties(STEPS) as secret:
        seal_and_search()
        train_and_pull(secret)
        refuse_four(secret)
        chapter(7, "The footprint of the training run")
        kifabrik(CUSTOMER, "footprint", MODEL)
    print(f"\n{paint('1;32', '✓')} All seven steps worked, in {time.monotonic() - started:.0f} s.")
    note("Look around in both folders. To begin by hand, read README.md.")


@contextmanager
def two_parties(steps):
    """Start a factory and a keyholder with a first steward, in fresh folders; gives the passphrase's file."""
    shutil.rmtree(FOLDERS, ignore_errors=True)
    CUSTOMER.mkdir(parents=True)
    FACTORY.mkdir()
    note(f"customer's folder  {CUSTOMER.relative_to(ROOT)}    factory's folder  {FACTORY.relative_to(ROOT)}")
    port = free_port()
    with process("factory", FACTORY, "up", "--port", port, "--country", "DE") as running:
        wait_for_port(port, running, FACTORY / "factory.log")
        with customer(f"http://127.0.0.1:{port}", steps) as secret:
            yield secret


@contextmanager
def customer(url, steps):
    secret = CUSTOMER / "passphrase.txt"
    secret.write_text("Eisbach-Surfer-2026\n")
    secret.chmod(0o600)
    key_file = CUSTOMER / "keyholder.key"

    chapter(1, "The customer makes its tenant and its keyholder", steps)
    code = kifabrik(FACTORY, "admin", "code", quiet=True)
    words = ("--factory", url, "--code", code, "--passphrase-file", secret, "--key-file", key_file)
    kifabrik(CUSTOMER, "tenant", "create", *words, shown=f"tenant create --factory {url} --code …")
    with process("keyholder", CUSTOMER, "keyholder", "run", "--key-file", key_file):
        invitation = CUSTOMER / "invitation.json"
        invite = ("tenant", "invite", "--role", "steward", "--name", "Anna", "--out", invitation)
        kifabrik(CUSTOMER, *invite, "--passphrase-file", secret, shown="tenant invite --role steward --name Anna")
        kifabrik(CUSTOMER, "login", invitation, shown="login invitation.json")
        yield secret


def seal_and_search():
    chapter(2, "Real measurements are sealed here and uploaded")
    count, held_out = write_readings(CUSTOMER / "readings", CUSTOMER / "held-out.csv")
    note(f"{SOURCE}, {LICENCE}")
    note(f"{count:,} readings to train on; {held_out:,} stay here, held out")
    kifabrik(CUSTOMER, "dataset", "seal", DATASET, CUSTOMER / "readings", shown=f"dataset seal {DATASET} readings/")
    show_search("data and file names", data_needles())


def train_and_pull(secret):
    chapter(3, "A steward grants one purpose; an order is signed; the log streams")
    grant = ("dataset", "grant", DATASET, "--purpose", PURPOSE, "--country", "DE", "--passphrase-file", secret)
    kifabrik(CUSTOMER, *grant, shown=f"dataset grant {DATASET} --purpose {PURPOSE} --country DE")
    kifabrik(CUSTOMER, "apply", EXAMPLE / "job.yaml", "--yes", shown="apply job.yaml --yes")

    chapter(4, "The model comes back through a lease; its chain is verified; it is opened")
    kifabrik(CUSTOMER, "model", "pull", MODEL, "--to", CUSTOMER / "model", shown=f"model pull {MODEL}")
    print(paint("2", "  customer$ python score.py model/ held-out.csv"), flush=True)
    score = [sys.executable, EXAMPLE / "score.py", CUSTOMER / "model", CUSTOMER / "held-out.csv"]
    said = subprocess.run(score, check=True, capture_output=True, text=True).stdout.strip()
    print(f"     {paint('1;32', said)}", flush=True)
    show_search("data, names, code, log and model", data_needles() + code_needles() + model_needles())

    chapter(5, "Every use is on record: the ledger, verified without the factory")
    kifabrik(CUSTOMER, "ledger", "show")
    kifabrik(CUSTOMER, "ledger", "verify")


def refuse_four(secret):
    chapter(6, "Four refusals")
    note("a) the same data for another purpose")
    other = ("apply", EXAMPLE / "job.yaml", "--yes", "--purpose", "marketing", "--name", "other-purpose")
    refused(CUSTOMER, *other, why="no grant covers marketing", shown="apply job.yaml --purpose marketing")
    note("b) an order the factory made up itself, with all its own rights")
    forged = subprocess.run(
        [sys.executable, ROOT / "demo" / "forge.py", FACTORY / "factory"], check=False, env=environment(FACTORY)
    )
    if forged.returncode != 0:
        sys.exit("the made-up order was not refused")
    note("c) a network call from inside the job")
    leak = ROOT / "demo" / "call-home" / "job.yaml"
    kifabrik(CUSTOMER, "apply", leak, "--yes", shown="apply call-home.yaml --yes")
    note("d) a run after the data was erased")
    erase = ("dataset", "erase", DATASET, "--yes", "--passphrase-file", secret)
    kifabrik(CUSTOMER, *erase, "--out", CUSTOMER / "erasure.json", shown=f"dataset erase {DATASET} --yes")
    refused(
        CUSTOMER, "apply", EXAMPLE / "job.yaml", "--yes", why="its key no longer exists", shown="apply job.yaml"
    )
    note("   the same order past the customer's own catalogue, then past the factory's own check")
    dataset, order = erased_dataset(), CUSTOMER / "order-past-the-catalogue.json"
    bypass = [sys.executable, ROOT / "demo" / "bypass.py", CUSTOMER, EXAMPLE / "job.yaml", dataset, order]
    if subprocess.run(bypass, check=False, env=environment(CUSTOMER)).returncode != 0:
        sys.exit("the factory took an order on erased data")
    past = [sys.executable, ROOT / "demo" / "forge.py", FACTORY / "factory", order]
    if subprocess.run(past, check=False, env=environment(FACTORY)).returncode != 0:
        sys.exit("the keyholder released a key for erased data")


def erased_dataset():
    """Id of the dataset, as the certificate names it."""
    certificate = json.loads((CUSTOMER / "erasure.json").read_text())
    return json.loads(base64.b64decode(certificate["payload"]))["predicate"]["dataset"]


def data_needles():
    """Lines and names of the sealed readings."""
    needles = [path.name for path in sorted((CUSTOMER / "readings").iterdir())]
    needles += [DATASET]
    for path in sorted((CUSTOMER / "readings").iterdir()):
        lines = path.read_text().splitlines()
        # A whole line of readings is long enough not to occur by chance.
        needles += [line for line in lines[1:] if len(line) > 24][:400]
    return [needle.encode() for needle in needles]


def code_needles():
    """Lines of the job's code, its command line, and what it printed."""
    lines = (EXAMPLE / "train.py").read_text().splitlines() + (EXAMPLE / "forest.py").read_text().splitlines()
    needles = [line.strip() for line in lines if len(line.strip()) > 30]
    needles += ["python train.py --data", "held-out", "validation AUC", MODEL, "forest.safetensors"]
    return [needle.encode() for needle in needles]


def model_needles():
    """Pieces of the model's own bytes."""
    data = (CUSTOMER / "model" / "forest.safetensors").read_bytes()
    pieces = (data[at : at + 32] for at in range(64, len(data) - 32, 4096))
    return [piece for piece in pieces if len(set(piece)) > 12]


if __name__ == "__main__":
    main()
