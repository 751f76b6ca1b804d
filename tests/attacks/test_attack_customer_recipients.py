"""The factory shows a member old statements of the keyholder: lists of recipients, and whom leases come from."""

from pathlib import Path

import pytest

from keyhouse import House, Person
from kifabrik.customer.profile import Profile
from kifabrik.customer.session import Session
from kifabrik.errors import IntegrityError
from kifabrik.ledger.entry import EntryKind
from kifabrik.signatures.statements import read_unverified, sign_statement
from kifabrik.tenants.statements import RecipientList


@pytest.fixture
def session(house: House, tmp_path: Path) -> Session:
    """Anna's session with the simulated factory."""
    anna: Person = house.enrol()
    invitation = anna.invitation
    profile = Profile(
        factory=invitation.factory,
        ca_pem="",
        tenant_key=invitation.tenant_key,
        member=anna.member,
        role="engineer",
        policy=invitation.policy,
        keyholder=invitation.keyholder,
        device_seed=anna.key.seed.hex(),
        identity=anna.identity.text,
        catalogue_identity=invitation.catalogue_identity,
        token="",
    )
    made = Session(tmp_path / "anna", profile)
    made.tenants = made.log = house.factory
    return made


def newer(house: House, number: int) -> None:
    """The keyholder has published a list with this number: the log says so."""
    house.factory.append(EntryKind.RECIPIENTS_PUBLISHED, statement="ab" * 32, sequence=number)


def test_an_old_list_of_recipients_is_not_believed(house: House, session: Session) -> None:
    shown = read_unverified(house.factory.recipients(), RecipientList)[0]
    newer(house, shown.sequence + 1)
    with pytest.raises(IntegrityError, match=f"list {shown.sequence} .* log names {shown.sequence + 1}"):
        _ = session.recipients


def test_the_newest_list_of_recipients_is_believed(house: House, session: Session) -> None:
    shown = read_unverified(house.factory.recipients(), RecipientList)[0]
    newer(house, shown.sequence)
    assert session.recipients == shown


def test_a_list_the_factory_made_up_is_not_believed(house: House, session: Session) -> None:
    shown = read_unverified(house.factory.recipients(), RecipientList)[0]
    house.factory.recipient_list = sign_statement(shown, {}, house.factory.log_key)
    with pytest.raises(IntegrityError, match="not signed by a trusted key"):
        _ = session.recipients
