"""What is played when: dealt from a deck of scenes by a seed, so that a play can be ordered again.

What the machine makes of it differs each time; what is asked of it does not.
"""

import random
from dataclasses import dataclass

from soak.scenes import SCENES

EACH_S = 180.0


@dataclass(frozen=True)
class Act:
    """One scene: when it begins (s), whose it is, and its number."""

    at_s: float
    tenant: int
    scene: object
    number: int


def dice(seed, *names):
    """Random numbers for one purpose, independent of all others of the same seed."""
    return random.Random(f"{seed}/{'/'.join(map(str, names))}")


def deal(seed, runs, seconds, tenants):
    """Deal scenes until they order so many runs, spread over so many seconds; in the order of time."""
    rolls = dice(seed, "plan")
    scenes = []
    while sum(SCENES[scene][1] for scene in scenes) < runs:
        deck = [scene for scene, (weight, _) in SCENES.items() for _ in range(weight)]
        rolls.shuffle(deck)
        for scene in deck:
            if sum(SCENES[one][1] for one in scenes) < runs:
                scenes.append(scene)
    times = sorted(rolls.uniform(0, seconds) for _ in scenes)
    return [
        Act(at, rolls.randrange(tenants), scene, number)
        for number, (at, scene) in enumerate(zip(times, scenes, strict=True), 1)
    ]


def deal_more(seed, seconds, tenants, scenes, after):
    """Deal further scenes on top of a plan, each once in every `EACH_S`; numbered on from `after`."""
    rolls = dice(seed, "outages of scenes")
    rounds = max(1, round(seconds / EACH_S))
    times = [(rolls.uniform(part, part + 1) * seconds / rounds, one) for part in range(rounds) for one in scenes]
    return [Act(at, rolls.randrange(tenants), one, after + number) for number, (at, one) in enumerate(times, 1)]
