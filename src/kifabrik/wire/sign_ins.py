"""Signing in to the pages."""

from kifabrik.wire.body import Body


class Challenge(Body):
    """What the caller's device is to sign, once and within a minute."""

    challenge: str


class SignInCode(Body):
    """What a browser exchanges for a session, once and within a minute."""

    code: str
