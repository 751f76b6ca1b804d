"""Accepting a model: the customer's own OpenSSF signature over what it has pulled, and a ledger entry.

The signature is a Sigstore bundle after the OpenSSF Model Signing specification, made with a P-256 key
that stays here. Anybody can check it with the public tool:

    model_signing verify key MODEL --signature model.sig --public_key model-key.pub
"""

from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from kifabrik.customer.catalogue import Catalogue
from kifabrik.customer.leasing import lease_results
from kifabrik.customer.named import ModelVersion
from kifabrik.customer.profile import member_folder
from kifabrik.customer.proof import prove_output
from kifabrik.customer.session import Session
from kifabrik.datasets.contents import contents_digest
from kifabrik.datasets.packing import plan_shards
from kifabrik.durable import write_whole
from kifabrik.errors import IntegrityError, UsageError
from kifabrik.models.acceptance import Acceptance
from kifabrik.models.inspection import inspect_folder, require_safe
from kifabrik.signatures.statements import sign_statement
from kifabrik.transfer.details import Names, make_detail
from kifabrik.transfer.opening import open_contents
from kifabrik.values import format_time, now_utc, sha256_hex


@dataclass(frozen=True)
class Accepted:
    """An accepted model: where signature and public key are, and the ledger entry."""

    signature: Path
    public_key: Path
    log_index: int


def accept_model(
    session: Session,
    catalogue: Catalogue,
    model: ModelVersion,
    folder: Path,
    name: str,
    *,
    allow_unsafe: bool = False,
) -> Accepted:
    """Sign a pulled model and put its acceptance on record.

    Args:
        session: Connected.
        catalogue: As of now.
        model: Which one.
        folder: Where it was pulled to.
        name: Model name and version, for the sealed detail.
        allow_unsafe: Whether to sign files that run code when they are loaded, or are malformed.

    Raises:
        UsageError: The extra `model-signing` is not installed, or the folder holds no files.
        IntegrityError: The folder holds something else than the run put out, or its chain is broken.
        RefusedError: A file in it runs code when it is loaded, or is malformed.
    """
    try:
        from model_signing import signing  # noqa: PLC0415 - an extra, and slow to import
    except ImportError:
        raise UsageError(
            "signing models needs the extra model-signing", hint="pip install 'kifabrik[model-signing]'"
        ) from None
    if not folder.is_dir() or not any(folder.rglob("*")):
        raise UsageError(f"{folder} holds no model", hint="Pull it first: kifabrik model pull NAME --to FOLDER")
    if not allow_unsafe:
        require_safe(inspect_folder(folder))
    _check_same(session, catalogue, model, folder)
    private, public = _model_key(session.home)
    signature = folder.with_name(f"{folder.name}.sig")
    signer = signing.Config()  # type: ignore[no-untyped-call]
    signer.use_elliptic_key_signer(private_key=private).sign(folder, signature)
    said = Acceptance(
        tenant=session.tenant,
        member=session.profile.member,
        run=model.run.run,
        owner=model.owner,
        manifest=model.manifest,
        signature=sha256_hex(signature.read_bytes()),
        created=format_time(now_utc()),
    )
    envelope = sign_statement(said, {model.owner: model.manifest}, session.profile.device)
    names = Names(envelope.digest, said.member, {"name": name})
    detail = make_detail(names, session.catalogue_recipient, session.profile.device)
    logged = session.runs.accept(envelope, detail)
    return Accepted(signature, public, logged.log_index)


def _check_same(session: Session, catalogue: Catalogue, model: ModelVersion, folder: Path) -> None:
    """Compare a folder with the sealed contents of the output it is said to be."""
    output = prove_output(session, catalogue, model)
    headers = lease_results(session, model.run.run, [output.digest]).headers[output.digest]
    version = open_contents(output.predicate, headers, [session.profile.opener], session.store)
    with plan_shards(folder, heeds_own=False) as plan:  # all there is will be signed
        if plan.digest() != contents_digest(version.contents):
            raise IntegrityError(
                f"{folder} does not hold what the run put out", hint="Pull the model again, and sign that."
            )


def _model_key(home: Path) -> tuple[Path, Path]:
    """The tenant member's model key, made at first use."""
    folder = member_folder(home, "models")
    private, public = folder / "model-key.pem", folder / "model-key.pub"
    if not private.exists():
        key = ec.generate_private_key(ec.SECP256R1())
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        shown = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        write_whole(public, shown, mode=0o644)
        write_whole(private, secret)
    return private, public
