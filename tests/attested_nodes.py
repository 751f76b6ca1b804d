"""Nodes with real software TPMs in front of a keyholder's house: enrolled, quoting, lying."""

import base64
from dataclasses import dataclass, field, replace

from keyhouse import Attempt, House
from kifabrik.attestation.enrolment import Endorsement, NewNode, read_authorities, read_endorsement, write_answer
from kifabrik.attestation.evidence import Evidence
from kifabrik.attestation.policy import BootImage
from kifabrik.keyholder.endorsing import challenge_node, with_image, with_node
from kifabrik.launcher.tpm import BANK, AttestationKey, Tpm
from kifabrik.leases.attested import binding_of
from kifabrik.leases.statements import AttemptRequest
from kifabrik.signatures.keys import SigningKey
from kifabrik.signatures.statements import sign_statement
from swtpm import SoftwareTpm

REGISTERS = ("0", "7", "16")


@dataclass
class TpmNode:
    """A node with a TPM and an attestation key.

    Args:
        machine: The TPM.
        name: Of the node.
    """

    machine: SoftwareTpm
    name: str = "n1"
    node_key: SigningKey = field(default_factory=SigningKey.generate)

    def __post_init__(self) -> None:
        self.tpm = Tpm(self.machine.connection)
        self.key: AttestationKey = self.tpm.make_key()

    def close(self) -> None:
        """Remove the key: a TPM holds a few only."""
        self.tpm.forget(self.key.handle)

    def endorsement(self, **changes) -> NewNode:
        """What the node says of its TPM."""
        said = Endorsement(
            node_key=self.node_key.public.hex,
            name=self.name,
            key=base64.b64encode(self.key.public).decode(),
            endorsement=base64.b64encode(self.key.endorsement).decode(),
            certificate=base64.b64encode(self.tpm.endorsement_certificate()).decode(),
            bank=BANK,
            pcrs=dict(self.tpm.registers()),
            created="2026-11-29T00:00:00Z",
        )
        return read_endorsement(sign_statement(replace(said, **changes), {}, self.node_key).to_json())

    def enrol(self, house: House, *registers: str) -> None:
        """Go through the ceremony with a house's steward, and have the present registers accepted."""
        new = self.endorsement()
        challenge = base64.b64decode(_field(challenge_node(house.state, new), "credential"))
        answer = write_answer(new.key.name.hex(), self.tpm.answer(self.key, challenge))
        authorities = read_authorities(self.machine.roots.read_bytes())
        listed = house.steward.check_answer(new, answer, authorities=authorities)
        image = BootImage("golden", BANK, {one: new.said.pcrs[one] for one in registers or REGISTERS})
        house.steward.set_attestation(lambda before: with_image(with_node(before, listed), image))
        house.round.work()

    def evidence(self, said: AttemptRequest, head: str) -> str:
        """Quote for a request as it stands."""
        return Evidence(head, (self.quote(said, head),)).to_text()

    def quote(self, said: AttemptRequest, head: str):
        """One item of evidence."""
        return dict(self.tpm.quote(self.key.handle, binding_of(said, said.nodes[0]).digest(head)))


def showing(said: AttemptRequest, evidence: str) -> AttemptRequest:
    """The request with evidence for its first node."""
    return replace(said, nodes=(replace(said.nodes[0], evidence=evidence), *said.nodes[1:]))


def send(attempt: Attempt, said: AttemptRequest) -> str:
    """Sign a request with the attempt's own keys and put it on record; return its digest."""
    envelope = sign_statement(said, {"order": said.order}, attempt.run_key, attempt.node_key)
    return attempt.run.house.request(envelope, ())


def head_of(house: House) -> str:
    """The newest tree head the keyholder has cosigned, once it has seen everything there is."""
    house.round.work()
    return house.factory.cosigned[-1]


def _field(text: str, name: str) -> str:
    import json

    return json.loads(text)[name]
