"""The job description inside a code bundle, read by the launcher."""

from collections.abc import Iterator

from fuzz.target import Target, agree
from kifabrik.errors import IntegrityError
from kifabrik.jobs.private import PrivateJob


def one(data: bytes) -> None:
    """Read; what is accepted survives writing."""
    job = PrivateJob.from_bytes(data)
    agree(PrivateJob.from_bytes(job.to_bytes()), job, "a job written and read")


def seeds() -> Iterator[bytes]:
    """One with every field."""
    mounts, outputs = {"/data/a": "d-aaaaaaaaaaaaaaaa"}, {"model": "/out/model"}
    yield PrivateJob("a", "python x.py", {"A": "ü"}, mounts, outputs, "/checkpoint", ("auc",)).to_bytes()
    points = ({"lr": 0.1, "n": 3, "deep": True, "opt": "ü"}, {"lr": 1.0, "n": 4, "deep": False, "opt": ""})
    yield PrivateJob("a", "python x.py", {}, mounts, outputs, "", (), points).to_bytes()


TARGET = Target("private jobs", one, (IntegrityError,), seeds, (b"\\ud800", b"\\u0000"), json=True)
