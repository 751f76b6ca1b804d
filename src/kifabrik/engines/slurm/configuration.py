"""What a cluster's daemons say they are set to.

Read from `scontrol show config`, which lists slurm.conf as slurmctld has read it and, under a heading of its own,
cgroup.conf of the machine it is called on; and from `sacctmgr show config`, which does the same for slurmdbd.conf.

Invariants:
- a setting that is not set is the empty text, as is one this release does not know;
- names are compared without regard to case, as Slurm reads them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from kifabrik.engines.slurm.commands import SlurmCommands
from kifabrik.errors import IntegrityError

_LINE: Final = re.compile(r"(?P<name>[A-Za-z][\w]*)(?:\[\d+\])?\s*=\s?(?P<value>.*)")
_UNSET: Final = frozenset({"(null)", "n/a", "none", "(null type)"})


class File(StrEnum):
    """Where a setting is written."""

    SLURM = "slurm.conf"
    CGROUP = "cgroup.conf"
    ACCOUNTING = "slurmdbd.conf"


@dataclass(frozen=True)
class Configuration:
    """All settings, by file and name in small letters."""

    settings: Mapping[File, Mapping[str, str]] = field(default_factory=dict)

    def value(self, file: File, name: str) -> str:
        """Value of a setting; empty if it has none."""
        return self.settings.get(file, {}).get(name.lower(), "")


def ask_configuration(commands: SlurmCommands) -> Configuration:
    """Ask the cluster.

    Raises:
        UnavailableError: slurmctld or slurmdbd does not answer.
        IntegrityError: What it says makes no sense.
    """
    return read_configuration(
        commands.run("scontrol", "show", "config"), commands.run("sacctmgr", "show", "config")
    )


def read_configuration(slurm: str, accounting: str) -> Configuration:
    """Read what `scontrol show config` and `sacctmgr show config` wrote.

    Raises:
        IntegrityError: It makes no sense.
    """
    main, _, groups = slurm.partition("Cgroup Support Configuration:")
    daemon = accounting.partition("SlurmDBD configuration:")[2]
    found = {File.SLURM: _settings(main), File.CGROUP: _settings(groups), File.ACCOUNTING: _settings(daemon)}
    if "slurm_version" not in found[File.SLURM]:
        raise IntegrityError("scontrol does not show the cluster's configuration in a way kifabrik understands")
    return Configuration(found)


def _settings(text: str) -> dict[str, str]:
    """Read `Name = value` lines; values of a name that comes with numbers (`SlurmctldHost[1]`) are joined."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        match = _LINE.fullmatch(line.strip())
        if match is None:
            continue
        name, value = match["name"].lower(), match["value"].strip()
        value = "" if value.lower() in _UNSET else value
        found[name] = f"{found[name]},{value}" if found.get(name) else value
    return found
