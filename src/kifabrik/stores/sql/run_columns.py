"""Runs' records to columns and back; what has no column of its own is compact JSON."""

import json
from dataclasses import asdict, fields
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Row

from kifabrik.factory.capacity import Gpu, Occupation, Placement, Share
from kifabrik.factory.node_records import NodeRecord
from kifabrik.factory.run_records import NOTHING_USED, Attempt, Event, Hold, Run, StopCause
from kifabrik.factory.schedule import Promise
from kifabrik.meters.footprint import EnergyPart, Footprint, Surroundings
from kifabrik.meters.reading import EnergyReading, EnergySource, Reading
from kifabrik.orders.slurm_options import SlurmOptions
from kifabrik.runs.states import Outcome, RunState
from kifabrik.stores.sql.rows import record
from kifabrik.values import Place, Resources

NOWHERE: Final = "[]"
"""The column of a placement that holds no share."""


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _plain(item: Any) -> dict[str, Any]:
    return {field.name: getattr(item, field.name) for field in fields(item)}


def placement_to_json(placement: Placement) -> list[list[Any]]:
    """Write shares as lists."""
    return [[share.node, share.cpus, share.memory_bytes, list(share.gpus)] for share in placement]


def placement_from_json(value: list[list[Any]]) -> Placement:
    """Read what `placement_to_json` wrote."""
    return tuple(Share(node, cpus, memory, tuple(gpus)) for node, cpus, memory, gpus in value)


def untouched_footprint() -> str:
    """How the footprint of a run is written that no attempt was made at."""
    return _footprint_to_text(NOTHING_USED)


@lru_cache(maxsize=256)
def _placement_from_text(text: str) -> Placement:
    """Read a placement; each note of a launcher looks at its attempt, whose placement may name a thousand nodes."""
    return placement_from_json(json.loads(text))


def run_to_columns(run: Run) -> dict[str, Any]:
    """All columns of a run."""
    return _plain(run) | {
        "resources": _json(asdict(run.resources)),
        "place": _json(asdict(run.place)),
        "retry_on": _json(run.retry_on),
        "state": str(run.state),
        "stop": str(run.stop or ""),
        "hold": str(run.hold),
        "promise": promise_to_text(run.promise),
        "published": _json(dict(run.published)),
        "footprint": _footprint_to_text(run.footprint),
        "slurm": _json({name: wish for name, wish in asdict(run.slurm).items() if wish}),
    }


def run_from_row(row: Row[Any]) -> Run:
    """The run of a row."""
    return record(
        Run,
        row,
        resources=_resources_from_text(row.resources),
        place=_place_from_text(row.place),
        retry_on=tuple(json.loads(row.retry_on)),
        state=RunState(row.state),
        stop=StopCause(row.stop) if row.stop else None,
        hold=Hold(row.hold),
        promise=_promise_from_text(row.run, row.promise),
        published=json.loads(row.published),
        footprint=_footprint_from_text(row.footprint),
        slurm=_slurm_from_text(row.slurm),
    )


def _footprint_to_text(footprint: Footprint) -> str:
    """Write a footprint; what is not stated of the surroundings is left out, as it was before there were any."""
    body = asdict(footprint)
    if footprint.surroundings is None:
        del body["surroundings"]
    return _json(body)


@lru_cache(maxsize=256)
def _resources_from_text(text: str) -> Resources:
    """Read resources; runs of a flood ask for much the same."""
    return Resources(**json.loads(text))


@lru_cache(maxsize=256)
def _place_from_text(text: str) -> Place:
    return Place(**json.loads(text))


@lru_cache(maxsize=256)
def _slurm_from_text(text: str) -> SlurmOptions:
    return SlurmOptions(**json.loads(text))


@lru_cache(maxsize=256)
def _footprint_from_text(text: str) -> Footprint:
    body = json.loads(text)
    if "surroundings" in body:
        body["surroundings"] = Surroundings(**body["surroundings"])
    energy = tuple(
        EnergyPart(EnergySource(one["source"]), one["measured"], one["millijoules"]) for one in body["energy"]
    )
    return Footprint(**{**body, "energy": energy})


def _reading_from_text(text: str) -> Reading | None:
    return _reading(json.loads(text)) if text else None


def _reading(body: dict[str, Any]) -> Reading:
    energy = tuple(
        EnergyReading(EnergySource(one["source"]), one["device"], one["millijoules"]) for one in body["energy"]
    )
    return Reading(**{**body, "energy": energy})


def promise_to_text(promise: Promise | None) -> str:
    """Write a promise, or nothing."""
    if promise is None:
        return ""
    window = promise.window
    return _json([placement_to_json(window.placement), window.starts, window.ends])


def _promise_from_text(run: str, text: str) -> Promise | None:
    if not text:
        return None
    placement, starts, ends = json.loads(text)
    return Promise(run, Occupation(placement_from_json(placement), starts, ends))


def attempt_to_columns(attempt: Attempt) -> dict[str, Any]:
    """All columns of an attempt but the header of its log."""
    return _plain(attempt) | {
        "placement": _json(placement_to_json(attempt.placement)),
        "place": _json(asdict(attempt.place)),
        "state": str(attempt.state),
        "outcome": str(attempt.outcome or ""),
        "outputs": _json(attempt.outputs),
        "reading": _json(asdict(attempt.reading)) if attempt.reading else "",
        "other_readings": _json([asdict(one) for one in attempt.other_readings]),
    }


def attempt_from_row(row: Row[Any]) -> Attempt:
    """The attempt of a row that has no header column."""
    return record(
        Attempt,
        row,
        placement=_placement_from_text(row.placement),
        place=Place(**json.loads(row.place)),
        state=RunState(row.state),
        outcome=Outcome(row.outcome) if row.outcome else None,
        outputs=tuple(json.loads(row.outputs)),
        reading=_reading_from_text(row.reading),
        other_readings=tuple(_reading(body) for body in json.loads(row.other_readings)),
    )


def event_from_row(row: Row[Any]) -> Event:
    """The event of a row."""
    return record(Event, row, state=RunState(row.state))


def node_to_columns(node: NodeRecord) -> dict[str, Any]:
    """All columns of a node but what is free on it."""
    return _plain(node) | {
        "place": _json(asdict(node.place)),
        "gpus": _json([asdict(gpu) for gpu in node.gpus]),
        "pythons": _json(node.pythons),
    }


def node_from_row(row: Row[Any]) -> NodeRecord:
    """The node of a row that has no columns of what is free.

    Every order looks at all nodes, of which there may be thousands and which seldom change: a row that was read
    before gives the same record again.
    """
    return _node(row._fields, tuple(row))


@lru_cache(maxsize=2**14)
def _node(names: tuple[str, ...], values: tuple[Any, ...]) -> NodeRecord:
    plain = dict(zip(names, values, strict=True))
    return NodeRecord(
        **plain
        | {
            "place": Place(**json.loads(plain["place"])),
            "gpus": tuple(Gpu(**gpu) for gpu in json.loads(plain["gpus"])),
            "pythons": tuple(json.loads(plain["pythons"])),
        }
    )


def gpu_bits(indices: tuple[int, ...]) -> int:
    """A set of GPU indices as one number."""
    return sum(1 << index for index in indices)


def gpu_indices(row: Row[Any]) -> tuple[int, ...]:
    """Indices of all GPUs of a node's row."""
    return tuple(gpu["index"] for gpu in json.loads(row.gpus))
