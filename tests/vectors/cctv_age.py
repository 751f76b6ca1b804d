"""The published age test vectors: npm package `cctv-age` (c2sp.org/CCTV/age; 0BSD, CC0 or Unlicense).

They are fetched once with `npm pack`, checked against the digest below, and never copied into this
repository. The package is one JavaScript module with a base64 string for each vector.
"""

import base64
import hashlib
import re
import shutil
import subprocess
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path

VERSION = "0.2.0"
SHA512 = "1fiGAaWr+snqgu8+uCC7qPeApAuueOESET2npKe0FVLY+Huf+Kkia89Rybx/uoGNCml31SgAjiQIeFOY4K3New=="
FETCH_SECONDS = 90


class VectorsMissingError(Exception):
    """The vectors are not here and cannot be fetched; the message says why."""


@dataclass(frozen=True)
class Vector:
    """One file and what has to come of it, in the words of the package's README."""

    name: str
    expect: str
    payload_sha256: str | None
    file_key: bytes | None
    identities: tuple[str, ...]
    passphrases: tuple[str, ...]
    armored: bool
    data: bytes


def load_vectors(cache: Path) -> list[Vector]:
    """Return all vectors, fetching the package into `cache` if it is not there yet."""
    archive = cache / f"cctv-age-{VERSION}.tgz"
    if not archive.exists():
        _fetch(cache)
    digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if digest != SHA512:
        archive.unlink()
        raise AssertionError(f"cctv-age {VERSION} has digest {digest}")
    with tarfile.open(archive) as tar:
        module = tar.extractfile("package/index.js").read().decode()
    found = re.findall(r'^var (\w+)_default = __toBinary\("([^"]*)"\);$', module, re.MULTILINE)
    return [_parse(name, base64.b64decode(text)) for name, text in found]


def _fetch(cache: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise VectorsMissingError("npm is not installed, so the age vectors cannot be fetched")
    command = [npm, "pack", "--silent", f"cctv-age@{VERSION}", "--pack-destination", str(cache)]
    try:
        subprocess.run(command, cwd=cache, check=True, capture_output=True, timeout=FETCH_SECONDS)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise VectorsMissingError(f"npm cannot fetch cctv-age {VERSION}: {error}") from None


def _parse(name: str, text: bytes) -> Vector:
    head, _, data = text.partition(b"\n\n")
    fields: dict[str, list[str]] = {}
    for line in head.decode().splitlines():
        key, value = line.split(": ", 1)
        fields.setdefault(key, []).append(value)
    if fields.get("compressed") == ["zlib"]:
        data = zlib.decompress(data)
    return Vector(
        name=name,
        expect=fields["expect"][0],
        payload_sha256=fields.get("payload", [None])[0],
        file_key=bytes.fromhex(fields["file key"][0]) if "file key" in fields else None,
        identities=tuple(fields.get("identity", ())),
        passphrases=tuple(fields.get("passphrase", ())),
        armored=fields.get("armored") == ["yes"],
        data=data,
    )
