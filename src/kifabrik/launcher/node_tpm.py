"""What a node's home remembers of its TPM: `tpm.json`, nothing of which is secret."""

import base64
import json
from pathlib import Path
from typing import Final

from kifabrik.durable import write_whole
from kifabrik.errors import UsageError
from kifabrik.launcher.tpm import AttestationKey

FILE: Final = "tpm.json"


def write_key(home: Path, key: AttestationKey) -> None:
    """Remember an attestation key."""
    body = {
        "handle": key.handle,
        "public": base64.b64encode(key.public).decode(),
        "endorsement": base64.b64encode(key.endorsement).decode(),
    }
    write_whole(home / FILE, (json.dumps(body, indent=2) + "\n").encode())


def read_key(home: Path) -> AttestationKey:
    """Return the attestation key of a node.

    Raises:
        UsageError: It has none, or its file is damaged.
    """
    file = home / FILE
    try:
        body = json.loads(file.read_text(encoding="utf-8"))
        return AttestationKey(
            str(body["handle"]),
            base64.b64decode(body["public"], validate=True),
            base64.b64decode(body["endorsement"], validate=True),
        )
    except FileNotFoundError:
        hint = f"Make one: kifabrik node attest init --home {home}"
        raise UsageError("this node's TPM has no attestation key", hint=hint) from None
    except (ValueError, KeyError, TypeError):
        raise UsageError(f"{file} does not name an attestation key", hint="Remove it and make a new one.") from None
