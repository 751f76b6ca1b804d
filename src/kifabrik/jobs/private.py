"""The private part of a job: sealed into the code bundle as `.kifabrik/job.json`.

The code bundle is sealed like a dataset (owner `r-…/code`). Its tree is `.kifabrik/job.json` beside the
files of the job's workdir under `work/`. The factory sees neither names nor command line.
"""

import json
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any, Final

from pydantic import ConfigDict, TypeAdapter, ValidationError

from kifabrik.errors import IntegrityError
from kifabrik.jobs.matrix import Value

PATH: Final = ".kifabrik/job.json"
WORK: Final = "work"


@dataclass(frozen=True)
class PrivateJob:
    """What only the customer's side and the launcher know.

    Args:
        name: Job name.
        run: Shell line to run in the workdir.
        variables: Environment variables for it.
        mounts: Absolute path in the sandbox to the owner of the input shown there (`d-…`, `r-…/1`).
        outputs: Output name to absolute path in the sandbox; their order numbers the outputs from 1.
        checkpoint: Absolute path of the checkpoint folder, or empty.
        publish: Metrics the factory may see.
        points: Parameters of a sweep's tasks, by number from 1; none for one run.
    """

    __pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)

    name: str
    run: str
    variables: dict[str, str]
    mounts: dict[str, str]
    outputs: dict[str, str]
    checkpoint: str
    publish: tuple[str, ...]
    points: tuple[dict[str, Value], ...] = ()

    def to_bytes(self) -> bytes:
        """Write as JSON; the order of the outputs is kept."""
        return json.dumps(asdict(self), ensure_ascii=False).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> "PrivateJob":
        """Read what `to_bytes` wrote.

        Raises:
            IntegrityError: The bytes are not a private job.
        """
        try:
            job: PrivateJob = _adapter().validate_json(data)
        except ValidationError:
            raise IntegrityError("the code bundle's job description is malformed") from None
        return job


@cache
def _adapter() -> TypeAdapter[Any]:
    return TypeAdapter(PrivateJob)
