"""The bytes of `Contents`: compact JSON, deflated where that pays, read back strictly.

Layout: `{"format": "kifabrik-contents/v1", "name", "description", "shards": [shard, …]}` where a shard is
`{"kind", "sha256", "size", "files": [[path, offset, size, sha256, executable, mtime], …], "directories": […]}`.
One line of a local index holds the same form of a shard.
"""

import json
import zlib
from collections.abc import Callable
from typing import Any, Final

from kifabrik.datasets.contents import Contents, FileEntry, ShardContents, ShardKind
from kifabrik.errors import IntegrityError, UsageError

CONTENTS_FORMAT: Final = "kifabrik-contents/v1"
MOST_ENCODED_BYTES: Final = 2**29
_DEFLATE_FROM_BYTES: Final = 2**16
_FAST: Final = 1
_ENTRY_TYPES: Final = (str, int, int, str, bool, int)


def encode_contents(contents: Contents) -> bytes:
    """Write the bytes to seal."""
    text = compact_json(
        {
            "format": CONTENTS_FORMAT,
            "name": contents.name,
            "description": contents.description,
            "shards": [shard_to_json(shard) for shard in contents.shards],
        }
    )
    return text if len(text) < _DEFLATE_FROM_BYTES else zlib.compress(text, _FAST)


def decode_contents(data: bytes) -> Contents:
    """Read what `encode_contents` wrote; unpacks to 512 MiB at most.

    Raises:
        IntegrityError: The bytes are no contents, or their entries break a rule of `Contents`.
    """
    body = strict_json(data if data[:1] == b"{" else _inflate(data), "contents")
    try:
        if set(body) != {"format", "name", "description", "shards"} or body["format"] != CONTENTS_FORMAT:
            raise IntegrityError("contents: not of a known format")
        name, description, shards = body["name"], body["description"], body["shards"]
        if not isinstance(name, str) or not isinstance(description, str) or not isinstance(shards, list):
            raise IntegrityError("contents: malformed")
        return Contents(name, description, tuple(shard_from_json(shard) for shard in shards))
    except UsageError as error:
        raise IntegrityError(f"contents: {error.message}") from None


def shard_to_json(shard: ShardContents) -> dict[str, Any]:
    """Return the JSON form of one shard."""
    return {
        "kind": shard.kind.value,
        "sha256": shard.sha256,
        "size": shard.plain_size,
        "files": [[f.path, f.offset, f.size, f.sha256, f.executable, f.mtime] for f in shard.files],
        "directories": list(shard.directories),
    }


def shard_from_json(body: Any) -> ShardContents:
    """Read one shard.

    Raises:
        IntegrityError: It is not the JSON form of a shard.
    """
    try:
        if set(body) != {"kind", "sha256", "size", "files", "directories"}:
            raise IntegrityError("contents: a shard has unknown or missing fields")
        sha256, size, rows, directories = body["sha256"], body["size"], body["files"], body["directories"]
        if type(size) is not int or not isinstance(sha256, str) or not isinstance(rows, list):
            raise IntegrityError("contents: a shard is malformed")
        if not isinstance(directories, list) or not all(isinstance(path, str) for path in directories):
            raise IntegrityError("contents: the directories of a shard are malformed")
        kind = ShardKind(body["kind"])
        return ShardContents(kind, sha256, size, tuple(map(_entry, rows)), tuple(directories))
    except (TypeError, ValueError):
        raise IntegrityError("contents: a shard is malformed") from None


def _entry(row: Any) -> FileEntry:
    if type(row) is not list or tuple(map(type, row)) != _ENTRY_TYPES:
        raise IntegrityError("contents: a file entry is malformed")
    return FileEntry(*row)


def compact_json(value: Any) -> bytes:
    """Write JSON without spaces, in UTF-8."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def strict_json(data: bytes, what: str) -> dict[str, Any]:
    """Read a JSON object without duplicate keys or non-finite numbers.

    Raises:
        IntegrityError: The bytes are something else; `what` names them in the message.
    """
    try:
        value = json.loads(data, object_pairs_hook=_unique, parse_constant=_refuse(what))
    except (ValueError, RecursionError):
        raise IntegrityError(f"{what}: not JSON") from None
    if not isinstance(value, dict):
        raise IntegrityError(f"{what}: not a JSON object")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    body = dict(pairs)
    if len(body) != len(pairs):
        raise ValueError("duplicate key")
    return body


def _refuse(what: str) -> Callable[[str], Any]:
    def refuse(constant: str) -> Any:
        raise IntegrityError(f"{what}: {constant} is not a number")

    return refuse


def _inflate(data: bytes) -> bytes:
    inflater = zlib.decompressobj()
    try:
        text = inflater.decompress(data, MOST_ENCODED_BYTES)
    except zlib.error:
        raise IntegrityError("contents: neither JSON nor deflated JSON") from None
    if not inflater.eof or inflater.unused_data:
        raise IntegrityError(f"contents: truncated, continued, or larger than {MOST_ENCODED_BYTES} bytes")
    return text
