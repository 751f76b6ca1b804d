"""All evidence of one node, against the tenant's policy and one moment."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from kifabrik.attestation.binding import Binding
from kifabrik.attestation.evidence import Doubt, Evidence, EvidenceError, Expected, Facts, Verifier
from kifabrik.attestation.policy import SNP_REPORT, TPM_QUOTE, AttestationPolicy
from kifabrik.attestation.snp import SnpReports
from kifabrik.attestation.tpm_quote import TpmQuotes
from kifabrik.errors import IntegrityError, UsageError
from kifabrik.ledger.checkpoint import TreeHead, verify_cosignature
from kifabrik.ledger.notes import Note, NoteVerifier

FRESH: Final = timedelta(minutes=10)
"""From the keyholder's cosignature to the moment it learns of a request whose quote was made over it."""

_LATEST: Final = 253_402_300_799
"""The last second of the year 9999."""

VERIFIERS: Final[Mapping[str, Verifier]] = {TPM_QUOTE: TpmQuotes(), SNP_REPORT: SnpReports()}
"""Who checks which kind. Evidence of GPUs enters here too."""


@dataclass(frozen=True)
class Moment:
    """What the head that evidence was made over must be.

    Args:
        log: Verifier of the tenant's log.
        witness: Verifier of the keyholder's cosignatures.
        after: Index of an entry the tree must hold: that of the order.
        before: Index of an entry the tree cannot hold yet: that of the request.
        seen: When the keyholder first saw the request; None to leave the age of the head alone.
    """

    log: NoteVerifier
    witness: NoteVerifier
    after: int
    before: int
    seen: datetime | None


@dataclass(frozen=True)
class AttestedState:
    """What a node has proven.

    Args:
        facts: One for each kind of evidence, in its order.
        cosigned: POSIX time of the head the evidence was made over.
        binding: What the hardware has signed, hex; no two requests share one.
    """

    facts: tuple[Facts, ...]
    cosigned: int
    binding: str


def verify_node(text: str, binding: Binding, policy: AttestationPolicy, moment: Moment) -> AttestedState:
    """Verify everything a node shows.

    Args:
        text: The evidence, as the request holds it.
        binding: Made from the request, never from the evidence.
        policy: Verified.
        moment: What is known about the log.

    Raises:
        EvidenceError: It is not believed; `doubt` says why in a word.
    """
    evidence = Evidence.from_text(text)
    cosigned = _moment_of(evidence.head, moment)
    when = datetime.fromtimestamp(cosigned, UTC)
    expected = Expected(binding.node_key, binding.digest(evidence.head), policy, when)
    kinds = [str(item["type"]) for item in evidence.items]
    unknown = [kind for kind in kinds if kind not in VERIFIERS]
    if unknown or len(set(kinds)) != len(kinds):
        raise EvidenceError(
            Doubt.NOT_ATTESTED, "The node shows a kind of evidence twice, or one nobody here can check."
        )
    if not set(policy.require) <= set(kinds):
        raise EvidenceError(Doubt.NOT_ATTESTED, "The node does not show every kind of evidence that is asked for.")
    with _believed_or_doubted():
        facts = tuple(
            VERIFIERS[kind].verify(item, expected) for kind, item in zip(kinds, evidence.items, strict=True)
        )
    return AttestedState(facts, cosigned, expected.binding.hex())


def _moment_of(head: str, moment: Moment) -> int:
    """Return when the keyholder cosigned the head evidence was made over.

    Raises:
        EvidenceError: It did not, or not at the right time.
    """
    stale = EvidenceError(Doubt.STALE, "The node's quote is not fresh: it must be made over a newer tree head.")
    try:
        note = Note.parse(head)
        note.verify((moment.log,))
        cosigned = verify_cosignature(head, moment.witness)
        size = TreeHead.parse(note.text).size
    except (IntegrityError, UsageError):
        sentence = "The node's quote was not made over a tree head that this keyholder has cosigned."
        raise EvidenceError(Doubt.STALE, sentence) from None
    if not moment.after < size <= moment.before or cosigned > _LATEST:
        raise stale
    if moment.seen is not None and not 0 <= moment.seen.timestamp() - cosigned <= FRESH.total_seconds():
        raise stale
    return cosigned


@contextmanager
def _believed_or_doubted() -> Iterator[None]:
    """Whatever cannot be read attests nothing."""
    try:
        yield
    except EvidenceError:
        raise
    except IntegrityError as error:
        sentence = f"The node's evidence does not verify: {error.message}."
        raise EvidenceError(Doubt.NOT_ATTESTED, sentence) from None
    except Exception:  # noqa: BLE001 - what a library says of foreign bytes must never stop a keyholder
        raise EvidenceError(Doubt.NOT_ATTESTED, "The node's evidence cannot be read.") from None
