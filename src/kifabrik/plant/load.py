"""What passes between the workload and the physics: the fleet, its power as a step function, hourly signals.

The workload (who runs when) makes a `Load`; the physics (losses, cooling, heat) integrates it exactly; the physics
makes `Signals`, which policies that know river and heat may follow.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class NodeType:
    """So many equal nodes.

    Attributes:
        name: Of the kind, for example `dgx-b200`.
        count: Nodes.
        gpus: GPUs in each.
        idle_watts: Of one node at the plug behind the power supply's losses, nothing running.
        gpu_watts: What one GPU at work adds to that.
        shared_watts: What a node at work adds once (processors, fans), however many of its GPUs work.
    """

    name: str
    count: int
    gpus: int
    idle_watts: float
    gpu_watts: float
    shared_watts: float = 0.0


@dataclass(frozen=True)
class Fleet:
    """The nodes of a site."""

    nodes: tuple[NodeType, ...]

    @property
    def gpus(self) -> int:
        """Of all nodes."""
        return sum(kind.count * kind.gpus for kind in self.nodes)

    @property
    def idle_watts(self) -> float:
        """Of all nodes, nothing running."""
        return sum(kind.count * kind.idle_watts for kind in self.nodes)

    @property
    def full_watts(self) -> float:
        """Of all nodes, every GPU at work."""
        return sum(
            kind.count * (kind.idle_watts + kind.shared_watts + kind.gpus * kind.gpu_watts) for kind in self.nodes
        )


@dataclass(frozen=True)
class Load:
    """IT power as a step function: `watts[i]` holds from `edges[i]` to `edges[i + 1]`.

    Attributes:
        edges: Seconds since the start of the simulated span, rising; shape (n + 1,).
        watts: IT power, before the losses of its supply; shape (n,).
    """

    edges: Floats
    watts: Floats

    def joules(self) -> float:
        """Energy over the whole span: the exact integral."""
        return float(np.dot(self.watts, np.diff(self.edges)))

    def mean_watts(self, step: float) -> Floats:
        """Mean power in each step of `step` seconds from the first edge on: exact, so energy is kept.

        The last step may reach past the last edge; power there is 0.
        """
        first, last = self.edges[0], self.edges[-1]
        count = int(np.ceil((last - first) / step - 1e-9))
        ticks = first + step * np.arange(count + 1)
        energy = np.concatenate([[0.0], np.cumsum(self.watts * np.diff(self.edges))])
        mean: Floats = np.diff(np.interp(ticks, self.edges, energy)) / step
        return mean


@dataclass(frozen=True)
class Signals:
    """What the plant tells those who decide what runs, hour by hour from the start of the span.

    Attributes:
        permitted_watts: IT power the cooling can take away within its limits; shape (hours,).
        heat_wanted: 0 (nobody wants heat) to 1 (more is wanted than all of the IT power gives); shape (hours,).
        dear: By how much electricity is dearer than the year's mean, in units of what its heat is sold for; shape
            (hours,); None where it costs the same all year.
    """

    permitted_watts: Floats
    heat_wanted: Floats
    dear: Floats | None = None
