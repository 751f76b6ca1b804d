"""Files with which a steward says what is accepted: registers of a boot, guests under SEV-SNP."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from kifabrik.attestation.enrolment import read_endorsement
from kifabrik.attestation.policy import (
    BANKS,
    SNP_REPORT,
    TPM_QUOTE,
    AttestationPolicy,
    BootImage,
    Guest,
    is_hex,
)
from kifabrik.errors import IntegrityError, NotFoundError, UsageError

_FORM = '{"sha256": {"0": "…", "7": "…"}}'
_GUEST_FIELDS = {"name", "measurement", "tcb"}
_CHIP_DIGITS = 128
_ROOT_DIGITS = 64


def read_image(text: str, name: str, registers: str) -> BootImage:
    """Read registers from a node's endorsement, or from JSON.

    Args:
        text: Of the file.
        name: What the boot is to be called.
        registers: Numbers with commas: those that must match.

    Raises:
        UsageError: The file has another form, or lacks a register.
    """
    bank, pcrs = _registers(text)
    wanted = [number.strip() for number in registers.split(",") if number.strip()]
    missing = [number for number in wanted if number not in pcrs]
    if missing:
        raise UsageError(f"the file has no register {missing[0][:20]!r}", hint="Name others with --pcr.")
    return BootImage(name, bank, {number: str(pcrs[number]).lower() for number in wanted})


def read_guests(text: str) -> Callable[[AttestationPolicy], AttestationPolicy]:
    """Read what a tenant accepts under SEV-SNP, as a change of its policy.

    Raises:
        UsageError: The file has another form.
    """
    body = _json(text)
    if not isinstance(body, dict) or set(body) != {"require", "roots", "guests", "chips"}:
        raise UsageError("a file of guests has the fields require, roots, guests and chips")
    guests = tuple(_guest(one) for one in _list(body["guests"]))
    roots = tuple(_hex(one, _ROOT_DIGITS, "a root") for one in _list(body["roots"]))
    chips = body["chips"]
    if not isinstance(chips, dict):
        raise UsageError('chips are named by node: {"n17": "…"}')
    named = {str(node): _hex(chip, _CHIP_DIGITS, f"the chip of {node}") for node, chip in chips.items()}
    require = tuple(str(kind) for kind in _list(body["require"]))
    if not set(require) <= {TPM_QUOTE, SNP_REPORT}:
        raise UsageError(f"require names kinds of evidence: {TPM_QUOTE}, {SNP_REPORT}")

    def change(before: AttestationPolicy) -> AttestationPolicy:
        unknown = set(named) - {node.name for node in before.nodes}
        if unknown:
            raise NotFoundError(f"no node {min(unknown)!r} is listed", hint="List it first, by its TPM.")
        nodes = tuple(replace(node, chip=named.get(node.name, "")) for node in before.nodes)
        return replace(before, nodes=nodes, guests=guests, roots=roots, require=require)

    return change


def _registers(text: str) -> tuple[str, dict[str, Any]]:
    body = _json(text)
    if isinstance(body, dict) and "payload" in body:
        try:
            said = read_endorsement(text).said
        except IntegrityError as error:
            raise UsageError(f"the endorsement does not verify: {error.message}") from None
        return said.bank, dict(said.pcrs)
    if not isinstance(body, dict) or len(body) != 1 or not set(body) <= set(BANKS):
        raise UsageError(f"registers are written like {_FORM}")
    bank, pcrs = next(iter(body.items()))
    if not isinstance(pcrs, dict):
        raise UsageError(f"registers are written like {_FORM}")
    return bank, pcrs


def _guest(body: Any) -> Guest:
    if not isinstance(body, dict) or set(body) != _GUEST_FIELDS or not isinstance(body["tcb"], dict):
        raise UsageError("a guest has the fields name, measurement and tcb")
    versions = body["tcb"].values()
    if not all(isinstance(version, int) and not isinstance(version, bool) for version in versions):
        raise UsageError("least versions of firmware are whole numbers")
    return Guest(str(body["name"]), str(body["measurement"]).lower(), dict(body["tcb"]))


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise UsageError("require, roots and guests are lists")
    return value


def _hex(value: Any, digits: int, what: str) -> str:
    text = str(value).lower()
    if not is_hex(text, digits):
        raise UsageError(f"{what} is not {digits} hex digits")
    return text


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise UsageError("the file is not JSON") from None
