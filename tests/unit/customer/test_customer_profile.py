"""Enrolling a machine: interrupted, repeated, refused; and what is kept of it."""

import json
from contextlib import ExitStack

import pytest

from keyhouse import house
from kifabrik.customer.locks import keep_lock, kept_lock
from kifabrik.customer.profile import Profile, enrol
from kifabrik.environments.lockfile import Lock
from kifabrik.errors import ConflictError, IntegrityError, NotFoundError, RefusedError, SignInError
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.statements import read_unverified
from kifabrik.tenants.statements import Device, Role
from kifabrik.tenants.trust import verify_device
from kifabrik.values import parse_time
from kifabrik.wire.tenants import Enrolled
from scripted_answers import answering

__all__ = ["house"]


@pytest.fixture
def invitation(house):
    """A real invitation, and where it may be changed."""
    return house.steward.invite(Role.ENGINEER, "Anna")


@pytest.fixture
def serve():
    with ExitStack() as stack:
        yield lambda *answers: stack.enter_context(answering(*answers))


def enrolled(invitation):
    _, membership, _ = invitation.verified()
    return 200, Enrolled(
        tenant=invitation.tenant, member=membership.member, role=membership.role, token="kft_token"
    ).model_dump_json().encode()


def at(invitation, url):
    return type(invitation)(**{**vars(invitation), "factory": url})


REFUSED = (409, b'{"code": "conflict", "message": "used already", "hint": ""}')


def test_enrolling_makes_keys_here_and_sends_only_their_public_halves(tmp_path, invitation, serve):
    url, asked = serve(enrolled(invitation))
    profile = enrol(tmp_path, at(invitation, url))
    assert Profile.load(tmp_path) == profile
    assert profile.token == "kft_token"
    body = json.loads(asked[0])
    device = Envelope.from_json(body["device"])
    found = verify_device(
        invitation.trusted_key,
        Envelope.from_json(body["membership"]),
        device,
        parse_time(read_unverified(device, Device)[0].created),
    )
    assert found.key == profile.device.public
    for secret in (profile.device_seed, profile.identity, invitation.invitation_seed, profile.catalogue_identity):
        assert secret not in asked[0].decode()


def test_an_interrupted_enrolment_is_repeated_with_the_same_keys(tmp_path, invitation, serve):
    url, asked = serve((403, b"away"), enrolled(invitation))
    with pytest.raises(RefusedError, match="403"):
        enrol(tmp_path, at(invitation, url))
    pending = Profile.begun(tmp_path)
    assert pending.token == ""
    profile = enrol(tmp_path, at(invitation, url))
    assert (profile.device_seed, profile.identity) == (pending.device_seed, pending.identity)
    assert asked[0] == asked[1]


def test_an_invitation_used_elsewhere_enrols_nobody(tmp_path, invitation, serve):
    url, _ = serve(REFUSED)
    with pytest.raises(ConflictError, match="used already"):
        enrol(tmp_path, at(invitation, url))
    with pytest.raises(SignInError, match="not enrolled") as raised:
        Profile.load(tmp_path)
    assert "kifabrik login" in raised.value.hint


def test_an_enrolled_machine_is_not_enrolled_again(tmp_path, invitation, serve):
    url, asked = serve(enrolled(invitation))
    enrol(tmp_path, at(invitation, url))
    with pytest.raises(ConflictError):
        enrol(tmp_path, at(invitation, url))
    assert len(asked) == 1


@pytest.mark.parametrize("field", ["tenant_key", "membership", "keyholder", "invitation_seed"])
def test_a_changed_invitation_is_refused_before_anybody_is_asked(tmp_path, house, invitation, serve, field):
    other = house.steward.invite(Role.OWNER, "Olga")
    changed = {
        "tenant_key": house.keyholder_key.hex,
        "membership": other.membership,
        "keyholder": invitation.membership,
        "invitation_seed": other.invitation_seed,
    }[field]
    url, asked = serve(enrolled(invitation))
    with pytest.raises((IntegrityError, SignInError)):
        enrol(tmp_path, type(invitation)(**{**vars(invitation), "factory": url, field: changed}))
    assert asked == []


def test_a_profile_is_private_and_hides_its_secrets(tmp_path, invitation, serve):
    url, _ = serve(enrolled(invitation))
    profile = enrol(tmp_path, at(invitation, url))
    assert (tmp_path / "member" / "profile.json").stat().st_mode & 0o077 == 0
    for secret in (profile.device_seed, profile.identity, profile.catalogue_identity, profile.token):
        assert secret not in repr(profile)


def test_a_machine_without_profile_is_told_what_to_do(tmp_path):
    with pytest.raises(SignInError) as raised:
        Profile.load(tmp_path)
    assert "kifabrik login" in raised.value.hint


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format": "kifabrik-profile/v1"}', '{"format": "other"}'])
def test_a_damaged_profile_is_said_so(tmp_path, text):
    (tmp_path / "member").mkdir()
    (tmp_path / "member" / "profile.json").write_text(text)
    with pytest.raises(SignInError) as raised:
        Profile.load(tmp_path)
    assert "kifabrik login" in raised.value.hint


def test_a_damaged_profile_is_not_written_over(tmp_path, invitation, serve):
    url, asked = serve(enrolled(invitation))
    (tmp_path / "member").mkdir()
    (tmp_path / "member" / "profile.json").write_text("{")
    with pytest.raises(SignInError, match="damaged"):
        enrol(tmp_path, at(invitation, url))
    assert (tmp_path / "member" / "profile.json").read_text() == "{"
    assert asked == []


def test_a_login_that_did_not_end_gives_way_to_a_new_invitation(tmp_path, house, invitation, serve):
    other = house.steward.invite(Role.ENGINEER, "Anna")
    url, _ = serve(REFUSED, enrolled(other))
    with pytest.raises(ConflictError):
        enrol(tmp_path, at(invitation, url))
    first = Profile.begun(tmp_path)
    profile = enrol(tmp_path, at(other, url))
    assert profile.member != first.member
    assert Profile.load(tmp_path) == profile


def test_a_lock_is_kept_by_its_digest_and_a_changed_one_noticed(tmp_path):
    lock = Lock("3.11", (), ())
    keep_lock(tmp_path, lock)
    assert kept_lock(tmp_path, lock.digest) == lock
    (kept,) = (tmp_path / "member" / "locks").iterdir()
    kept.write_text(Lock("3.12", (), ()).text)
    with pytest.raises(IntegrityError):
        kept_lock(tmp_path, lock.digest)
    with pytest.raises(NotFoundError):
        kept_lock(tmp_path, "0" * 64)
