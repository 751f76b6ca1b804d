"""The factory writes the log's entries and knows the catalogue recipient: it tries to move names and versions."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from keyhouse import Attempt, House, Person
from kifabrik.customer.catalogue import Catalogue
from kifabrik.customer.named import DatasetName
from kifabrik.customer.proof import prove_output, prove_run
from kifabrik.datasets.manifest import Manifest, sign_manifest
from kifabrik.errors import IntegrityError, NotFoundError
from kifabrik.grants.statements import Erasure
from kifabrik.ledger.checkpoint import TreeHead, log_origin
from kifabrik.ledger.entry import Entry, EntryKind, new_entry_id
from kifabrik.ledger.merkle import leaf_hash, root_of
from kifabrik.ledger.mirror import Mirror
from kifabrik.seals.identities import Identity
from kifabrik.seals.recipients import Recipient
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.keys import SigningKey
from kifabrik.signatures.statements import read_unverified, sign_statement
from kifabrik.tenants.statements import Role
from kifabrik.transfer.details import Names, make_detail
from kifabrik.wire.body import Detail

NAME = "press-line-7"


class View:
    """A member's machine that looks at the simulated factory."""

    def __init__(self, house: House, person: Person, folder: Path) -> None:
        self.house, self.person, self.folder = house, person, folder
        self.details: dict[str, bytes] = {}

    def detail(self, sha256: str) -> bytes:
        """What the factory answers for a sealed detail."""
        return self.details[sha256]

    def names(self, envelope: Envelope, about: str, said: dict, key: SigningKey | None = None) -> Detail:
        """Sign and seal names, as this member or with another key."""
        recipient = Recipient.from_text(self.house.state.statement.catalogue_recipient)
        return make_detail(Names(envelope.digest, about, said), recipient, key or self.person.key)

    def entry(self, kind: EntryKind, refs: dict, detail: Detail | None = None) -> None:
        """Append an entry, as only the factory can."""
        if detail is not None:
            self.details[detail.sha256] = detail.sealed
        entry = Entry(kind, self.house.now(), new_entry_id(), refs, detail.sha256 if detail else "")
        self.house.factory.entries.append(entry.to_bytes())

    def seal(self, name: str, text: bytes) -> Envelope:
        """Seal a dataset under a name."""
        dataset = self.house.unused_dataset()
        envelope = self.person.sealed({"a": text}, dataset, self.house.recipients()[dataset])
        self.house.factory.statements[envelope.digest] = envelope
        self.entry(*sealed_entry(envelope), self.names(envelope, dataset, {"name": name}))
        return envelope

    def catalogue(self) -> Catalogue:
        """The names of the log as it stands."""
        mirror = Mirror(log_origin(self.house.factory.tenant))
        entries = self.house.factory.entries
        mirror.extend(entries, TreeHead(mirror.origin, len(entries), root_of(map(leaf_hash, entries))))
        return Catalogue(
            mirror,
            self,
            Identity.from_text(self.person.invitation.catalogue_identity),
            self.folder,
            tenant_key=self.house.state.tenant_key,
            statement=self.house.factory.statement,
        )

    @property
    def session(self):
        """As much of a session as a proof needs."""
        return SimpleNamespace(
            tenant=self.house.factory.tenant,
            keyholder_key=self.house.keyholder_key,
            datasets=SimpleNamespace(statement=self.house.factory.statement),
        )

    def trained(self, name: str) -> Attempt:
        """Order a run under a job name and be its launcher, up to the lease."""
        run = self.person.order()
        entries = self.house.factory.entries
        told = Entry.from_bytes(entries.pop())
        detail = self.names(run.order, run.id, {"name": name, "outputs": ["model"]})
        self.details[detail.sha256] = detail.sealed
        entries.append(replace(told, detail=detail.sha256).to_bytes())
        self.house.round.work()
        return run.attempt().obtain()


def sealed_entry(envelope: Envelope) -> tuple[EntryKind, dict]:
    """What an entry about a manifest says."""
    said = read_unverified(envelope, Manifest)[0]
    return EntryKind.DATASET_SEALED, {"dataset": said.owner, "manifest": envelope.digest, "version": said.version}


@pytest.fixture
def view(house: House, tmp_path: Path) -> View:
    """Anna's machine."""
    person = house.enrol(Role.ENGINEER)
    folder = tmp_path / "details"
    folder.mkdir()
    return View(house, person, folder)


def test_a_name_the_factory_seals_itself_counts_for_nothing(view: View) -> None:
    own = view.seal(NAME, b"ours")
    other = read_unverified(view.seal("scrap", b"bad"), Manifest)[0].owner
    stranger = SigningKey.generate()
    recipient = view.house.recipients()[view.house.unused_dataset()]
    forged = sign_manifest(view.house.sealed({"a": b"poison"}, view.house.unused_dataset(), recipient), stranger)
    view.house.factory.statements[forged.digest] = forged
    kind, refs = sealed_entry(forged)
    view.entry(kind, refs, view.names(forged, refs["dataset"], {"name": NAME}, stranger))
    refs = {"dataset": other, "manifest": forged.digest}
    view.entry(kind, refs, view.names(forged, other, {"name": NAME}, stranger))
    found = view.catalogue().dataset(NAME)
    assert found.manifests == (own.digest,)
    assert found.dataset == read_unverified(own, Manifest)[0].owner


def test_an_auditor_and_the_factory_give_no_dataset_another_name(view: View) -> None:
    """Auditors seal nothing, so no name is theirs to give."""
    ada = view.house.enrol(Role.AUDITOR, "Ada")
    dataset = view.house.unused_dataset()
    envelope = view.person.sealed({"a": b"secret"}, dataset, view.house.recipients()[dataset])
    view.house.factory.statements[envelope.digest] = envelope
    view.entry(*sealed_entry(envelope), view.names(envelope, dataset, {"name": "harmless"}, ada.key))
    assert [one.name for one in view.catalogue().datasets()] == [dataset]


@pytest.mark.parametrize(
    "name",
    [f"{NAME}\u200b", "press-line-\u0437", f"\u202e{NAME}", f"{NAME} ", f"{NAME}\n", "a" * 65, "", 7, [NAME]],
    ids=["invisible", "Cyrillic", "turned round", "a space", "a line", "long", "none", "a number", "a list"],
)
def test_a_name_that_only_looks_like_one_counts_for_nothing(view: View, name) -> None:
    """A colleague may sign any text as a name; what is shown is the id."""
    own = read_unverified(view.seal(NAME, b"ours"), Manifest)[0].owner
    other = read_unverified(view.seal(name, b"bad"), Manifest)[0].owner
    assert [(one.name, one.dataset) for one in view.catalogue().datasets()] == [(NAME, own), (other, other)]


def test_nothing_is_called_by_the_id_of_something_else(view: View) -> None:
    """A colleague seals a dataset under the id of another as its name; whoever uses the id means the other one."""
    own = read_unverified(view.seal(NAME, b"ours"), Manifest)[0].owner
    view.seal(own, b"bad")
    catalogue = view.catalogue()
    assert catalogue.dataset(own).name == NAME
    first = view.trained(NAME).run.id
    second = view.trained(first).run.id
    assert [run.run for run in view.catalogue().runs()] == [first, second]
    assert view.catalogue().run(first).run == first


def test_nobody_takes_the_name_of_a_dataset_that_is_there(view: View) -> None:
    """A colleague's own program seals another one under the name; who grants or erases by it means the first."""
    own = read_unverified(view.seal(NAME, b"ours"), Manifest)[0].owner
    otto = View(view.house, view.house.enrol(Role.ENGINEER, "Otto"), view.folder)
    otto.details = view.details
    other = read_unverified(otto.seal(NAME, b"bad"), Manifest)[0].owner
    catalogue = view.catalogue()
    assert catalogue.dataset(NAME).dataset == own
    assert [(one.name, one.dataset) for one in catalogue.datasets()] == [(NAME, own), (other, other)]


def test_a_later_version_gives_its_dataset_no_other_name(view: View) -> None:
    """Nor can he call the first one something else, to be the first of its name himself."""
    first = view.seal(NAME, b"ours")
    own = read_unverified(first, Manifest)[0].owner
    otto = View(view.house, view.house.enrol(Role.ENGINEER, "Otto"), view.folder)
    otto.details = view.details
    second = otto.person.sealed({"a": b"more"}, own, view.house.recipients()[own], first)
    view.house.factory.statements[second.digest] = second
    view.entry(*sealed_entry(second), otto.names(second, own, {"name": "scrap"}))
    otto.seal(NAME, b"bad")
    assert view.catalogue().dataset(NAME) == DatasetName(NAME, own, (first.digest, second.digest), erased=False)


def test_the_name_of_an_erased_dataset_is_free_again(view: View) -> None:
    own = read_unverified(view.seal(NAME, b"ours"), Manifest)[0].owner
    view.house.round.work()
    view.house.steward.erase(own)
    second = read_unverified(view.seal(NAME, b"again"), Manifest)[0].owner
    assert view.catalogue().dataset(NAME).dataset == second


@pytest.mark.parametrize("outputs", [["model\u200b"], "model", [["model"]], [7]])
def test_outputs_that_are_not_called_by_names_have_none(view: View, outputs) -> None:
    run = view.person.order()
    told = Entry.from_bytes(view.house.factory.entries.pop())
    detail = view.names(run.order, run.id, {"name": NAME, "outputs": outputs})
    view.details[detail.sha256] = detail.sealed
    view.house.factory.entries.append(replace(told, detail=detail.sha256).to_bytes())
    assert [(one.name, one.outputs) for one in view.catalogue().runs()] == [(run.id, ())]


def test_a_signed_name_cannot_be_moved_to_another_dataset(view: View) -> None:
    own, other = view.seal(NAME, b"ours"), view.seal("scrap", b"bad")
    signed = Entry.from_bytes(view.house.factory.entries[-2]).detail
    victim = read_unverified(other, Manifest)[0].owner
    for refs in (
        {"dataset": victim, "manifest": own.digest},
        {"dataset": victim, "manifest": "ab" * 32, "more": own.digest},
    ):
        entry = Entry(EntryKind.DATASET_SEALED, view.house.now(), new_entry_id(), refs, signed)
        view.house.factory.entries.append(entry.to_bytes())
    catalogue = view.catalogue()
    assert catalogue.dataset(NAME).manifests == (own.digest,)
    assert catalogue.dataset("scrap").dataset == victim


def test_a_version_nobody_of_the_tenant_signed_is_refused(view: View) -> None:
    own = view.seal(NAME, b"ours")
    dataset = read_unverified(own, Manifest)[0].owner
    said = view.house.sealed({"a": b"poison"}, dataset, view.house.recipients()[dataset], own)
    forged = sign_manifest(said, SigningKey.generate())
    view.house.factory.statements[forged.digest] = forged
    view.entry(*sealed_entry(forged))
    catalogue = view.catalogue()
    found = catalogue.dataset(NAME)
    assert catalogue.version(found, 1) == read_unverified(own, Manifest)[0]
    with pytest.raises(IntegrityError, match="not signed"):
        catalogue.version(found, 2)


def test_a_dataset_vanishes_only_by_the_tenants_own_erasure(view: View) -> None:
    own = view.seal(NAME, b"ours")
    dataset = read_unverified(own, Manifest)[0].owner
    forged = sign_statement(
        Erasure(view.house.factory.tenant, dataset, False, view.house.now()), {}, view.person.key
    )
    view.house.factory.statements[forged.digest] = forged
    view.entry(EntryKind.ERASURE_DECIDED, {"dataset": dataset, "statement": forged.digest})
    view.entry(EntryKind.DATASET_ERASED, {"dataset": dataset, "statement": "ab" * 32})
    assert view.catalogue().dataset(NAME).manifests == (own.digest,)
    view.house.steward.erase(dataset)
    with pytest.raises(NotFoundError, match="was erased"):
        view.catalogue().dataset(NAME)


def test_a_version_of_another_dataset_is_refused(view: View) -> None:
    own, other = view.seal(NAME, b"ours"), view.seal("scrap", b"bad")
    dataset = read_unverified(own, Manifest)[0].owner
    view.entry(EntryKind.DATASET_SEALED, {"dataset": dataset, "manifest": other.digest})
    catalogue = view.catalogue()
    with pytest.raises(IntegrityError, match="something else as version 2"):
        catalogue.version(catalogue.dataset(NAME), 2)
    with pytest.raises(NotFoundError):
        catalogue.version(catalogue.dataset(NAME), 3)


def test_entries_that_are_repeated_change_no_version_number(view: View) -> None:
    made = []
    for weights in (b"first", b"second"):
        attempt = view.trained("press-anomaly")
        made.append(attempt.output({"model.bin": weights}))
        attempt.finish(made[-1])
    before = [(one.version, one.manifest) for one in view.catalogue().models()]
    assert before == [(1, made[0].digest), (2, made[1].digest)]
    for kind in (EntryKind.RUN_ORDERED, EntryKind.RUN_FINISHED):
        first = next(one for one in map(Entry.from_bytes, view.house.factory.entries) if one.kind is kind)
        view.house.factory.entries.append(replace(first, id=new_entry_id()).to_bytes())
    assert [(one.version, one.manifest) for one in view.catalogue().models()] == before


def test_an_output_the_run_never_made_is_refused(view: View) -> None:
    attempt = view.trained("press-anomaly")
    real = attempt.output({"model.bin": b"weights"})
    poison = view.seal("scrap", b"poison")
    refs = {"run": attempt.run.id, "outputs": (poison.digest,)}
    attempt.finish(real)
    last = Entry.from_bytes(view.house.factory.entries.pop())
    view.entry(EntryKind.RUN_FINISHED, refs | {"finish": last.refs["finish"]})
    catalogue = view.catalogue()
    model = catalogue.model("press-anomaly")
    assert model.manifest == poison.digest
    with pytest.raises(IntegrityError, match="the log names another"):
        prove_output(view.session, catalogue, model)


def test_a_chain_does_not_hold_on_another_log_than_the_keyholder_saw(view: View) -> None:
    attempt = view.trained("press-anomaly")
    attempt.finish(attempt.output({"model.bin": b"weights"}))
    assert prove_run(view.session, view.catalogue(), attempt.run.id).outputs
    entries = view.house.factory.entries
    # The member is shown a log of its own from the beginning: another entry stands before the lease.
    entries[0] = replace(Entry.from_bytes(entries[0]), id=new_entry_id()).to_bytes()
    with pytest.raises(IntegrityError, match="saw another log"):
        prove_run(view.session, view.catalogue(), attempt.run.id)
