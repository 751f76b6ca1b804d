"""What every launcher does first, done once in the process that launchers are forked from.

The first client, the first signature and the first statement of a kind each cost milliseconds: modules that
load late, parsers made when they are first used. No secret is touched and no random number drawn.
"""

from contextlib import suppress
from importlib import import_module
from typing import Final

from kifabrik.client.connection import prepare_trust
from kifabrik.datasets.manifest import Manifest
from kifabrik.environments.build import installer_version
from kifabrik.errors import UnavailableError
from kifabrik.jobs.private import PrivateJob
from kifabrik.leases.joining import NodeJoined
from kifabrik.leases.statements import AttemptRequest, Lease, Refusal
from kifabrik.models.provenance import Provenance
from kifabrik.orders.order import Order
from kifabrik.runs.statements import Finish, LogSegment, LogStream, NodeEnded
from kifabrik.sandbox.seccomp import room_filter
from kifabrik.signatures.keys import KEY_BYTES, SigningKey
from kifabrik.signatures.statements import prepare_kinds
from kifabrik.tenants.statements import Device, KeyholderStatement, Membership
from kifabrik.wire.attempts import Control, Finished, Progress, SegmentAdded, StreamOpened, Work
from kifabrik.wire.leases import KeysWanted, LeaseView
from kifabrik.wire.tenants import Logged, Signed

_KINDS: Final = (
    *(KeyholderStatement, Membership, Device, Order, Manifest),
    *(AttemptRequest, Lease, Refusal, LogStream, LogSegment, Finish, Provenance, NodeJoined, NodeEnded),
)

_BODIES: Final = (
    *(Work, Progress, StreamOpened, SegmentAdded, Finished, Control),
    *(Signed, Logged, KeysWanted, LeaseView),
)
_LATE: Final = ("encodings.ascii", "encodings.idna", "cryptography.hazmat.backends.openssl", "pynvml")
"""Modules that libraries import at their first use; a node without NVIDIA's may lack the last."""


def get_ready() -> None:
    """Load and build what a launcher needs."""
    prepare_kinds(_KINDS)
    for body in _BODIES:
        body.model_rebuild()
    PrivateJob.from_bytes(PrivateJob("", "", {}, {}, {}, "", ()).to_bytes())
    with suppress(ImportError):
        installer_version()
    with suppress(UnavailableError):
        room_filter()
    prepare_trust()
    nobody = SigningKey(bytes(KEY_BYTES))
    nobody.public.verify(nobody.sign(b""), b"")
    for name in _LATE:
        with suppress(ImportError):
            import_module(name)
