import pytest

from kifabrik.customer.results import await_cosigned
from kifabrik.errors import NotFoundError, UnavailableError
from kifabrik.ledger.checkpoint import (
    TreeHead,
    cosign,
    log_origin,
    log_verifier,
    sign_tree_head,
    witness_name,
    witness_verifier,
)
from kifabrik.ledger.policy import Policy
from kifabrik.signatures.keys import SigningKey

TENANT = "t-p6n5ttka3uva4rbkzrapqhsnefaob6bg"
LOG, WITNESS = SigningKey.generate(), SigningKey.generate()
POLICY = Policy.of(log_verifier(TENANT, LOG.public), witness_verifier(TENANT, WITNESS.public))


def cosigned(size):
    origin = log_origin(TENANT)
    signed = sign_tree_head(TreeHead(origin, size, bytes(32)), origin, LOG)
    return cosign(signed, witness_name(TENANT), WITNESS, 1_800_000_000)


def served(*answers):
    """Give one answer after the other, and the last one for ever."""
    left = list(answers)

    def newest():
        answer = left.pop(0) if len(left) > 1 else left[0]
        if answer is None:
            raise NotFoundError("no head is cosigned yet")
        return cosigned(answer)

    return newest


def test_a_proof_waits_until_the_keyholder_has_cosigned_the_entry():
    checkpoint = await_cosigned(served(None, 174, 175, 176), POLICY.accept, 175, pause_s=0)
    assert POLICY.accept(checkpoint).head.size == 176


@pytest.mark.parametrize("answer", [None, 175])
def test_an_entry_that_is_never_cosigned_is_named_and_is_not_the_callers_mistake(answer):
    with pytest.raises(UnavailableError, match="has not cosigned entry 175") as told:
        await_cosigned(served(answer), POLICY.accept, 175, patience_s=0, pause_s=0)
    assert "pull again" in told.value.hint
