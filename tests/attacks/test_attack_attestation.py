"""Nodes that are not what they show: replayed, foreign, exchanged and made-up evidence, with a real TPM."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from attested_nodes import TpmNode, head_of, send, showing
from keyhouse import Attempt, House, Person, Run
from kifabrik.attestation.enrolment import challenge, read_authorities, write_answer
from kifabrik.attestation.evidence import Evidence
from kifabrik.attestation.policy import BootImage
from kifabrik.attestation.tpm_structures import Public
from kifabrik.errors import IntegrityError, RefusedError, UsageError
from kifabrik.keyholder.attestation import next_policy
from kifabrik.keyholder.endorsing import challenge_node, with_image, without_image, without_node
from kifabrik.launcher.tpm import BANK
from kifabrik.leases.attested import binding_of
from kifabrik.leases.statements import RequestingNode
from kifabrik.ledger.checkpoint import TreeHead, cosign, sign_tree_head, witness_name
from kifabrik.ledger.entry import EntryKind
from kifabrik.seals.identities import Identity
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.keys import SigningKey
from kifabrik.signatures.statements import sign_statement
from kifabrik.values import Resources
from swtpm import SoftwareTpm, needs_swtpm, switched_on

pytestmark = needs_swtpm


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoftwareTpm]:
    yield from switched_on(tmp_path_factory.mktemp("tpm"), "one")


@pytest.fixture(scope="module")
def other_machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoftwareTpm]:
    yield from switched_on(tmp_path_factory.mktemp("tpm"), "other")


@pytest.fixture
def node(machine: SoftwareTpm) -> Iterator[TpmNode]:
    made = TpmNode(machine)
    yield made
    made.close()


@dataclass
class Scene:
    """A house with a grant that asks for attested nodes, an enrolled node and an order."""

    house: House
    anna: Person
    data: Envelope
    node: TpmNode
    run: Run

    def attempt(self, number: int = 1, run: Run | None = None) -> Attempt:
        return Attempt(run or self.run, number, node_key=self.node.node_key)

    def refused(self, attempt: Attempt, said) -> str:
        return self.house.refused(send(attempt, said))


@pytest.fixture
def scene(house: House, node: TpmNode) -> Scene:
    anna = house.enrol()
    data = anna.seal({"a": b"x"})
    house.grant(data, attested=True)
    node.enrol(house)
    return Scene(house, anna, data, node, anna.order(data))


def honest(scene: Scene, attempt: Attempt):
    said = attempt.said()
    return showing(said, scene.node.evidence(said, head_of(scene.house)))


def test_an_attested_node_gets_the_keys_and_the_lease_says_what_was_verified(scene: Scene) -> None:
    attempt = scene.attempt()
    request = send(attempt, honest(scene, attempt))
    scene.house.round.work()
    (attested,) = scene.house.lease(request).predicate.attested
    assert attested.node_key == scene.node.node_key.public.hex
    assert (attested.type, attested.state) == ("tpm2-quote/v1", "golden")
    assert attested.key == Public.parse(scene.node.key.public).name.hex()


def test_a_node_that_shows_nothing_gets_nothing(scene: Scene) -> None:
    attempt = scene.attempt()
    assert scene.refused(attempt, attempt.said()) == "not-attested"


@pytest.mark.parametrize(
    "evidence", ["{}", "no JSON", '{"head":"","items":[]}', '{"head": "x", "items": [{"type": "a"}]}']
)
def test_evidence_without_form_attests_nothing(scene: Scene, evidence: str) -> None:
    attempt = scene.attempt()
    assert scene.refused(attempt, showing(attempt.said(), evidence)) == "not-attested"


def test_evidence_of_an_unknown_kind_is_refused_and_not_skipped(scene: Scene) -> None:
    unknown = {"type": "trust-me/v1"}
    for kinds in ("?", "q?", "qq"):
        attempt = scene.attempt()
        said, head = attempt.said(), head_of(scene.house)
        quote = scene.node.quote(said, head)
        evidence = Evidence(head, tuple(quote if kind == "q" else unknown for kind in kinds))
        assert scene.refused(attempt, showing(said, evidence.to_text())) == "not-attested"


def test_a_quote_that_came_with_one_request_serves_no_other(scene: Scene) -> None:
    attempt = scene.attempt()
    said = honest(scene, attempt)
    scene.house.keyholder.freeze()
    assert scene.refused(attempt, said) == "frozen"
    scene.house.keyholder.thaw()
    assert scene.refused(attempt, replace(said, created="2026-01-01T00:00:00Z")) == "stale-quote"
    assert attempt_with_new_quote(scene, attempt)


def test_a_quote_of_an_earlier_attempt_serves_no_later_one(scene: Scene) -> None:
    first = scene.attempt(1)
    said = honest(scene, first)
    send(first, said)
    scene.house.round.work()
    second = scene.attempt(2)
    assert scene.refused(second, showing(second.said(), said.nodes[0].evidence)) == "foreign-quote"


def test_a_quote_made_before_the_order_or_kept_too_long_is_stale(scene: Scene) -> None:
    early = head_of(scene.house)
    later = scene.anna.order(scene.data)
    attempt = scene.attempt(run=later)
    said = attempt.said()
    assert scene.refused(attempt, showing(said, scene.node.evidence(said, early))) == "stale-quote"
    kept = scene.node.evidence(said, head_of(scene.house))
    scene.house.clock.ahead = timedelta(minutes=11)
    assert scene.refused(attempt, showing(said, kept)) == "stale-quote"
    scene.house.clock.ahead = timedelta(minutes=12)
    assert attempt_with_new_quote(scene, attempt)


def attempt_with_new_quote(scene: Scene, attempt: Attempt) -> bool:
    request = send(attempt, honest(scene, attempt))
    scene.house.round.work()
    return bool(scene.house.lease(request).predicate.attested)


def test_only_heads_this_keyholder_cosigned_are_moments(scene: Scene) -> None:
    attempt, factory = scene.attempt(), scene.house.factory
    said = attempt.said()
    head_of(scene.house)
    head = TreeHead.parse(factory.checkpoint().partition("\n\n")[0] + "\n")
    signed = sign_tree_head(head, head.origin, factory.log_key)
    now = int(scene.house.clock().timestamp())
    forged = cosign(signed, witness_name(factory.tenant), SigningKey.generate(), now)
    for note in (signed, forged, "no note"):
        assert scene.refused(attempt, showing(said, scene.node.evidence(said, note))) == "stale-quote"
    foreign = TreeHead("kifabrik.org/log/other", head.size, head.root)
    of_another_log = sign_tree_head(foreign, foreign.origin, factory.log_key)
    note = cosign(of_another_log, witness_name(factory.tenant), scene.house.state.witness_key, now)
    assert scene.refused(attempt, showing(said, scene.node.evidence(said, note))) == "stale-quote"


@pytest.mark.parametrize(
    "changed",
    ["run_key", "recipient", "node_recipient", "items", "environment", "order", "number", "attempt"],
)
def test_a_quote_bound_to_anything_else_of_the_request_is_foreign(scene: Scene, changed: str) -> None:
    attempt = scene.attempt()
    said = attempt.said()
    values = {
        "run_key": SigningKey.generate().public.hex,
        "recipient": Identity.generate().recipient.text,
        "items": (said.items[0], "ab" * 32),
        "environment": "dd" * 32,
        "order": "ab" * 32,
        "number": 2,
        "attempt": "a-aaaaaaaaaaaaaaaa",
    }
    if changed == "node_recipient":
        nodes = (replace(said.nodes[0], recipient=Identity.generate().recipient.text),)
        quoted = replace(said, nodes=nodes)
    else:
        quoted = replace(said, **{changed: values[changed]})
    evidence = scene.node.evidence(quoted, head_of(scene.house))
    assert scene.refused(attempt, showing(said, evidence)) == "foreign-quote"
    assert attempt_with_new_quote(scene, scene.attempt())


def test_the_quote_of_another_tpm_is_foreign(scene: Scene, other_machine: SoftwareTpm) -> None:
    good = TpmNode(other_machine, node_key=scene.node.node_key)
    attempt = scene.attempt()
    said = attempt.said()
    assert scene.refused(attempt, showing(said, good.evidence(said, head_of(scene.house)))) == "foreign-quote"
    good.close()


def test_a_second_key_of_the_same_tpm_and_a_node_that_is_not_listed_are_foreign(scene: Scene) -> None:
    second = TpmNode(scene.node.machine, node_key=scene.node.node_key)
    attempt = scene.attempt()
    said = attempt.said()
    assert scene.refused(attempt, showing(said, second.evidence(said, head_of(scene.house)))) == "foreign-quote"
    second.close()
    stranger = Attempt(scene.run)
    said = stranger.said()
    assert (
        scene.refused(stranger, showing(said, scene.node.evidence(said, head_of(scene.house)))) == "foreign-quote"
    )


def test_a_node_in_another_state_is_refused_until_it_boots_again(scene: Scene) -> None:
    scene.node.machine.extend(16)
    attempt = scene.attempt()
    request = send(attempt, honest(scene, attempt))
    scene.house.round.work()
    assert scene.house.refusal(request).reason == "wrong-pcrs"
    assert "register 16" in scene.house.refusal(request).message
    scene.node.machine.reboot()
    assert attempt_with_new_quote(scene, attempt)


def test_registers_that_were_not_quoted_are_not_believed(scene: Scene) -> None:
    scene.node.machine.extend(16)
    golden = scene.house.keyholder.attestation.in_force()[0].policy.images[0].pcrs
    for lie in ({"pcrs": scene.node.tpm.registers() | dict(golden)}, {"pcrs": {"0": "00" * 32}}):
        attempt = scene.attempt()
        said, head = attempt.said(), head_of(scene.house)
        evidence = Evidence(head, (scene.node.quote(said, head) | lie,))
        assert scene.refused(attempt, showing(said, evidence.to_text())) == "not-attested"
    scene.node.machine.reboot()


def test_a_quote_without_the_register_a_boot_names_is_in_the_wrong_state(scene: Scene) -> None:
    attempt = scene.attempt()
    said, head = attempt.said(), head_of(scene.house)
    binding = binding_of(said, said.nodes[0]).digest(head)
    machine, handle = scene.node.machine, scene.node.key.handle
    out = machine.home / "few"
    words = ["-m", f"{out}.m", "-s", f"{out}.s", "-o", f"{out}.p", "-F", "values", "-g", "sha256"]
    machine.tool("tpm2_quote", "-c", handle, "-l", "sha256:0,7", "-q", binding.hex(), *words)
    registers = scene.node.tpm.registers()
    quote = scene.node.quote(said, head) | {
        "attest": _base64(Path(f"{out}.m")),
        "signature": _base64(Path(f"{out}.s")),
        "pcrs": {"0": registers["0"], "7": registers["7"]},
    }
    assert scene.refused(attempt, showing(said, Evidence(head, (quote,)).to_text())) == "wrong-pcrs"


def test_a_signature_that_was_touched_or_is_over_something_else_is_refused(scene: Scene) -> None:
    for touch in (_flipped, lambda _signature: scene.node.quote(scene.attempt().said(), "x")["signature"]):
        attempt = scene.attempt()
        said, head = attempt.said(), head_of(scene.house)
        quote = scene.node.quote(said, head)
        evidence = Evidence(head, (quote | {"signature": touch(quote["signature"])},))
        assert scene.refused(attempt, showing(said, evidence.to_text())) == "not-attested"


class Unrestricted(TpmNode):
    """A key of a real TPM that signs whatever it is given."""

    attributes = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign"

    def __post_init__(self) -> None:
        super().__post_init__()
        home, run = self.machine.home, self.machine.tool
        self.tpm.forget(self.key.handle)
        run(
            "tpm2_createprimary",
            "-C",
            "e",
            "-c",
            str(home / "p.ctx"),
            "-G",
            "ecc:ecdsa-sha256",
            "-a",
            self.attributes,
        )
        run("tpm2_flushcontext", "-t")
        handle = run("tpm2_evictcontrol", "-C", "o", "-c", str(home / "p.ctx")).split()[1].decode()
        run("tpm2_flushcontext", "-t")
        run("tpm2_readpublic", "-c", handle, "-o", str(home / "p.pub"), "-f", "tpmt")
        self.key = replace(self.key, handle=handle, public=(home / "p.pub").read_bytes())

    def forged(self, said, head: str, registers: dict[str, str]) -> str:
        """Let the unrestricted key sign a quote that no TPM has made."""
        quote = self.quote(said, head)
        raw = base64.b64decode(quote["attest"])
        digest = self.digest_of(registers)
        forged = raw[: -len(digest)] + digest
        home = self.machine.home
        (home / "forged").write_bytes(forged)
        words = ["-g", "sha256", "-s", "ecdsa", "-o", str(home / "forged.s"), str(home / "forged")]
        self.machine.tool("tpm2_sign", "-c", self.key.handle, *words)
        item = quote | {
            "attest": base64.b64encode(forged).decode(),
            "signature": _base64(home / "forged.s"),
            "pcrs": registers,
        }
        return Evidence(head, (item,)).to_text()

    @staticmethod
    def digest_of(registers: dict[str, str]) -> bytes:
        from hashlib import sha256

        return sha256(b"".join(bytes.fromhex(registers[str(n)]) for n in range(24))).digest()


def test_a_key_that_is_not_restricted_is_not_listed_and_its_made_up_quotes_are_not_believed(
    house: House, machine: SoftwareTpm
) -> None:
    liar = Unrestricted(machine)
    with pytest.raises(IntegrityError, match="not restricted"):
        liar.endorsement()
    golden = dict(liar.tpm.registers())
    machine.extend(16)
    anna = house.enrol()
    data = anna.seal({"a": b"x"})
    house.grant(data, attested=True)
    key = Public.parse(liar.key.public)
    _list_blindly(house, liar, key, golden)
    attempt = Attempt(anna.order(data), node_key=liar.node_key)
    said, head = attempt.said(), head_of(house)
    evidence = liar.forged(said, head, golden)
    assert house.refused(send(attempt, showing(said, evidence))) == "not-attested"
    liar.close()
    machine.reboot()


def _list_blindly(house: House, node: TpmNode, key: Public, golden: dict[str, str]) -> None:
    """Be a steward who lists a key without looking at it."""
    from kifabrik.attestation.policy import EndorsedNode
    from kifabrik.attestation.tpm_structures import qualified_name

    name = qualified_name(0x4000000B.to_bytes(4, "big"), key)
    listed = EndorsedNode(node.node_key.public.hex, node.name, key.name.hex(), name.hex(), "ab" * 32)
    image = BootImage("golden", BANK, {one: golden[one] for one in ("0", "16")})
    house.steward.set_attestation(lambda before: replace(before, nodes=(listed,), images=(image,)))
    house.round.work()


def test_what_a_tpm_did_not_generate_is_refused_even_under_a_right_signature(
    house: House, machine: SoftwareTpm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the check of attributes away, only the magic stands between a signing oracle and a quote."""
    liar = Unrestricted(machine)
    golden = dict(liar.tpm.registers())
    anna = house.enrol()
    data = anna.seal({"a": b"x"})
    house.grant(data, attested=True)
    _list_blindly(house, liar, Public.parse(liar.key.public), golden)
    monkeypatch.setattr("kifabrik.attestation.tpm_quote.check_attestation_key", lambda _key: None)
    attempt = Attempt(anna.order(data), node_key=liar.node_key)
    said, head = attempt.said(), head_of(house)
    assert "attest" in liar.forged(said, head, golden)
    quote = json.loads(liar.forged(said, head, golden))["items"][0]
    raw = b"\0" + base64.b64decode(quote["attest"])[1:]
    home = machine.home
    (home / "magic").write_bytes(raw)
    machine.tool(
        "tpm2_sign",
        "-c",
        liar.key.handle,
        "-g",
        "sha256",
        "-s",
        "ecdsa",
        "-o",
        str(home / "magic.s"),
        str(home / "magic"),
    )
    wrong = quote | {"attest": base64.b64encode(raw).decode(), "signature": _base64(home / "magic.s")}
    assert house.refused(send(attempt, showing(said, Evidence(head, (wrong,)).to_text()))) == "not-attested"
    liar.close()


def test_a_policy_that_only_the_factory_made_counts_for_nothing_and_stops_what_counted(scene: Scene) -> None:
    factory = scene.house.factory
    said = next_policy(scene.house.keyholder.attestation.newest(), factory.tenant, scene.house.now())
    forged = sign_statement(replace(said, sequence=99), {}, SigningKey.generate())
    factory.put(EntryKind.ATTESTATION_SET, forged, statement=forged.digest, sequence=99)
    attempt = scene.attempt()
    assert scene.refused(attempt, honest(scene, attempt)) == "not-attested"
    scene.house.steward.set_attestation(lambda said: said)
    assert attempt_with_new_quote(scene, attempt)


def test_an_old_policy_that_is_entered_again_does_not_come_back(scene: Scene) -> None:
    factory = scene.house.factory
    old = scene.house.keyholder.attestation.newest()
    scene.house.steward.set_attestation(lambda said: without_node(said, scene.node.name))
    scene.house.round.work()
    factory.append(EntryKind.ATTESTATION_SET, statement=old.digest, sequence=old.policy.sequence)
    attempt = scene.attempt()
    assert scene.refused(attempt, honest(scene, attempt)) == "foreign-quote"


def test_what_a_steward_takes_away_is_gone_although_the_factory_does_not_enter_it(scene: Scene) -> None:
    scene.house.factory.away = True
    scene.house.steward.set_attestation(lambda said: without_image(said, "golden"))
    scene.house.factory.away = False
    scene.house.factory.set_attestation = _refuse  # type: ignore[method-assign]
    attempt = scene.attempt()
    assert scene.refused(attempt, honest(scene, attempt)) == "wrong-pcrs"


def _refuse(_envelope: Envelope) -> None:
    raise RefusedError("not today")


def test_what_a_steward_adds_counts_only_once_it_stands_in_the_log(scene: Scene) -> None:
    scene.node.machine.extend(16)
    values = scene.node.tpm.registers()
    image = BootImage("newer", BANK, {"16": values["16"]})
    scene.house.factory.set_attestation = _refuse  # type: ignore[method-assign]
    scene.house.steward.set_attestation(lambda said: with_image(said, image))
    attempt = scene.attempt()
    assert scene.refused(attempt, honest(scene, attempt)) == "wrong-pcrs"
    del scene.house.factory.set_attestation
    scene.house.round.work()
    assert attempt_with_new_quote(scene, attempt)
    scene.node.machine.reboot()


def test_a_request_may_wait_for_a_person_longer_than_a_quote_is_fresh(scene: Scene) -> None:
    house = scene.house
    run = scene.anna.order(scene.data, ask=True)
    attempt = scene.attempt(run=run)
    request = send(attempt, honest(scene, attempt))
    house.round.work()
    assert request in house.factory.asked
    house.clock.ahead = timedelta(hours=2)
    house.restart()
    house.keyholder.approve(request)
    house.round.work()
    assert house.lease(request).predicate.attested


def test_keys_stay_here_when_their_node_is_unlisted_between_decision_and_delivery(scene: Scene) -> None:
    attempt, factory = scene.attempt(), scene.house.factory
    said = honest(scene, attempt)

    def unlist_now(_decision: Envelope) -> bool:
        factory.append_decision = lambda _decision: True
        scene.house.steward.set_attestation(lambda before: without_node(before, scene.node.name))
        return True

    factory.append_decision = unlist_now
    request = send(attempt, said)
    scene.house.round.work()
    assert request in factory.decisions
    assert request not in factory.headers


def test_a_node_of_several_without_evidence_of_its_own_is_enough_to_refuse(
    scene: Scene, other_machine: SoftwareTpm
) -> None:
    second = TpmNode(other_machine, name="n2")
    second.enrol(scene.house)
    run = scene.anna.order(scene.data, resources=Resources(nodes=2))
    for lies in (True, False):
        attempt = scene.attempt(run=run)
        said = attempt.said()
        other = RequestingNode(second.node_key.public.hex, Identity.generate().recipient.text)
        said = replace(said, nodes=(said.nodes[0], other))
        head = head_of(scene.house)
        first = scene.node.evidence(said, head)
        binding = binding_of(said, other).digest(head)
        own = Evidence(head, (dict(second.tpm.quote(second.key.handle, binding)),)).to_text()
        nodes = (replace(said.nodes[0], evidence=first), replace(other, evidence=first if lies else own))
        said = replace(said, nodes=nodes)
        envelope = sign_statement(said, {}, attempt.run_key, attempt.node_key, second.node_key)
        request = scene.house.request(envelope, ())
        scene.house.round.work()
        if lies:
            assert scene.house.refusal(request).reason == "foreign-quote"
    assert len(scene.house.lease(request).predicate.attested) == 2
    second.close()


def test_freshness_and_single_use_survive_a_restart(scene: Scene) -> None:
    attempt = scene.attempt()
    said = honest(scene, attempt)
    scene.house.restart()
    request = send(attempt, said)
    scene.house.round.work()
    assert scene.house.lease(request).predicate.attested
    scene.house.restart()
    again = showing(replace(attempt.said(), number=2, attempt=attempt.attempt), said.nodes[0].evidence)
    assert scene.refused(attempt, again) in {"foreign-quote", "replayed"}


def test_an_answer_by_another_tpm_or_to_an_older_challenge_lists_nobody(
    house: House, node: TpmNode, other_machine: SoftwareTpm
) -> None:
    new, liar = node.endorsement(), TpmNode(other_machine)
    roots = read_authorities(node.machine.roots.read_bytes())
    text, _ = challenge(new), challenge_node(house.state, new)
    with pytest.raises(Exception, match="tpm2_activatecredential failed"):
        liar.tpm.answer(liar.key, base64.b64decode(json.loads(challenge_node(house.state, new))["credential"]))
    guess = write_answer(new.key.name.hex(), b"x" * 32)
    older = write_answer(new.key.name.hex(), text[1])
    for answer in (guess, older):
        with pytest.raises(RefusedError, match="has not answered"):
            house.steward.check_answer(new, answer, authorities=roots)
    liar.close()


def test_an_endorsement_key_nobody_certified_or_compared_lists_nobody(
    house: House, node: TpmNode, other_machine: SoftwareTpm
) -> None:
    new = node.endorsement()
    text = challenge_node(house.state, new)
    answer = write_answer(
        new.key.name.hex(), node.tpm.answer(node.key, base64.b64decode(json.loads(text)["credential"]))
    )
    strangers = read_authorities(other_machine.roots.read_bytes())
    with pytest.raises(IntegrityError, match="none of the listed authorities"):
        house.steward.check_answer(new, answer, authorities=strangers)
    with pytest.raises(IntegrityError, match="no certificate"):
        house.steward.check_answer(node.endorsement(certificate=""), answer, authorities=strangers)
    with pytest.raises(RefusedError, match="another endorsement key"):
        house.steward.check_answer(new, answer, compared="ab" * 32)
    with pytest.raises(UsageError, match="how is the endorsement key known"):
        house.steward.check_answer(new, answer)
    assert house.steward.check_answer(new, answer, compared=new.endorsement_digest) == new.endorsed
    with pytest.raises(RefusedError, match="has not answered"):
        house.steward.check_answer(new, answer, compared=new.endorsement_digest)


def test_an_endorsement_with_anothers_certificate_is_refused(node: TpmNode, other_machine: SoftwareTpm) -> None:
    liar = TpmNode(other_machine)
    certificate = base64.b64encode(liar.tpm.endorsement_certificate()).decode()
    with pytest.raises(IntegrityError, match="of another endorsement key"):
        node.endorsement(certificate=certificate)
    liar.close()


def _base64(file: Path) -> str:
    return base64.b64encode(file.read_bytes()).decode()


def _flipped(text: str) -> str:
    raw = bytearray(base64.b64decode(text))
    raw[-1] ^= 1
    return base64.b64encode(bytes(raw)).decode()
