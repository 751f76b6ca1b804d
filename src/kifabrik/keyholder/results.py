"""Result identities: one for each run, made before the run is known so that backups hold them.

Invariants:
- a run keeps its result identity through all attempts;
- a run whose result identity was destroyed never gets another.
"""

from typing import Final

from kifabrik.keyholder.lineage import Lineage
from kifabrik.keyholder.vault import Vault, result_secret
from kifabrik.seals.identities import Identity

_POOL: Final = 64
"""Runs that may start after a backup and still be opened by a keyholder restored from it."""
_REFILL_BELOW: Final = 32
_PREFIX: Final = "result/"


def result_recipient(run: str, vault: Vault, lineage: Lineage, created: str) -> str:
    """Return the recipient everything of a run is sealed to, taking one from the pool for a new run."""
    bound = lineage.result_recipient(run)
    if bound:
        return bound
    free = lineage.free_recipients(_PREFIX, 1)
    recipient = free[0] if free else _make(vault, created)
    lineage.set_result_recipient(run, recipient)
    return recipient


def fill_results(vault: Vault, lineage: Lineage, created: str) -> int:
    """Fill the pool if it runs low; return how many identities were made."""
    free = len(lineage.free_recipients(_PREFIX, _POOL))
    if free >= _REFILL_BELOW:
        return 0
    for _ in range(_POOL - free):
        _make(vault, created)
    return _POOL - free


def _make(vault: Vault, created: str) -> str:
    identity = Identity.generate()
    vault.put_identity(result_secret(identity.recipient.text), identity, created=created)
    return identity.recipient.text
