"""Power cuts: whatever somebody was told is done has its bytes and its name on the disk by then."""

import hashlib
import os
from pathlib import Path

import pytest

from keyhouse import PASSPHRASE, WORK, House, house
from kifabrik.customer.acceptance import _model_key
from kifabrik.customer.profile import Profile, enrol
from kifabrik.durable import write_whole
from kifabrik.keyholder.database import Database
from kifabrik.keyholder.setup import make_folder
from kifabrik.stores.folder import FolderObjects
from kifabrik.stores.log_keys import FolderLogKeys
from kifabrik.stores.staging import FolderStaging
from kifabrik.tenants.statements import Role
from kifabrik.values import Kind, Place, new_id
from kifabrik.wire.tenants import Enrolled
from kifabrik.wiring.factory import init_home
from kifabrik.wiring.node import init_node
from power_cut import WatchedDisk, disk
from scripted_answers import answering

__all__ = ["disk", "house"]


def test_the_watch_sees_torn_files_and_lost_names(disk: WatchedDisk, tmp_path: Path) -> None:
    """The control: careless writing is found, in each of its ways."""
    (tmp_path / "careless").write_text("x")
    (tmp_path / "careless").replace(tmp_path / "named")
    assert disk.lost_by_a_power_cut() == [f"{tmp_path}/named: its name came before its bytes", f"{tmp_path}/named"]
    write_whole(tmp_path / "careful", b"x")
    assert disk.lost_by_a_power_cut() == []
    (tmp_path / "folder").mkdir()
    assert disk.lost_by_a_power_cut() == [f"{tmp_path}/folder"]
    with (tmp_path / "late").open("wb") as file:
        os.fsync(file.fileno())
        file.write(b"after the sync")
    (tmp_path / "late").replace(tmp_path / "named")
    assert len(disk.lost_by_a_power_cut()) == 2


def test_the_keys_of_a_new_tenant(disk: WatchedDisk, tmp_path: Path) -> None:
    make_folder(tmp_path / "new" / "keyholder", "http://factory.invalid", PASSPHRASE, work_factor=WORK).close()
    assert disk.lost_by_a_power_cut() == []


def test_a_backup_and_a_new_passphrase(disk: WatchedDisk, house: House, tmp_path: Path) -> None:
    disk.lost_by_a_power_cut()
    house.keyholder.backup(tmp_path / "backup.age", "other words", work_factor=WORK)
    house.keyholder.write_key_file(tmp_path / "keyholder.key")
    house.keyholder.change_passphrase("new words", work_factor=WORK)
    assert disk.lost_by_a_power_cut() == []


def test_a_keyholders_decisions(tmp_path: Path) -> None:
    with Database(tmp_path / "k.db") as db:
        assert db.rows("PRAGMA synchronous")[0][0] == 2  # FULL: each commit is synced
        assert db.rows("PRAGMA journal_mode")[0][0] == "wal"


def test_the_keys_of_a_device(disk: WatchedDisk, house: House, tmp_path: Path) -> None:
    invitation = house.steward.invite(Role.ENGINEER, "Anna")
    disk.lost_by_a_power_cut()
    _, membership, _ = invitation.verified()
    told = Enrolled(tenant=invitation.tenant, member=membership.member, role=membership.role, token="kft_token")
    with answering((200, told.model_dump_json().encode())) as (url, _asked):
        enrol(tmp_path / "anna", type(invitation)(**{**vars(invitation), "factory": url}))
    assert disk.lost_by_a_power_cut() == []
    assert Profile.load(tmp_path / "anna").token == "kft_token"


def test_a_key_that_signs_models(disk: WatchedDisk, tmp_path: Path) -> None:
    (tmp_path / "member" / "models").mkdir(parents=True)
    disk.lost_by_a_power_cut()
    _model_key(tmp_path)
    assert disk.lost_by_a_power_cut() == []


def test_an_object_and_a_log_key(disk: WatchedDisk, tmp_path: Path) -> None:
    home, tenant = tmp_path / "factory", new_id(Kind.TENANT)
    init_home(home)
    objects, staging = FolderObjects(home / "objects"), FolderStaging(home / "staging")
    body = os.urandom(10_000)
    digest = hashlib.sha256(body).hexdigest()
    staging.append(tenant, digest, 0, body)
    disk.lost_by_a_power_cut()  # what is under way is acknowledged as that only: its sender asks again
    objects.adopt(staging.finish(tenant, digest), f"{tenant}/{digest[:2]}/{digest}")
    FolderLogKeys(home / "keys").create(tenant)
    assert disk.lost_by_a_power_cut() == []


def test_a_factory_and_its_node(disk: WatchedDisk, tmp_path: Path) -> None:
    init_home(tmp_path / "srv" / "factory")
    init_node(tmp_path / "srv" / "factory" / "node", place=Place("DE"))
    assert disk.lost_by_a_power_cut() == []


@pytest.mark.parametrize("left", ["factory.toml.new"])
def test_a_first_start_that_was_cut_off_is_made_again(tmp_path: Path, left: str) -> None:
    (tmp_path / left).write_text("half")
    assert init_home(tmp_path).port
