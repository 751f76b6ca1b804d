"""Sealing and opening: age v1 files (c2sp.org/age), read and written by our own code.

    recipients  who something is sealed to         identities  who can open it
    sealing     plaintext to header and body       opening     header and body to plaintext
    passphrase  the same under a passphrase        armor       the same as text

An age file is a header followed by a body. The header wraps a random file key for each recipient;
the body is the data under that file key. We store them apart: headers are replaced (`rewrap`) without
touching bodies, and `cat header body` is always a plain age file.

Invariants:
- no plaintext byte leaves this room before the chunk it stands in is verified;
- whatever is wrong with sealed bytes is an `IntegrityError`, nothing else;
- no secret appears in a `repr` or an error message;
- recipients and sealing never import identities or opening: the factory can seal, not open.
"""
