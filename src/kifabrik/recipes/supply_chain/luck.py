"""Luck: counter-based random numbers, keyed by seed and name, counted by scenario and period.

Threefry-2x32 with 20 rounds (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC'11).

Invariants:
    - A number depends on seed, name of its stream, scenario and period, and on nothing else.
"""

from hashlib import blake2b
from typing import Any, Final

import numba
import numpy as np
from numpy.typing import NDArray
from scipy import special

from kifabrik.recipes.supply_chain.distributions import Distribution

BINS: Final = 5
"""Bits of a rank, after its leading one, that choose a place in a table: 32 places for each halving of the tail."""
OCTAVES: Final = 32
PLACES: Final = OCTAVES << BINS
_ENDS: Final = 2.0**32
SCORES: Final = 4096
REACH: Final = 6.5
"""Normal scores of shared luck are looked up between -REACH and REACH."""


def stream(seed: int, name: str) -> tuple[np.uint32, np.uint32]:
    """The key of a stream of numbers."""
    digest = blake2b(f"{seed}\0{name}".encode(), digest_size=8).digest()
    return np.uint32(int.from_bytes(digest[:4], "little")), np.uint32(int.from_bytes(digest[4:], "little"))


@numba.njit(inline="always")
def _turn(x: Any, by: Any) -> Any:
    return np.uint32(np.uint32(x << np.uint32(by)) | np.uint32(x >> np.uint32(32 - by)))


@numba.njit(inline="always")
def threefry(key0: Any, key1: Any, count0: Any, count1: Any) -> tuple[Any, Any]:
    """Two numbers of 32 bits for a key and a counter of two numbers each."""
    key2 = np.uint32(np.uint32(0x1BD11BDA) ^ key0 ^ key1)
    x = np.uint32(count0 + key0)
    y = np.uint32(count1 + key1)
    for turn in (13, 15, 26, 6):
        x = np.uint32(x + y)
        y = np.uint32(_turn(y, turn) ^ x)
    x = np.uint32(x + key1)
    y = np.uint32(y + key2 + np.uint32(1))
    for turn in (17, 29, 16, 24):
        x = np.uint32(x + y)
        y = np.uint32(_turn(y, turn) ^ x)
    x = np.uint32(x + key2)
    y = np.uint32(y + key0 + np.uint32(2))
    for turn in (13, 15, 26, 6):
        x = np.uint32(x + y)
        y = np.uint32(_turn(y, turn) ^ x)
    x = np.uint32(x + key0)
    y = np.uint32(y + key1 + np.uint32(3))
    for turn in (17, 29, 16, 24):
        x = np.uint32(x + y)
        y = np.uint32(_turn(y, turn) ^ x)
    x = np.uint32(x + key1)
    y = np.uint32(y + key2 + np.uint32(4))
    for turn in (13, 15, 26, 6):
        x = np.uint32(x + y)
        y = np.uint32(_turn(y, turn) ^ x)
    x = np.uint32(x + key2)
    y = np.uint32(y + key0 + np.uint32(5))
    return x, y


def corners() -> NDArray[np.float64]:
    """Lower tail probabilities at the places of a table; shape (PLACES + 1,), ascending."""
    octave, place = np.divmod(np.arange(PLACES + 1), 1 << BINS)
    return np.minimum(0.5, (2.0**octave * (1 + place / (1 << BINS))) / _ENDS)


def continuous_table(distribution: Distribution) -> NDArray[np.float64]:
    """Quantiles at the places of the lower and of the upper tail; shape (2 * (PLACES + 1),)."""
    tails = corners()
    return np.concatenate([distribution.quantile(tails), distribution.quantile(1 - tails)])


def normal_table() -> NDArray[np.float64]:
    """The same for the standard normal distribution."""
    tails = corners()
    return np.concatenate([special.ndtri(tails), -special.ndtri(tails)])


def score_table() -> NDArray[np.float64]:
    """Ranks, as multiples of 2^-32, of normal scores from -REACH to REACH; shape (SCORES + 1,)."""
    ranks: NDArray[np.float64] = special.ndtr(np.linspace(-REACH, REACH, SCORES + 1)) * (_ENDS - 1)
    return ranks


def discrete_table(values: NDArray[np.float64], weights: NDArray[np.float64]) -> tuple[Any, Any, Any, int]:
    """Look-up of a discrete distribution, exact to 2^-32.

    Returns:
        Where to begin for each place of lower and upper tail, shape (2 * (PLACES + 1),); the ends of the values'
        ranks, as multiples of 2^-32; the values; and how many steps from the beginning suffice.
    """
    ends = np.minimum(np.ceil(np.cumsum(weights) / np.sum(weights) * _ENDS) - 1, _ENDS - 1).astype(np.uint32)
    ends[-1] = np.uint32(0xFFFFFFFF)
    tails = corners() * _ENDS
    low, high = tails, _ENDS - 1 - np.append(tails[1:], tails[-1])
    begins = np.concatenate(
        [np.searchsorted(ends, np.maximum(0, low - 2)), np.searchsorted(ends, np.maximum(0, high - 2))]
    )
    last = np.concatenate(
        [
            np.searchsorted(ends, np.minimum(_ENDS - 1, np.append(tails[1:], tails[-1]) + 2)),
            np.searchsorted(ends, np.minimum(_ENDS - 1, _ENDS - 1 - tails + 2)),
        ]
    )
    return begins.astype(np.int32), ends, values, int(np.max(last - begins))
