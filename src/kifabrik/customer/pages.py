"""A code that signs a browser in to the factory's pages, for a challenge this device signs."""

from kifabrik.client.connection import Connection
from kifabrik.client.sign_ins import SignIns
from kifabrik.customer.profile import Profile
from kifabrik.signatures.statements import sign_statement
from kifabrik.tenants.statements import SignInProof
from kifabrik.values import format_time, now_utc, sha256_hex


def code_for_browser(profile: Profile) -> str:
    """Get a code; it is good for a minute, and once.

    Raises:
        SignInError: This device is not enrolled any more.
        UnavailableError: The factory cannot be reached.
    """
    connection = Connection(profile.factory, profile.token, ca_pem=profile.ca_pem)
    try:
        pages = SignIns(connection)
        said = SignInProof(profile.tenant, profile.member, pages.challenge(), format_time(now_utc()))
        return pages.prove(sign_statement(said, {"tenant": sha256_hex(profile.tenant.encode())}, profile.device))
    finally:
        connection.close()
