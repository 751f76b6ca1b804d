"""Commands of one member beside each other: who has to wait for long is told why, and may try again."""

from pathlib import Path

import pytest

from kifabrik.customer import session as sessions
from kifabrik.customer.profile import Profile, member_folder
from kifabrik.customer.session import Session
from kifabrik.errors import UnavailableError
from kifabrik.ledger.mirror_files import MirrorFiles
from kifabrik.seals.identities import Identity
from kifabrik.signatures.keys import SigningKey


def test_a_copy_that_another_command_keeps_busy_is_a_reason_to_try_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = Identity.generate().text
    profile = Profile(
        factory="http://127.0.0.1:9",
        ca_pem="",
        tenant_key=SigningKey.generate().public.hex,
        member="m-aaaaaaaaaaaaaaaa",
        role="engineer",
        policy="log example+1+x",
        keyholder="{}",
        device_seed=SigningKey.generate().seed.hex(),
        identity=identity,
        catalogue_identity=identity,
        token="t",
    )
    monkeypatch.setattr(sessions, "_PATIENCE_S", 0.1)
    session = Session(tmp_path, profile)
    try:
        with (
            MirrorFiles(member_folder(tmp_path, "ledger")),
            pytest.raises(UnavailableError, match="another command of yours has kept") as raised,
        ):
            session.mirror()
        assert "Try again" in raised.value.hint
    finally:
        session.close()
