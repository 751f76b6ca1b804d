"""SLSA provenance v1 (slsa.dev/spec/v1.0/provenance) of what a run put out.

It is the factory's statement about what its nodes ran, signed by the run key and the key of the first node. It
claims no SLSA level.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.keys import SigningKey
from kifabrik.signatures.statements import PREDICATE_ROOT, predicate, sign_statement

BUILD_TYPE: Final = f"{PREDICATE_ROOT}run/v1"


@predicate("https://slsa.dev/provenance/v1")
@dataclass(frozen=True)
class Provenance:
    """The predicate; field names are the specification's."""

    buildDefinition: dict[str, Any]  # noqa: N815
    runDetails: dict[str, Any]  # noqa: N815


@dataclass(frozen=True)
class Ran:
    """What a launcher knows of a run it has finished.

    Args:
        run: Run id.
        attempt: Attempt id.
        order: Digest of the order statement.
        purpose: Purpose id of the order.
        lease: Digest of the lease statement.
        materials: Name of each input, of code and environment, to its SHA-256 digest. Inputs are named
            by id: the factory knows no names.
        nodes: Public keys of the nodes in hex, by rank.
        version: Of kifabrik.
        started: Time.
        finished: Time.
    """

    run: str
    attempt: str
    order: str
    purpose: str
    lease: str
    materials: Mapping[str, str]
    nodes: tuple[str, ...]
    version: str
    started: str
    finished: str


def sign_provenance(ran: Ran, outputs: Mapping[str, str], *keys: SigningKey) -> Envelope:
    """Sign the provenance of outputs, given as owner to manifest digest."""
    said = Provenance(
        buildDefinition={
            "buildType": BUILD_TYPE,
            "externalParameters": {"order": ran.order, "purpose": ran.purpose},
            "internalParameters": {"lease": ran.lease, "nodes": list(ran.nodes)},
            "resolvedDependencies": [
                {"uri": f"kifabrik:{name}", "digest": {"sha256": digest}}
                for name, digest in sorted(ran.materials.items())
            ],
        },
        runDetails={
            "builder": {"id": f"kifabrik:node/{ran.nodes[0]}", "version": {"kifabrik": ran.version}},
            "metadata": {
                "invocationId": f"{ran.run}/{ran.attempt}",
                "startedOn": ran.started,
                "finishedOn": ran.finished,
            },
        },
    )
    return sign_statement(said, outputs, *keys)
