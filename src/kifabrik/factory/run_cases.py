"""All use cases of runs together: what the service is given."""

from dataclasses import dataclass

from kifabrik.factory.admit import Admission
from kifabrik.factory.attempts import Attempts
from kifabrik.factory.claims import Claims
from kifabrik.factory.endings import Endings
from kifabrik.factory.engine import Cluster
from kifabrik.factory.finish import Finishing
from kifabrik.factory.fleet import Fleet
from kifabrik.factory.gathering import Gathering
from kifabrik.factory.journals import Journals
from kifabrik.factory.plan import Planner
from kifabrik.factory.run_book import RunBook
from kifabrik.factory.show import Shows
from kifabrik.factory.stop import Stopping


@dataclass(frozen=True)
class RunCases:
    """Use cases of runs by noun."""

    fleet: Fleet
    planner: Planner
    admission: Admission
    attempts: Attempts
    claims: Claims
    journals: Journals
    gathering: Gathering
    finishing: Finishing
    stopping: Stopping
    shows: Shows
    endings: Endings
    cluster: Cluster | None
    book: RunBook
