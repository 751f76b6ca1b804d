"""How a body is cut and keyed: the numbers both directions share.

    body  = nonce (16 bytes) || chunk || chunk || … || last chunk
    chunk = ChaCha20-Poly1305 of 64 KiB plaintext; the last one of 1 to 64 KiB (0 in an empty body)

The payload key comes from file key and nonce, so bodies under one file key have keys of their own.
A chunk's nonce is its number, and whether it is the last: reordering, cutting and appending fail.

Source: c2sp.org/age, section "Payload" (a variant of STREAM, eprint.iacr.org/2015/189).
"""

from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from kifabrik.errors import IntegrityError, UsageError
from kifabrik.seals.header import FILE_KEY_BYTES, derive_key

NONCE_BYTES: Final = 16
PLAIN_CHUNK: Final = 64 * 1024
TAG_BYTES: Final = 16
SEALED_CHUNK: Final = PLAIN_CHUNK + TAG_BYTES
BATCH: Final = 16
"""Chunks a thread handles at a time: 1 MiB in and 1 MiB out stay in a core's second-level cache."""


def payload_cipher(file_key: bytes, nonce: bytes) -> ChaCha20Poly1305:
    """Return the cipher of the one body that starts with `nonce`.

    Raises:
        UsageError: The file key has not 16 bytes.
    """
    if len(file_key) != FILE_KEY_BYTES:
        raise UsageError(f"a file key has {FILE_KEY_BYTES} bytes, not {len(file_key)}")
    return ChaCha20Poly1305(derive_key(file_key, nonce, b"payload"))


def chunk_nonce(number: int, *, last: bool) -> bytes:
    """Return the 12-byte nonce of a chunk: its number in 11 bytes, then whether it is the last."""
    return (number << 8 | last).to_bytes(12, "big")


def chunk_count(sealed: int) -> int:
    """Return how many chunks, the last perhaps short, so many sealed bytes without a nonce are."""
    return -(-sealed // SEALED_CHUNK)


def sealed_size(plaintext_size: int) -> int:
    """Return the size of the body of so many plaintext bytes."""
    chunks = max(1, -(-plaintext_size // PLAIN_CHUNK))
    return NONCE_BYTES + plaintext_size + chunks * TAG_BYTES


def plaintext_size(body_size: int) -> int:
    """Return how many plaintext bytes a body of this size claims; true once its last chunk verifies.

    Raises:
        IntegrityError: No body has this size.
    """
    sealed = body_size - NONCE_BYTES
    chunks = chunk_count(sealed)
    plain = sealed - chunks * TAG_BYTES
    if plain < 0 or sealed_size(plain) != body_size:
        raise IntegrityError(f"age body: cut off or padded, no body has {body_size} bytes")
    return plain
