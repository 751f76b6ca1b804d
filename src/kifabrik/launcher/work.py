"""What a launcher believes of the work it is given: only what the tenant's keys have signed."""

from dataclasses import dataclass

from kifabrik.datasets.manifest import Manifest
from kifabrik.environments.lockfile import Lock
from kifabrik.errors import IntegrityError
from kifabrik.orders.order import Order, verify_order
from kifabrik.orders.tasks import covers, run_of_output
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.keys import VerifyKey
from kifabrik.signatures.statements import Statement, read_unverified
from kifabrik.tenants.statements import KeyholderStatement, Membership
from kifabrik.tenants.trust import check_tenant_key, verify_device, verify_keyholder
from kifabrik.values import Kind, Place, is_id, parse_time
from kifabrik.wire.attempts import Work


@dataclass(frozen=True)
class NamedManifest:
    """A manifest that a verified statement names by this digest."""

    digest: str
    manifest: Manifest


@dataclass(frozen=True)
class VerifiedWork:
    """Work whose every part is named by an order of the tenant's own member.

    Args:
        order: The signed order.
        keyholder: Whom leases must come from; its statement is no older than the one the order's member knew.
        code: Manifest of the code bundle.
        inputs: Manifests of the inputs, in the order's order. One that did not exist when the order was signed is
            the keyholder's to check, like a checkpoint: it releases keys only for what the needed run made.
        checkpoint: The last checkpoint of an earlier attempt. No signature of it is checked here: the
            keyholder does that, and releases no key for a false one.
        lock: The environment's lock.
        run: Which run of the order this is.
        number: Of the attempt.
        cap_s: Seconds after which to stop.
        place: What the factory says about where this node is.
        streamed: Whether the inputs are opened while they are read, for want of memory; the factory decides.
        attested: Whether a grant asks for attested nodes, as the factory says: saves a refusal, decides nothing.
    """

    order: Statement[Order]
    keyholder: KeyholderStatement
    code: NamedManifest
    inputs: tuple[NamedManifest, ...]
    checkpoint: NamedManifest | None
    lock: Lock
    run: str
    number: int
    cap_s: int
    place: Place
    streamed: bool = False
    attested: bool = False

    @property
    def items(self) -> tuple[str, ...]:
        """Digests of everything keys are needed for: code, inputs, checkpoint."""
        last = (self.checkpoint.digest,) if self.checkpoint else ()
        return (self.code.digest, *(one.digest for one in self.inputs), *last)


def verify_work(tenant: str, work: Work) -> VerifiedWork:
    """Check the chain from the tenant id down to every part of the work.

    Raises:
        IntegrityError: A part is not what the order names, or the order is not the tenant's.
    """
    tenant_key = VerifyKey.from_hex(work.tenant_key)
    check_tenant_key(tenant, tenant_key)
    order = _order(tenant_key, work)
    said = order.predicate
    if not covers(said, work.run):
        raise IntegrityError(f"the order is not for the run {work.run[:40]}")
    lock = Lock.from_text(work.lock)
    if (lock.digest, lock.python) != (said.lock, said.python):
        raise IntegrityError("the environment's lock is not the one the order names")
    if len(work.inputs) != len(said.inputs):
        raise IntegrityError("the factory sent other inputs than the order names")
    inputs = zip(work.inputs, said.inputs, strict=True)
    keyholder = verify_keyholder(tenant_key, Envelope.from_json(work.keyholder))
    if keyholder.sequence < said.keyholder:
        raise IntegrityError(
            f"the factory shows keyholder statement {keyholder.sequence}, the order knows {said.keyholder}"
        )
    return VerifiedWork(
        order=order,
        keyholder=keyholder,
        code=_code(work.code, said),
        inputs=tuple(_named(text, item.manifest, item.owner) for text, item in inputs),
        checkpoint=_checkpoint(work.checkpoint, work.run),
        lock=lock,
        run=work.run,
        number=work.number,
        cap_s=min(work.cap_s, said.max_duration_s),
        place=work.place,
        streamed=work.streamed,
        attested=work.attested,
    )


def _order(tenant_key: VerifyKey, work: Work) -> Statement[Order]:
    membership, device = Envelope.from_json(work.membership), Envelope.from_json(work.device)
    # Whether the member still belongs is the keyholder's to judge; here the chain itself must hold.
    admitted = parse_time(read_unverified(membership, Membership)[0].created)
    member = verify_device(tenant_key, membership, device, admitted)
    return verify_order(Envelope.from_json(work.order), member.key, member.tenant, member.member)


def _code(text: str, order: Order) -> NamedManifest:
    """Return the code the order names; where it runs an earlier order's again, that order's run owns it."""
    envelope = Envelope.from_json(text)
    owner = read_unverified(envelope, Manifest)[0].owner if order.again else f"{order.run}/code"
    if not is_id(run_of_output(owner), Kind.RUN) or not owner.endswith("/code"):
        raise IntegrityError("what the order names as its code is no code")
    return _named(text, order.code, owner)


def _named(text: str, digest: str, owner: str) -> NamedManifest:
    """Return a manifest of this owner, and of this digest unless it is empty."""
    envelope = Envelope.from_json(text)
    manifest, _ = read_unverified(envelope, Manifest)
    if (envelope.digest, manifest.owner) != (digest or envelope.digest, owner):
        raise IntegrityError(f"the manifest of {owner} is not the one the order names")
    return NamedManifest(envelope.digest, manifest)


def _checkpoint(text: str, run: str) -> NamedManifest | None:
    if not text:
        return None
    return _named(text, Envelope.from_json(text).digest, f"{run}/checkpoint")
