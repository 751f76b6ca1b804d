"""The recipients datasets are sealed to: made in advance, published, withdrawn when erased.

Invariants:
- every dataset has an identity of its own, made here before anybody can seal to it;
- there are always unused recipients on the list while the keyholder runs, so sealing waits for nobody;
- the recipient of an erased dataset is on no later list.
"""

from typing import Final

from kifabrik.keyholder.cases import Books
from kifabrik.keyholder.outbox import Errand, Outbox
from kifabrik.keyholder.settings import Setting
from kifabrik.keyholder.state import State
from kifabrik.keyholder.vault import dataset_secret
from kifabrik.seals.identities import Identity
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.statements import read_unverified, sign_statement
from kifabrik.tenants.statements import RecipientList
from kifabrik.values import Kind, new_id

POOL: Final = 16
"""Unused dataset recipients on the list."""

_PREFIX: Final = dataset_secret("")


def publish_recipients(state: State, books: Books) -> bool:
    """Fill the pool, and put a new list into the outbox if it differs from the last; whether it did."""
    with state.db.transaction():
        _fill(state, books)
        listed = {one.name.removeprefix(_PREFIX): one.public for one in state.vault.listed(_PREFIX)}
        last = state.settings.find(Setting.RECIPIENTS)
        if last and read_unverified(Envelope.from_json(last), RecipientList)[0].datasets == listed:
            return False
        sequence = state.settings.number(Setting.RECIPIENTS_SEQUENCE) + 1
        said = RecipientList(state.tenant, sequence, listed, state.clock.text())
        envelope = sign_statement(said, {}, state.keyholder_key)
        Outbox(state.db).put(Errand.RECIPIENTS, envelope, None, said.created)
        state.settings.set(Setting.RECIPIENTS, envelope.to_json())
        state.settings.set(Setting.RECIPIENTS_SEQUENCE, sequence)
        return True


def _fill(state: State, books: Books) -> None:
    sealed = books.holdings.sealed()
    names = [one.name.removeprefix(_PREFIX) for one in state.vault.listed(_PREFIX)]
    for _ in range(POOL - len([name for name in names if name not in sealed])):
        identity = Identity.generate()
        name = dataset_secret(new_id(Kind.DATASET))
        state.vault.put_identity(name, identity, created=state.clock.text())
