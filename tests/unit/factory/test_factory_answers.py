"""Small objects are answered whole, large ones piece by piece."""

import os

from fastapi.responses import StreamingResponse

from kifabrik.factory.factory import Factory
from kifabrik.factory.records import Principal, TokenKind
from kifabrik.service.room import Room
from kifabrik.service.routers.objects import read
from kifabrik.values import sha256_hex
from signing_up import sign_up


def test_small_objects_are_answered_whole_and_large_ones_piece_by_piece(opened: Factory) -> None:
    caller = Principal(TokenKind.KEYHOLDER, sign_up(opened))
    room = Room(2**23, 2**23, 1)
    small, large = os.urandom(1000), os.urandom(2**20 + 1)
    for data in (small, large):
        opened.objects.put(caller.tenant, sha256_hex(data), data)

    whole = read(sha256_hex(small), caller, opened, room)
    assert (whole.status_code, whole.body, whole.headers["content-length"]) == (200, small, "1000")
    part = read(sha256_hex(large), caller, opened, room, "bytes=5-9")
    assert (part.status_code, part.body) == (206, large[5:10])
    assert part.headers["content-range"] == f"bytes 5-9/{len(large)}"
    assert isinstance(read(sha256_hex(large), caller, opened, room), StreamingResponse)
