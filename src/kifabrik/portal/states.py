"""How states look: each a word, and one of four kinds that have a colour; colour never says anything alone."""

from typing import Final

from kifabrik.runs.states import RunState

LOOKS: Final[dict[RunState, str]] = {
    RunState.QUEUED: "waits",
    RunState.PENDING: "waits",
    RunState.STARTING: "goes",
    RunState.BUILDING: "goes",
    RunState.WAITING_FOR_KEY: "waits",
    RunState.STAGING: "goes",
    RunState.RUNNING: "goes",
    RunState.SEALING: "goes",
    RunState.SUCCEEDED: "well",
    RunState.FAILED: "bad",
    RunState.STOPPED: "over",
    RunState.REFUSED: "bad",
}
