"""Full disks of the factory and of the keyholder: said by name, nothing acknowledged is lost, it goes on later."""

import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from keyhouse import PASSPHRASE, WORK
from kifabrik.client.datasets import Datasets
from kifabrik.client.objects import Objects
from kifabrik.client.tenants import Tenants
from kifabrik.errors import CapacityError
from kifabrik.keyholder.keyholder import open_keyholder
from kifabrik.keyholder.setup import make_folder
from kifabrik.keyholder.state import open_state
from kifabrik.keyholder.unlocking import Passphrase
from parties import FactoryProcess
from small_disk import small_disk

__all__ = ["small_disk"]


def test_a_full_store_takes_nothing_half_and_goes_on_with_more_room(tmp_path: Path, small_disk) -> None:
    disk = small_disk(tmp_path / "disk", "8m")
    factory = FactoryProcess(disk.folder / "factory")
    try:
        person = factory.sign_up().enrol()
        objects, kept = Objects(person.connection), []

        def upload_until_full() -> None:
            while True:
                kept.append(os.urandom(700_000))
                objects.upload_bytes(kept[-1])

        with pytest.raises(CapacityError, match="the factory's disk is full"):
            upload_until_full()
        assert len(kept) > 2
        assert Tenants(person.connection).me().member == person.member
        disk.grow("16m")
        for body in kept:
            assert objects.fetch(objects.upload_bytes(body), len(body)) == body
        assert factory.inside.check.run(deep=True) == []
    finally:
        factory.close()


def test_a_full_database_acknowledges_nothing_it_does_not_keep(tmp_path: Path, small_disk) -> None:
    disk = small_disk(tmp_path / "disk", "16m")
    factory = FactoryProcess(disk.folder / "factory")
    try:
        tenant = factory.sign_up()
        person = tenant.enrol()
        manifests = [
            person.manifest(tenant.new_dataset(), person.upload(*(os.urandom(300) for _ in range(3))))
            for _ in range(12)
        ]
        disk.fill()
        acknowledged = []

        def register_all() -> None:
            for manifest in manifests:
                Datasets(person.connection).register(manifest, None)
                acknowledged.append(manifest.digest)

        with pytest.raises(CapacityError, match="disk is full"):
            register_all()
        disk.empty()
        assert _sealed(tenant) == acknowledged
        for manifest in manifests:
            Datasets(person.connection).register(manifest, None)
        assert _sealed(tenant) == [manifest.digest for manifest in manifests]
        tenant.cosign()
        assert factory.inside.check.run(deep=True) == []
    finally:
        factory.close()


def _sealed(tenant) -> list[str]:
    return [entry["refs"]["manifest"] for entry in tenant.entries() if entry["kind"] == "dataset.sealed"]


def test_a_service_on_a_full_disk_says_why_it_does_not_start(tmp_path: Path, small_disk) -> None:
    disk = small_disk(tmp_path / "disk", "8m")
    factory = FactoryProcess(disk.folder / "factory")
    factory.sign_up()
    assert factory.stop() == 0
    disk.fill()
    kifabrik = Path(sys.executable).parent / "kifabrik"
    for words, said in (
        (["admin", "code"], "the factory's disk is full"),
        (["up"], f"left on device: {disk.folder}"),
    ):
        ran = subprocess.run([kifabrik, *words, "--home", disk.folder], capture_output=True, text=True, check=False)
        assert ran.returncode == CapacityError.exit_status
        error, hint = ran.stderr.splitlines()[-2:]
        assert error.startswith("error: ")
        assert said in error
        assert hint.startswith("hint: ")
    disk.empty()
    factory.start()
    factory.close()


def test_a_keyholder_without_room_says_so_and_keeps_what_it_had(tmp_path: Path, small_disk) -> None:
    disk = small_disk(tmp_path / "disk", "2m")
    home = disk.folder / "keyholder"
    disk.fill()
    with pytest.raises(CapacityError, match="keyholder"):
        make_folder(home, "http://factory.invalid", PASSPHRASE, work_factor=WORK)
    disk.empty()
    make_folder(home, "http://factory.invalid", PASSPHRASE, work_factor=WORK).close()
    disk.fill()
    kept = []

    def write_until_full() -> None:
        with closing(open_state(home, Passphrase(PASSPHRASE))) as state:
            for number in range(3000):
                with state.db.transaction():
                    state.db.execute("INSERT INTO mirror_entries VALUES (?, ?)", (number, os.urandom(500)))
                kept.append(number)

    with pytest.raises(CapacityError, match=r"keyholder\.db"):
        write_until_full()
    disk.empty()
    with closing(open_state(home, Passphrase(PASSPHRASE))) as state:
        assert [row["number"] for row in state.db.rows("SELECT * FROM mirror_entries ORDER BY 1")] == kept


def test_a_backup_without_room_is_not_registered(tmp_path: Path, small_disk) -> None:
    disk = small_disk(tmp_path / "disk", "16k")
    home = tmp_path / "keyholder"
    make_folder(home, "http://factory.invalid", PASSPHRASE, work_factor=WORK).close()
    disk.fill()
    with open_keyholder(home, Passphrase(PASSPHRASE)) as keyholder:
        with pytest.raises(CapacityError, match=r"backup\.age"):
            keyholder.backup(disk.folder / "backup.age", "other words", work_factor=WORK)
        assert [path.name for path in disk.folder.iterdir()] == ["filler"]
        assert keyholder.status().backups == ()
