"""Scenes in which a server that the factory stands on is away: what people are told, and that nothing is lost."""

import secrets

from soak import programs
from soak.cast import RETRIES
from soak.parties import UNAVAILABLE, UnexpectedError, tries
from soak.stores import away


def database_away(cast):
    """The database crashes while a run works: commands say so and pass afterwards, and the run never knows."""
    ordered = _at_work(cast, "rowless", seconds=12)
    with away(cast.house.stores.database, cast.journal):
        _told(cast, cast.tenant.engineer, "ps", "--json")
        _told(cast, cast.tenant.auditor, "ledger", "show", "--json")
    cast.tenant.engineer.insist("ps", "--json")
    cast.pull(ordered, cast.end(ordered))


def store_away(cast):
    """The object store is away while a version is sealed and a run ends: both are done once it is back."""
    name = cast.name("unstored")
    source = cast.folder(name, files=2, size=400_000)
    ordered = _at_work(cast, "objectless", seconds=6)
    with away(cast.house.stores.bucket, cast.journal):
        _told(cast, cast.tenant.steward, "dataset", "seal", name, source, "--json")
    cast.seal(name, source)
    cast.grant(name)
    cast.work_on("restored-store", name, source)
    cast.pull(ordered, cast.end(ordered))


def driver_gone(cast):
    """The process that drives the runs is gone: another takes over, and what is ordered meanwhile is run."""
    salt = secrets.token_hex(4)
    with cast.house.turn:
        gone = _leader(cast)
        cast.journal.harm(gone.name, "KILL", gone.pid or 0)
        gone.cut_off()
        cast.journal.count("harm driver")
        try:
            cast.play(
                "taken-over",
                programs.with_values(programs.SHORT, SALT=salt),
                expected=cast.line(salt),
                retry={"attempts": 4, "on": list(RETRIES)},
            )
        finally:
            gone.start()


def _at_work(cast, stem, *, seconds):
    """A run that works for so long, has begun, and may be tried again."""
    salt = secrets.token_hex(4)
    ordered = cast.order(
        stem,
        programs.with_values(programs.LONG, SALT=salt, SECONDS=seconds),
        expected=cast.line(salt),
        retry={"attempts": 3, "on": list(RETRIES)},
    )
    cast.wait_until_it_runs(ordered)
    return ordered


def _leader(cast):
    for _ in tries():
        found = cast.house.leader()
        if found is not None:
            return found
    raise UnexpectedError("nobody drives the runs")


def _told(cast, party, *words):
    """A command that meets a server that is away ends as unavailable, and says what is wrong and what to do."""
    said = party.kifabrik(*words, fragile=False)
    command = " ".join(map(str, words[:2]))
    try:
        problem = said.json()["error"]
    except (ValueError, KeyError, TypeError):
        problem = {}
    if said.status != UNAVAILABLE or not (problem.get("message") and problem.get("hint")):
        cast.journal.mistake(f"{party.name}: kifabrik {command} during an outage: {said.short()}")
        return
    cast.journal.note(f"{command} during an outage: {problem['message']} ({problem['hint']})")
    cast.journal.count("told of outages")


def scenes_on(house):
    """The scenes that can be played in this factory."""
    return [
        *([database_away] if house.stores.database else []),
        *([store_away] if house.stores.bucket else []),
        *([driver_gone] if len(house.drives) > 1 else []),
    ]
