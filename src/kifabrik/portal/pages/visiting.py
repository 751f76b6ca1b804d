"""Public pages that greet whoever has signed in."""

from fastapi import Request

from kifabrik.errors import SignInError
from kifabrik.factory.factory import Factory
from kifabrik.portal.door import secret_of


def noticed(request: Request, factory: Factory) -> None:
    """Note who visits a public page, where somebody has signed in; whose session has ended is anybody."""
    secret = secret_of(request)
    if not secret:
        return
    try:
        request.state.principal, request.state.session_ends = factory.sign_ins.who(secret)
    except SignInError:
        return
