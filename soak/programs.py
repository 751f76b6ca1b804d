"""The customers' programs: small, deterministic, so that every byte of a result is known beforehand."""

import hashlib
import json

RESULT = """
import hashlib, json, os, sys, time
from pathlib import Path

def digest(salt):
    found = hashlib.sha256(salt.encode())
    for path in sorted(Path("/data/line").iterdir()):
        found.update(path.name.encode() + path.read_bytes())
    return found.hexdigest()

def leave(salt, **more):
    Path("/out/model").mkdir(exist_ok=True)
    Path("/out/model/result.json").write_text(json.dumps({"digest": digest(salt), **more}, sort_keys=True))
    Path("/out/model/weights.bin").write_bytes(bytes.fromhex(digest(salt)) * 4096)
"""
"""What every program begins with."""

SHORT = RESULT + 'leave(SALT); print("done", flush=True)\n'

LONG = (
    RESULT
    + """
for second in range(SECONDS):
    print("second", second, flush=True)
    time.sleep(1)
leave(SALT)
"""
)

POINT = RESULT + 'leave(SALT + os.environ["part"]); print("point", os.environ["part"], flush=True)\n'

FAILING = RESULT + 'print("this goes wrong", flush=True); time.sleep(1); sys.exit(3)\n'

FLOOD = (
    RESULT
    + """
for number in range(LINES):
    print(f"line {number:06} of a flood that fills segments of the log", flush=number % 500 == 0)
leave(SALT)
"""
)

GREEDY = RESULT + 'print("too much", flush=True); held = b"x" * 1_500_000_000; print(len(held))\n'

STEPS = (
    RESULT
    + """
state = Path("/checkpoint/step.txt")
first = int(state.read_text()) if state.exists() else 0
print("begins at", first, flush=True)
for step in range(first + 1, LAST + 1):
    time.sleep(1)
    partial = Path("/checkpoint/step.partial")
    partial.write_text(str(step))
    partial.replace(state)
    print("reached", step, flush=True)
    if step == TRIP and first == 0:
        time.sleep(2.5)
        sys.exit(4)
leave(SALT, last=LAST)
"""
)

STOPPABLE = (
    RESULT
    + """
import signal

def save(*_):
    Path("/checkpoint/saved.txt").write_text("saved")
    print("saved before the end", flush=True)
    sys.exit(0)

signal.signal(signal.SIGTERM, save)
print("training", flush=True)
time.sleep(600)
"""
)


def with_values(program, **values):
    """A program that begins with these constants."""
    return "".join(f"{name} = {value!r}\n" for name, value in values.items()) + program


def expected_files(source, salt, **more):
    """What `leave` writes, computed from the plaintext of the data on the customer's side."""
    return expected_of({path.name: path.read_bytes() for path in source.iterdir()}, salt, **more)


def expected_of(files, salt, **more):
    """The same, from the bytes of files by their names."""
    found = hashlib.sha256(salt.encode())
    for name in sorted(files):
        found.update(name.encode() + files[name])
    digest = found.hexdigest()
    return {
        "result.json": json.dumps({"digest": digest, **more}, sort_keys=True).encode(),
        "weights.bin": bytes.fromhex(digest) * 4096,
    }
