"""All use cases of a factory together: what the service is given."""

from dataclasses import dataclass

from kifabrik.factory.accounts import Accounts
from kifabrik.factory.attestation import Attestation
from kifabrik.factory.check import Check
from kifabrik.factory.check_home import HomeCheck
from kifabrik.factory.datasets import Datasets
from kifabrik.factory.deletions import Deletions
from kifabrik.factory.erasures import Erasures
from kifabrik.factory.grants import Grants
from kifabrik.factory.hints import Hints
from kifabrik.factory.holdings import Holdings
from kifabrik.factory.housekeeping import Housekeeping
from kifabrik.factory.keyholders import Keyholders
from kifabrik.factory.leases import Leases
from kifabrik.factory.log import Log
from kifabrik.factory.mailbox import Mailbox
from kifabrik.factory.members import Members
from kifabrik.factory.models import Models
from kifabrik.factory.objects import Objects
from kifabrik.factory.oversight import Oversight
from kifabrik.factory.ports import Store
from kifabrik.factory.run_cases import RunCases
from kifabrik.factory.sign_ins import SignIns
from kifabrik.factory.statements import Statements
from kifabrik.factory.trails import Trails
from kifabrik.factory.unregistered import Unregistered
from kifabrik.factory.versions import Versions
from kifabrik.factory.ways import Ways


@dataclass(frozen=True)
class Factory:
    """Use cases by noun."""

    store: Store
    hints: Hints
    log: Log
    statements: Statements
    mailbox: Mailbox
    accounts: Accounts
    members: Members
    keyholders: Keyholders
    deletions: Deletions
    objects: Objects
    ways: Ways
    versions: Versions
    datasets: Datasets
    grants: Grants
    attestation: Attestation
    erasures: Erasures
    leases: Leases
    models: Models
    unregistered: Unregistered
    home: HomeCheck
    housekeeping: Housekeeping
    check: Check
    runs: RunCases
    sign_ins: SignIns
    trails: Trails
    holdings: Holdings
    oversight: Oversight
