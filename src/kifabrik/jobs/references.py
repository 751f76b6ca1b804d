"""How people name what a job uses: datasets, models, outputs of runs."""

import re
from dataclasses import dataclass
from typing import Final

from kifabrik.errors import UsageError

_REFERENCE: Final = re.compile(r"(?P<model>model:)?(?P<name>[a-z0-9][a-z0-9._-]{0,63})(?:@(?P<version>[1-9]\d*))?")
_OUTPUT: Final = re.compile(
    r"output:(?P<name>[a-z0-9][a-z0-9._-]{0,63})(?:/(?P<task>[1-9]\d{0,4}))?/(?P<output>[a-z0-9][a-z0-9._-]{0,63})"
)


@dataclass(frozen=True)
class InputReference:
    """A dataset, a model or an output of a run by the name people use.

    Args:
        name: Dataset or model name; of an output, the name or id of the run.
        model: Whether it is a model, made by an earlier run.
        version: 0 for the newest.
        output: Name of the output of a run, which may still go on; empty for a dataset or model.
        task: Number of the task of a sweep that puts it out; 0 if the run is no sweep.
    """

    name: str
    model: bool = False
    version: int = 0
    output: str = ""
    task: int = 0

    @classmethod
    def from_text(cls, text: str) -> "InputReference":
        """Read `press-line-7@3`, `model:press-anomaly@2` or `output:prepare/features`.

        Versions may be left out; of a sweep's task it is `output:sweep/17/features`.

        Raises:
            UsageError: The text is not a reference.
        """
        output = _OUTPUT.fullmatch(text)
        if output is not None:
            return cls(output["name"], output=output["output"], task=int(output["task"] or 0))
        match = _REFERENCE.fullmatch(text)
        if match is None:
            raise UsageError(
                f"not a dataset or model: {text!r}",
                hint="Write NAME, NAME@VERSION, model:NAME or output:RUN/OUTPUT.",
            )
        return cls(match["name"], match["model"] is not None, int(match["version"] or 0))

    @property
    def run(self) -> str:
        """What the run that puts it out is called: `prepare`, or `sweep/17`."""
        return f"{self.name}/{self.task}" if self.task else self.name

    def __str__(self) -> str:
        if self.output:
            return f"output:{self.run}/{self.output}"
        version = f"@{self.version}" if self.version else ""
        return f"{'model:' if self.model else ''}{self.name}{version}"
