"""Putting a node's TPM on the tenant's list, step by step.

Invariants:
- who is listed has answered a challenge of this keyholder, once, and its endorsement key is known;
- the list is a statement of the tenant key; nothing here changes it without a steward.
"""

from collections.abc import Sequence
from dataclasses import replace

from cryptography import x509

from kifabrik.attestation.enrolment import NewNode, certified, challenge, read_answer
from kifabrik.attestation.policy import AttestationPolicy, BootImage, EndorsedNode
from kifabrik.errors import NotFoundError, RefusedError, UsageError
from kifabrik.keyholder.attestation import Attestations
from kifabrik.keyholder.state import State


def challenge_node(state: State, node: NewNode) -> str:
    """Return the challenge file for a node; an earlier challenge of its key is void."""
    text, secret = challenge(node)
    Attestations(state.db).challenged(node.key.name.hex(), secret, state.clock.text())
    return text


def check_answer(
    state: State, node: NewNode, answer: str, *, authorities: Sequence[x509.Certificate] = (), compared: str = ""
) -> EndorsedNode:
    """Check everything about a node, and return what a policy lists.

    Args:
        state: The keyholder's folder.
        node: Its endorsement, checked.
        answer: Its answer file.
        authorities: Manufacturers that are trusted to certify endorsement keys.
        compared: SHA-256 of the endorsement key as a person has learnt it by other means.

    Raises:
        RefusedError: The answer is wrong or too old, or the endorsement key is another than was compared.
        UsageError: Neither authorities nor a digest is given.
        IntegrityError: The answer is none, or no authority has certified the endorsement key.
    """
    if compared and compared.lower() != node.endorsement_digest:
        raise RefusedError("the node has another endorsement key than the one that was compared")
    if not compared:
        if not authorities:
            raise UsageError(
                "how is the endorsement key known to be that of a real TPM?",
                hint="Give the manufacturer's certificates with --ek-roots, or the digest you compared with --ek.",
            )
        certified(node, authorities, state.clock.now())
    key, secret = read_answer(answer)
    if key != node.key.name.hex() or not Attestations(state.db).answered(key, secret):
        raise RefusedError(
            "the node's TPM has not answered the challenge made for this key",
            hint="Make a new challenge: kifabrik keyholder attestation challenge",
        )
    return node.endorsed


def with_node(policy: AttestationPolicy, node: EndorsedNode) -> AttestationPolicy:
    """List a node; an earlier line about the same node key, attestation key or name is replaced.

    A chip that was listed for the node key stays.
    """
    before = policy.node(node.node_key)
    listed = replace(node, chip=before.chip) if before else node
    others = [
        one
        for one in policy.nodes
        if one.node_key != node.node_key and one.key != node.key and one.name != node.name
    ]
    return replace(policy, nodes=(*others, listed))


def without_node(policy: AttestationPolicy, text: str) -> AttestationPolicy:
    """Take a node off the list, by name or by node key.

    Raises:
        NotFoundError: There is none.
    """
    left = tuple(one for one in policy.nodes if text not in (one.name, one.node_key))
    if len(left) == len(policy.nodes):
        raise NotFoundError(f"no node {text!r} is listed", hint="See: kifabrik keyholder attestation show")
    return replace(policy, nodes=left)


def with_image(policy: AttestationPolicy, image: BootImage) -> AttestationPolicy:
    """Accept a boot image; an earlier one of this name is replaced."""
    others = [one for one in policy.images if one.name != image.name]
    return replace(policy, images=(*others, image))


def without_image(policy: AttestationPolicy, name: str) -> AttestationPolicy:
    """Accept a boot image no longer.

    Raises:
        NotFoundError: There is none of this name.
    """
    left = tuple(one for one in policy.images if one.name != name)
    if len(left) == len(policy.images):
        raise NotFoundError(f"no boot image {name!r} is accepted", hint="See: kifabrik keyholder attestation show")
    return replace(policy, images=left)
