"""The factory shows a member old statements of the keyholder: lists of recipients, and whom leases come from."""

from dataclasses import replace
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
        token="-",
    )
    profile.save(tmp_path / "anna")
    made = Session(tmp_path / "anna", profile)
    made.tenants = made.log = house.factory
    return made


def again(session: Session) -> Session:
    """The next command on the same machine."""
    made = Session(session.home, Profile.load(session.home))
    made.tenants, made.log = session.tenants, session.log
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


def test_a_list_published_during_a_session_is_used_by_it(house: House, session: Session) -> None:
    """A program that seals for days needs recipients that were not there when it began."""
    said = session.recipients
    longer = replace(said, sequence=said.sequence + 1, datasets={**said.datasets, "d-new": "age1new"})
    house.factory.recipient_list = sign_statement(longer, {}, house.state.keyholder_key)
    newer(house, longer.sequence)
    assert "d-new" in session.recipients.datasets


def test_a_list_the_factory_made_up_is_not_believed(house: House, session: Session) -> None:
    shown = read_unverified(house.factory.recipients(), RecipientList)[0]
    house.factory.recipient_list = sign_statement(shown, {}, house.factory.log_key)
    with pytest.raises(IntegrityError, match="not signed by a trusted key"):
        _ = session.recipients


def test_a_list_that_is_older_than_one_seen_here_before_is_not_believed(house: House, session: Session) -> None:
    """Although the log is silent about the newer one: it is shown to this member as it once was."""
    old = house.factory.recipients()
    said = read_unverified(old, RecipientList)[0]
    own = house.state.keyholder_key
    house.factory.recipient_list = sign_statement(replace(said, sequence=said.sequence + 1), {}, own)
    assert session.recipients.sequence == said.sequence + 1
    house.factory.recipient_list = old
    with pytest.raises(IntegrityError, match="this machine has seen"):
        _ = again(session).recipients


def test_an_old_statement_about_the_keyholder_is_not_believed(house: House, session: Session) -> None:
    """The keyholder was replaced since this member was invited; the factory shows the statement of then."""
    house.factory.append(EntryKind.KEYHOLDER_RESTORED, statement="ab" * 32, sequence=2)
    with pytest.raises(IntegrityError, match="statement 1 about the keyholder, the log names 2"):
        _ = session.keyholder
    renewed = replace(house.state.statement, sequence=2)
    house.factory.keyholder_statement = sign_statement(renewed, {}, house.tenant_key)
    assert again(session).keyholder.sequence == 2


def test_a_statement_about_the_keyholder_that_was_seen_here_is_the_least(house: House, session: Session) -> None:
    old = house.factory.keyholder()
    renewed = replace(house.state.statement, sequence=2)
    house.factory.keyholder_statement = sign_statement(renewed, {}, house.tenant_key)
    assert session.keyholder.sequence == 2
    house.factory.keyholder_statement = old
    assert again(session).keyholder.sequence == 2
