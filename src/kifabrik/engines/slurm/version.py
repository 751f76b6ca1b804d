"""Which Slurm this is. Supported are 22.05 (what Debian 12 has) to 25.11."""

import re
from dataclasses import dataclass
from typing import Final

from kifabrik.errors import UnavailableError

_VERSION: Final = re.compile(r"slurm(?:-wlm)? (\d\d)\.(\d\d)(?:\.(\d+))?")


@dataclass(frozen=True, order=True)
class SlurmVersion:
    """A release such as 22.05.8: year, month, and the number of the correction."""

    year: int
    month: int
    micro: int = 0

    @classmethod
    def from_text(cls, text: str) -> "SlurmVersion":
        """Read what `squeue --version` says, such as `slurm-wlm 22.05.8` or `slurm 24.11.0-rc1`.

        Raises:
            UnavailableError: It is not Slurm that speaks.
        """
        match = _VERSION.match(text.strip())
        if match is None:
            raise UnavailableError(f"this does not look like Slurm's version: {text.strip()[:80]!r}")
        return cls(int(match[1]), int(match[2]), int(match[3] or 0))

    def __str__(self) -> str:
        return f"{self.year}.{self.month:02d}.{self.micro}"


OLDEST: Final = SlurmVersion(22, 5)
