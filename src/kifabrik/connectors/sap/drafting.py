"""A plan to begin with, of what a probe has found: everything is written out, and a person crosses out and signs.

Nothing is chosen here: every field that makes a column is listed, with as many rows as there are and a tenth more.
Who confirms it and why is left empty, and an empty plan is refused.
"""

from collections.abc import Iterator
from typing import Final

from kifabrik.connectors.sap.plan import BasicSignIn, CertificateSignIn, OAuthSignIn, SignIn
from kifabrik.connectors.sap.probe import Finding, Probed, SetFound
from kifabrik.connectors.sap.secrets import SecretPlace

_UNKNOWN_ROWS: Final = 10_000
_PER_LINE: Final = 100
"""Letters of names in a line of fields."""
_HEADING: Final = """\
# Cross out what you do not need, fill in what is empty, and read docs/sap.md on what may be pulled.
service: {service}
dataset: {dataset}            # becomes {dataset}@1, @2, …
purpose: supply-planning      # as in grants
confirmed:                    # the plan is not taken before these are filled in
  by: ""                      # your name
  on: ""                      # today, such as 2026-11-20
  because: ""                 # why this interface may be used for this: where it is published
{sign_in}
limits: {{requests_per_second: 5, tries: 6}}
pull:
"""


def draft_plan(found: Probed, sign_in: SignIn) -> str:
    """Return the text of a plan for what a probe has found.

    Args:
        found: The service and its sets; those that cannot be read are left out.
        sign_in: How the probe signed in; secrets stay where they are.
    """
    word = found.service.rstrip("/").rpartition("/")[2].lower()
    name = "".join(letter if letter.isalnum() and letter.isascii() else "-" for letter in word).strip("-") or "sap"
    heading = _HEADING.format(service=found.service, dataset=name[:40], sign_in=_sign_in(sign_in))
    return heading + "".join(line for one in found.sets if not one.problem for line in _set(one))


def _sign_in(sign_in: SignIn) -> str:
    if isinstance(sign_in, BasicSignIn):
        return f"sign_in: {{kind: basic, user: {_quoted(sign_in.user)}, password: {_place(sign_in.password)}}}"
    if isinstance(sign_in, OAuthSignIn):
        lines = [
            "sign_in:",
            "  kind: oauth2",
            f"  token_url: {sign_in.token_url}",
            f"  client_id: {_quoted(sign_in.client_id)}",
            f"  client_secret: {_place(sign_in.client_secret)}",
            *([f"  scope: {_quoted(sign_in.scope)}"] if sign_in.scope else []),
        ]
        return "\n".join(lines)
    if isinstance(sign_in, CertificateSignIn):
        files = f"certificate: {_quoted(str(sign_in.certificate))}, key: {_quoted(str(sign_in.key))}"
        phrase = f", passphrase: {_place(sign_in.passphrase)}" if sign_in.passphrase else ""
        return f"sign_in: {{kind: mtls, {files}{phrase}}}"
    return "sign_in: {kind: none}"


def _place(secret: SecretPlace) -> str:
    return f"{{keyholder: {secret.name}}}" if secret.name else f"{{env: {secret.variable}}}"


def _set(one: SetFound) -> Iterator[str]:
    rows = _UNKNOWN_ROWS if one.rows is None else max(10, one.rows + one.rows // 10)
    yield f"- entity_set: {one.name}\n"
    yield f"  rows: {rows}{'' if one.rows is None else f'   # {one.rows:,} now; more than this are refused'}\n"
    keys = [field.name for field in one.fields if field.key]
    names = [field.name for field in one.fields if field.column and not field.key] or keys
    yield f"  fields:                     # keys always come along: {', '.join(keys)}\n"
    yield from (f"  {text}\n" for text in _folded(names))
    odd = [f"{field.name} ({field.type})" for field in one.fields if not field.column]
    if odd:
        yield f"  # make no column, and come as text under as_text only: {', '.join(odd)}\n"
    for navigation in one.navigations:
        yield f"  # leads to {'many' if navigation.many else 'one'} of {navigation.target}: {navigation.name}\n"
    if one.changes is Finding.YES:
        yield "  changes: true               # the next pull takes only what changed\n"


def _folded(names: list[str]) -> Iterator[str]:
    """Names as a list over several lines, in brackets."""
    line = "  ["
    for number, name in enumerate(names):
        word = name + (", " if number + 1 < len(names) else "]")
        if len(line) + len(word) > _PER_LINE:
            yield line.rstrip()
            line = "   "
        line += word
    yield line


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
