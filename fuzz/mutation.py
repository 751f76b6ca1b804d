"""Mutations of JSON texts that stay JSON: a value exchanged, moved, doubled or left out.

Mutated bytes alone seldom get past the parser, and rules about fields lie behind it.
"""

import copy
import json
import random
from collections.abc import Callable
from typing import Any

_VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 0.5, 1e308, 2**31, 2**53, 2**53 + 1, 2**64, 10**30, "", "a", "0", "\u0000",
    "ü", "\ud800", "../..", "/", "a" * 300, "0" * 64, "2026-02-30T00:00:00Z", "0001-01-01T00:00:00Z", [], {},
    [[]], [{}], {"": ""}, ["a"] * 30,
)  # fmt: skip


def mutate_json(data: bytes, seed: int) -> bytes | None:
    """Change one to four places of a JSON text; None if it is none."""
    try:
        body = json.loads(data)
        chance = random.Random(seed)
        for _ in range(chance.randint(1, 4)):
            body = _change(body, chance)
        return json.dumps(body, separators=(",", ":"), sort_keys=bool(chance.randrange(5))).encode()
    except (ValueError, RecursionError, OverflowError):
        return None


def _change(body: Any, chance: random.Random) -> Any:
    places = list(_places(body))
    if not places:
        return _value(chance)
    holder, key = chance.choice(places)
    chance.choice(_WAYS)(holder, key, places, chance)
    return body


def _places(body: Any) -> Any:
    waiting = [body]
    while waiting:
        holder = waiting.pop()
        keys = list(holder) if isinstance(holder, dict) else range(len(holder)) if isinstance(holder, list) else ()
        for key in keys:
            yield holder, key
            waiting.append(holder[key])


def _value(chance: random.Random) -> Any:
    return copy.deepcopy(chance.choice(_VALUES))


def _exchange(holder: Any, key: Any, _places: Any, chance: random.Random) -> None:
    holder[key] = _value(chance)


def _nudge(holder: Any, key: Any, _places: Any, chance: random.Random) -> None:
    value = holder[key]
    if isinstance(value, bool) or value is None:
        holder[key] = not value
    elif isinstance(value, int | float):
        holder[key] = chance.choice((value + 1, value - 1, -value, value * 2, str(value), float(value)))
    elif isinstance(value, str):
        at = chance.randint(0, len(value))
        holder[key] = value[:at] + chance.choice(("", "0", "x", "\n", " ", "/", "\u00e9")) + value[at + 1 :]


def _leave_out(holder: Any, key: Any, _places: Any, _chance: random.Random) -> None:
    del holder[key]


def _add(holder: Any, key: Any, _places: Any, chance: random.Random) -> None:
    if isinstance(holder, dict):
        holder[f"{key}{chance.choice('x_ ')}"] = copy.deepcopy(holder[key])
    else:
        holder.insert(key, copy.deepcopy(holder[key]))


def _swap(holder: Any, key: Any, places: Any, chance: random.Random) -> None:
    other, other_key = chance.choice(places)
    a, b = json.dumps(holder[key]), json.dumps(other[other_key])
    other[other_key] = json.loads(a)
    if holder is not other or key != other_key:
        holder[key] = json.loads(b)


_WAYS: tuple[Callable[..., None], ...] = (_exchange, _exchange, _nudge, _nudge, _leave_out, _add, _swap)
