"""What a tenant accepts as attested, signed with the tenant key and recorded in the tenant's log.

Invariants:
- a node counts by the key its hardware signs with, together with its node key: neither alone;
- a state is accepted as a whole: registers of two boot images are never mixed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from kifabrik.errors import UsageError
from kifabrik.signatures.statements import predicate

TPM_QUOTE: Final = "tpm2-quote/v1"
SNP_REPORT: Final = "sev-snp-report/v1"
BANKS: Final = {"sha256": 64, "sha384": 96}
"""Hex digits of a register, by bank. SHA-1 banks are not believed."""
MEASUREMENT_DIGITS: Final = 96
_PCRS: Final = 24
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_NUMBER: Final = re.compile(r"0|[1-9][0-9]?")


@dataclass(frozen=True)
class EndorsedNode:
    """A node whose hardware the tenant has come to know.

    Args:
        node_key: Ed25519 key of the node, in hex.
        name: For people.
        key: Name of the TPM's attestation key, in hex.
        qualified: Its qualified name, which says whose child it is, in hex.
        endorsement: SHA-256 over the public area of the TPM's endorsement key, in hex.
        chip: CHIP_ID of its SEV-SNP processor, in hex; empty for none.
    """

    node_key: str
    name: str
    key: str
    qualified: str
    endorsement: str
    chip: str = ""

    def __post_init__(self) -> None:
        _check_name(self.name)


@dataclass(frozen=True)
class BootImage:
    """Values the registers have after one boot.

    Args:
        name: For people.
        bank: `sha256` or `sha384`.
        pcrs: Number of a register to its value in hex; registers that are not named may have any value.

    Raises:
        UsageError: It names no register, or one that does not exist.
    """

    name: str
    bank: str
    pcrs: Mapping[str, str]

    def __post_init__(self) -> None:
        _check_name(self.name)
        if self.bank not in BANKS or not self.pcrs:
            raise UsageError(f"boot image {self.name} needs a bank ({' or '.join(BANKS)}) and a register at least")
        for number, value in self.pcrs.items():
            if _NUMBER.fullmatch(number) is None or int(number) >= _PCRS:
                raise UsageError(
                    f"boot image {self.name} names register {number[:20]!r}; there are 0 to {_PCRS - 1}"
                )
            if not is_hex(value, BANKS[self.bank]):
                raise UsageError(f"boot image {self.name}: register {number} is not {BANKS[self.bank]} hex digits")


@dataclass(frozen=True)
class Guest:
    """A confidential guest under AMD SEV-SNP.

    Args:
        name: For people.
        measurement: Launch measurement in hex.
        tcb: Least security version of each part of the firmware: `bootloader`, `tee`, `snp`, `microcode`.
    """

    name: str
    measurement: str
    tcb: Mapping[str, int]

    def __post_init__(self) -> None:
        _check_name(self.name)
        if not is_hex(self.measurement, MEASUREMENT_DIGITS):
            raise UsageError(f"the measurement of guest {self.name} is not {MEASUREMENT_DIGITS} hex digits")
        unknown = set(self.tcb) - set(TCB_PARTS)
        if unknown or not all(0 <= version <= _LARGEST_VERSION for version in self.tcb.values()):
            raise UsageError(f"guest {self.name}: least versions are numbers for {', '.join(TCB_PARTS)}")


TCB_PARTS: Final = ("bootloader", "tee", "snp", "microcode")
_LARGEST_VERSION: Final = 255


@predicate("attestation-policy/v1")
@dataclass(frozen=True)
class AttestationPolicy:
    """What counts as attested; the newest in the log holds.

    Args:
        tenant: Tenant id.
        sequence: Counts up.
        require: Kinds of evidence every node must show.
        nodes: Endorsed nodes.
        images: Accepted boots; a quote must match one of them.
        guests: Accepted SEV-SNP guests; a report must match one of them.
        roots: SHA-256 fingerprints of the certificates (DER) SEV-SNP chains may end in.
        created: Time.
    """

    tenant: str
    sequence: int
    require: tuple[str, ...] = (TPM_QUOTE,)
    nodes: tuple[EndorsedNode, ...] = ()
    images: tuple[BootImage, ...] = ()
    guests: tuple[Guest, ...] = ()
    roots: tuple[str, ...] = ()
    created: str = field(default="")

    def __post_init__(self) -> None:
        if not self.require:
            raise UsageError("a policy of attestation asks for one kind of evidence at least")

    def accepts(self, node_key: str, kind: str, key: str, state: str) -> bool:
        """Whether what evidence has proven before is still accepted.

        Args:
            node_key: Of the node, in hex.
            kind: Of the evidence.
            key: What identifies its hardware, in hex.
            state: Name of what was measured.
        """
        node = self.node(node_key)
        if node is None:
            return False
        if kind == TPM_QUOTE:
            return node.key == key and state in {image.name for image in self.images}
        return node.chip == key and state in {guest.name for guest in self.guests}

    def node(self, node_key: str) -> EndorsedNode | None:
        """Return an endorsed node by its node key."""
        found = [node for node in self.nodes if node.node_key == node_key]
        return found[0] if len(found) == 1 else None


def is_hex(text: str, digits: int) -> bool:
    """Whether a text is so many hex digits in lower case."""
    return len(text) == digits and re.fullmatch(r"[0-9a-f]*", text) is not None


def _check_name(name: str) -> None:
    if _NAME.fullmatch(name) is None:
        raise UsageError(f"not a name: {name[:80]!r}", hint="Use letters, digits, dots and hyphens, at most 64.")
