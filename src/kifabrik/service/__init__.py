"""The factory's HTTP API: authentication, one call, one answer; what it means is decided in `factory`.

Invariants:
- every route below `/v1` but sign-up and enrolment needs a bearer token, and says which kinds may call;
- a token in a URL is refused; no token, body or query is ever written to a log;
- every error answers a `Problem`; no exception text reaches a caller that `kifabrik.errors` does not foresee;
- another tenant's things are looked up under the caller's tenant, so they are missing.
"""
