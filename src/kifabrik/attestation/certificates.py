"""Chains of certificates that end in a root the tenant has listed.

Manufacturers' certificates do not follow the rules of the web: critical extensions of their own, no host names.
So it is not a browser's validation that is done here but the part of RFC 5280, section 6.1, that carries trust:
names and signatures, validity, who may issue. Revocation is not looked up; nothing here has a network.
"""

import itertools
import warnings
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.utils import CryptographyDeprecationWarning

from kifabrik.errors import IntegrityError

MOST_CERTIFICATES: Final = 6
UNREADABLE: Final = (
    x509.ExtensionNotFound,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
    UnsupportedAlgorithm,
    ValueError,
)
"""What comes of looking for an extension or a key that a certificate does not have, or has in another form."""


def read_certificate(der: bytes) -> x509.Certificate:
    """Read one certificate.

    Raises:
        IntegrityError: It is none.
    """
    try:
        with warnings.catch_warnings():
            # AMD numbers every certificate of a chip 0, which RFC 5280 does not allow.
            warnings.simplefilter("ignore", CryptographyDeprecationWarning)
            return x509.load_der_x509_certificate(der)
    except (ValueError, x509.InvalidVersion):
        raise IntegrityError("a certificate cannot be read") from None


def public_key_of(certificate: x509.Certificate) -> CertificatePublicKeyTypes:
    """Return the key a certificate is for.

    Raises:
        IntegrityError: It is of a kind that is not understood.
    """
    try:
        return certificate.public_key()
    except UNREADABLE:
        raise IntegrityError("a certificate is for a key that is not understood") from None


def fingerprint(certificate: x509.Certificate) -> str:
    """Return SHA-256 over the certificate, in hex."""
    return certificate.fingerprint(SHA256()).hex()


def verify_chain(chain: Sequence[x509.Certificate], roots: Collection[str], when: datetime) -> None:
    """Verify a chain from a leaf to a listed root.

    Args:
        chain: The leaf first, each followed by its issuer, the root last.
        roots: Fingerprints of the roots that are trusted.
        when: All of it must be valid then.

    Raises:
        IntegrityError: A link does not hold, or the end is not listed.
    """
    if not 1 <= len(chain) <= MOST_CERTIFICATES:
        raise IntegrityError(f"a chain has 1 to {MOST_CERTIFICATES} certificates, not {len(chain)}")
    for certificate in chain:
        try:
            valid = certificate.not_valid_before_utc <= when <= certificate.not_valid_after_utc
        except ValueError:
            valid = False
        if not valid:
            raise IntegrityError("a certificate of the chain is not valid at this time")
    for below, (certificate, issuer) in enumerate(itertools.pairwise(chain)):
        _check_issuer(issuer, below)
        try:
            certificate.verify_directly_issued_by(issuer)
        except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
            raise IntegrityError("a certificate of the chain is not by the one that follows it") from None
    if fingerprint(chain[-1]) not in roots:
        raise IntegrityError("the chain of certificates does not end in a root that is listed")


def _check_issuer(issuer: x509.Certificate, below: int) -> None:
    """Check that a certificate may issue others, with so many issuers between it and the leaf."""
    try:
        constraints = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value
    except UNREADABLE:
        raise IntegrityError("a certificate of the chain issues others and is no authority") from None
    if not constraints.ca or (constraints.path_length is not None and constraints.path_length < below):
        raise IntegrityError("a certificate of the chain issues others and is no authority")
    try:
        usage = issuer.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return
    if not usage.key_cert_sign:
        raise IntegrityError("a certificate of the chain issues others with a key that is not for it")
