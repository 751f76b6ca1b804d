"""Outputs of a run: proven, leased, downloaded, opened."""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from kifabrik.customer.leasing import lease_results
from kifabrik.customer.opening import open_whole
from kifabrik.customer.proof import ProvenRun, prove_run
from kifabrik.customer.seal import Bar
from kifabrik.customer.session import Session
from kifabrik.errors import ConflictError, NotFoundError, UnavailableError
from kifabrik.ledger.policy import AcceptedHead
from kifabrik.ledger.proof import make_proof, verify_proof
from kifabrik.ledger.tiles import TileReader
from kifabrik.models.inspection import Finding, inspect_folder
from kifabrik.transfer.opening import open_contents

_PATIENCE_S: Final = 60.0


@dataclass(frozen=True)
class PulledOutput:
    """An output that lies opened on this machine, with what looking into its files has found."""

    owner: str
    folder: Path
    files: int
    size: int
    proof: ProvenRun
    lease_index: int
    findings: tuple[Finding, ...]


def pull_output(session: Session, run: str, number: int, target: Path, *, bar: Bar) -> PulledOutput:
    """Prove a run, lease the keys of one output, and open it into a new folder.

    Nothing is opened before the chain holds. The folder appears whole or not at all.

    Args:
        session: Connected.
        run: Run id.
        number: Of the output, from 1.
        target: Folder to make.
        bar: Makes a progress bar.

    Raises:
        ConflictError: The folder exists and is not empty.
        NotFoundError: The run has no such output.
        RefusedError: The keyholder does not release it.
        IntegrityError: The chain is broken, or the bytes do not verify.
    """
    if target.exists() and any(target.iterdir()):
        raise ConflictError(f"{target} exists and is not empty", hint="Name another folder with --to.")
    proof = prove_run(session, session.catalogue(), run)
    if not 1 <= number <= len(proof.outputs):
        raise NotFoundError(f"{run} has {len(proof.outputs)} outputs, not {number}")
    output = proof.outputs[number - 1]
    lease = lease_results(session, run, [output.digest])
    headers = lease.headers[output.digest]
    version = open_contents(output.predicate, headers, [session.profile.opener], session.store)
    open_whole(session, version, target, bar, version.contents.name)
    return PulledOutput(
        owner=output.predicate.owner,
        folder=target,
        files=version.contents.file_count,
        size=version.contents.files_size,
        proof=proof,
        lease_index=lease.statement.predicate.log_index,
        findings=inspect_folder(target),
    )


def write_proof(session: Session, pulled: PulledOutput, path: Path) -> None:
    """Write the checked links beside a pulled output, each with its proof that it stands in the log.

    A proof (c2sp.org/tlog-proof) needs only the entry's bytes and the policy to be checked again by anybody.

    Raises:
        IntegrityError: The log cannot prove a link under a tree head the keyholder has cosigned.
    """
    links = [asdict(link) for link in pulled.proof.links]
    body = {
        "owner": pulled.owner,
        "policy": session.policy.to_text(),
        "links": links,
        "entries": _log_proofs(session, sorted({link.log_index for link in pulled.proof.links})),
    }
    path.write_text(json.dumps(body, indent=2) + "\n", encoding="utf-8")


def await_cosigned(
    newest: Callable[[], str],
    accept: Callable[[str], AcceptedHead],
    index: int,
    *,
    hint: str = "What was pulled is opened and checked. With the keyholder on, pull again for its proof.",
    patience_s: float = _PATIENCE_S,
    pause_s: float = 0.5,
) -> str:
    """Return the newest cosigned tree head once it covers an entry.

    The keyholder cosigns after it has answered: for a moment, or while it is away, the newest entries are
    signed by the log only.

    Raises:
        UnavailableError: The keyholder has not cosigned the entry in time.
    """
    until = time.monotonic() + patience_s
    while True:
        with suppress(NotFoundError):
            checkpoint = newest()
            if accept(checkpoint).head.size > index:
                return checkpoint
        if time.monotonic() > until:
            raise UnavailableError(
                f"the keyholder has not cosigned entry {index} of the log yet: nobody else could check the proof",
                hint=hint,
            )
        time.sleep(pause_s)


def _log_proofs(session: Session, indexes: list[int]) -> list[dict[str, Any]]:
    """Prove entries under a cosigned tree head, and check each proof before it is written."""
    checkpoint = await_cosigned(session.log.cosigned, session.accept, max(indexes, default=0))
    head = session.accept(checkpoint).head
    mirror = session.mirror()
    read = TileReader(session.log.tile, head.size).hash
    found = []
    for index in indexes:
        entry = mirror.entries(index, index + 1)[0]
        proof = make_proof(index, read, checkpoint)
        verify_proof(proof, entry, session.policy)
        found.append({"index": index, "entry": entry.decode(), "proof": proof.to_text()})
    return found
