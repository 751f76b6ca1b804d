"""A manifest that names shards of another dataset or tenant: ciphertext is named, and nothing opens.

At the door of the factory another tenant's objects are as good as missing. Within a tenant the factory cannot
tell whose a shard is, and need not: who seals a manifest must know the file key of each shard it names. The
keyholder wraps headers anew with the identity of the owner alone, and what is behind the header does not open.
"""

import secrets
from dataclasses import replace
from pathlib import Path

import pytest

from keyhouse import House, as_input
from kifabrik.client.datasets import Datasets
from kifabrik.datasets.grouping import ShardSizes
from kifabrik.datasets.index import IndexWriter
from kifabrik.datasets.manifest import Manifest, sign_manifest
from kifabrik.datasets.packing import plan_shards
from kifabrik.errors import ConflictError, IntegrityError
from kifabrik.ledger.entry import EntryKind
from kifabrik.seals.header import split_headers
from kifabrik.seals.identities import Identity
from kifabrik.seals.opening import rewrap
from kifabrik.signatures.statements import read_unverified
from kifabrik.transfer.opening import open_contents, unpack
from kifabrik.transfer.sealing import Sealer, VersionHead
from kifabrik.values import sha256_hex
from memory_objects import MemoryObjects
from parties import FactoryProcess, Party

TENANT = "t-" + "a" * 32
SECRET = b"the other dataset's measurements\n" * 400


def test_shards_of_another_tenant_are_missing_at_the_door(factory: FactoryProcess, tenant: Party) -> None:
    person = tenant.enrol()
    refs = person.upload(b"headers", b"contents", secrets.token_bytes(300))
    Datasets(person.connection).register(person.manifest(tenant.new_dataset(), refs), None)
    thief = factory.sign_up().enrol()
    own = thief.upload(b"headers", b"contents")
    errors = []
    for shard in (refs[2], type(refs[2])(sha256_hex(b"nowhere"), refs[2].size)):
        with pytest.raises(ConflictError, match="not uploaded") as refused:
            Datasets(thief.connection).register(thief.manifest(thief.party.new_dataset(), [*own, shard]), None)
        errors.append(refused.value.message.replace(shard.sha256[:16], "…"))
    assert errors[0] == errors[1]  # nor does the answer tell that somebody has it
    assert Datasets(thief.connection).versions() == []


def test_keys_released_for_a_manifest_with_a_foreign_shard_open_nothing_of_it(house: House, tmp_path: Path) -> None:
    """The member's own headers are wrapped anew, as ordered; the body they do not belong to stays shut."""
    anna, ben = house.enrol(), house.enrol()
    stolen = read_unverified(ben.seal({"a": SECRET}), Manifest)[0]
    mine = anna.seal({"a": bytes(len(SECRET))})
    house.grant(mine)
    said = as_input(mine)
    own = house.sealed({"a": bytes(len(SECRET))}, said.owner, house.recipients()[said.owner])
    mixed = sign_manifest(replace(own, version=2, previous=mine.digest, shards=stolen.shards), anna.key)
    house.factory.put(EntryKind.DATASET_SEALED, mixed, dataset=said.owner, manifest=mixed.digest)
    attempt = anna.order(mixed).attempt().obtain()
    with pytest.raises(IntegrityError, match="damaged"):
        attempt.read(mixed, tmp_path / "mixed")
    assert not any(path.read_bytes() for path in (tmp_path / "mixed").rglob("*") if path.is_file())
    honest = anna.order(mine).attempt().obtain()
    assert honest.read(mine, tmp_path / "honest") == {"a": bytes(len(SECRET))}


def sealed(tmp_path: Path, store: MemoryObjects, dataset: str, content: bytes, identity: Identity) -> Manifest:
    folder = tmp_path / dataset
    folder.mkdir()
    (folder / "a.csv").write_bytes(content)
    head = VersionHead(TENANT, dataset, 1, "", identity.recipient)
    with (
        plan_shards(folder, sizes=ShardSizes(target=2**20, small_file=2**19)) as plan,
        IndexWriter(tmp_path / f"{dataset}.index", owner=dataset, recipient=identity.recipient.text) as index,
    ):
        return Sealer(head, store, tmp_path / "spool").seal(plan, index).manifest


@pytest.mark.parametrize("verify", [True, False])
def test_a_foreign_shard_behind_ones_own_headers_does_not_open(tmp_path: Path, verify: bool) -> None:
    """As a launcher meets it: own headers and contents, the body of a dataset sealed by somebody else."""
    store, mine, other = MemoryObjects(), Identity.generate(), Identity.generate()
    own = sealed(tmp_path, store, "d-" + "a" * 16, bytes(len(SECRET)), mine)
    foreign = sealed(tmp_path, store, "d-" + "b" * 16, SECRET, other)
    mixed = replace(own, shards=foreign.shards)
    headers = store.objects[own.headers]
    target = tmp_path / "opened"
    target.mkdir()
    version = open_contents(mixed, headers, [mine], store)
    with pytest.raises(IntegrityError, match="damaged"):
        unpack(version, target, store, verify=verify)
    assert not [path for path in target.rglob("*") if path.is_file() and path.read_bytes()]
    honest = tmp_path / "honest"
    honest.mkdir()
    unpack(open_contents(own, headers, [mine], store), honest, store, verify=verify)  # the shard alone is at fault
    assert (honest / "a.csv").read_bytes() == bytes(len(SECRET))


def test_foreign_headers_do_not_open_with_ones_own_identity(tmp_path: Path) -> None:
    store, mine, other = MemoryObjects(), Identity.generate(), Identity.generate()
    foreign = sealed(tmp_path, store, "d-" + "b" * 16, SECRET, other)
    headers = store.objects[foreign.headers]
    for header in split_headers(headers):
        with pytest.raises(IntegrityError, match="sealed to none"):
            rewrap(header, [mine], [mine.recipient])
        assert rewrap(header, [other], [mine.recipient])
    with pytest.raises(IntegrityError):
        open_contents(foreign, headers, [mine], store)
