"""What every counter of energy is to the meter."""

from typing import Protocol

from kifabrik.meters.reading import EnergySource


class CounterLostError(Exception):
    """A counter stopped answering; never leaves this room."""


class EnergyCounter(Protocol):
    """A counter of one device."""

    @property
    def source(self) -> EnergySource:
        """Where its figures come from."""

    @property
    def device(self) -> str:
        """A GPU's UUID or a RAPL zone."""

    def total_mj(self) -> int:
        """Energy in millijoules since some fixed moment; never goes down.

        Raises:
            CounterLostError: It does not answer any more.
        """
