"""Plaintext at any position from a factory that is only reached over HTTP, by way of the node's disk."""

import random
from pathlib import Path

from kifabrik.client.objects import Objects
from kifabrik.datasets.packing import plan_shards
from kifabrik.launcher.store import node_store
from kifabrik.seals.identities import Identity
from kifabrik.transfer.http_store import HttpStore
from kifabrik.transfer.opening import open_contents
from kifabrik.transfer.ranges import BLOCK, RangeCache
from kifabrik.transfer.sealing import Sealer, VersionHead
from kifabrik.transfer.streaming import SealedPlaintext, Workplaces
from kifabrik.values import Kind, new_id
from parties import Party

SIZE = 2 * BLOCK + 777


def test_far_away_data_is_read_at_any_position_and_fetched_once(tenant: Party, tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    data = random.Random(1).randbytes(2**20) * (SIZE // 2**20 + 1)
    (tmp_path / "source" / "large").write_bytes(data[:SIZE])
    identity, objects = Identity.generate(), Objects(tenant.enrol().connection)
    head = VersionHead(tenant.tenant, new_id(Kind.DATASET), 1, "", identity.recipient)
    with plan_shards(tmp_path / "source", previous=()) as plan:
        manifest = Sealer(head, HttpStore(objects), tmp_path / "spool").seal(plan).manifest
    asked = []

    def fetch(digest: str, start: int, size: int) -> bytes:
        asked.append(start)
        return objects.read(digest, start, size)

    ranges = RangeCache(fetch, tmp_path / "blocks", 10 * BLOCK, patience_s=0)
    store = node_store(objects, ranges, None, tenant.tenant)
    headers = store.fetch(manifest.headers, 10**6)
    version = open_contents(manifest, headers, [identity], store)
    plaintext = SealedPlaintext(version, store, Workplaces(2))
    shard, entry = version.contents.find("large")
    draw = random.Random(2)
    for _ in range(60):
        offset = draw.randrange(SIZE)
        size = min(draw.choice((1, 5000, 65536, 2**20)), SIZE - offset)
        with plaintext.read(shard, entry.offset + offset, size) as pieces:
            assert b"".join(pieces) == data[offset : offset + size]
    assert sorted(asked) == [0, BLOCK, 2 * BLOCK]
    assert not any(data[1000:1100] in path.read_bytes() for path in (tmp_path / "blocks").iterdir())
