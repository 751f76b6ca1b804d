"""Templates, and what every page has: language, links that keep it, who has signed in."""

from dataclasses import dataclass
from functools import cache
from typing import Any, Final
from urllib.parse import quote, urlencode

import jinja2
from fastapi import Request
from fastapi.responses import HTMLResponse, Response
from markupsafe import Markup

from kifabrik.errors import KifabrikError, NotFoundError
from kifabrik.factory.records import Principal, TokenKind
from kifabrik.factory.tokens import looks_like_token
from kifabrik.portal.figures import Figures
from kifabrik.portal.language import LANGUAGES, Language, chosen, preferred
from kifabrik.portal.sentences import in_language
from kifabrik.portal.style import STYLE_PATH
from kifabrik.portal.words import WORDS
from kifabrik.values import format_time, now_utc

_KEPT: Final = ("after", "before", "live", "month", "state")
"""Parameters of an address that stay when the language is changed."""
_LONGEST: Final = 64


@dataclass(frozen=True)
class Visit:
    """One request for a page.

    Args:
        request: It.
        language: Of the page.
        named: Whether the address names the language, so that links on the page do too.
    """

    request: Request
    language: Language
    named: bool

    @classmethod
    def of(cls, request: Request) -> "Visit":
        """Read what the visitor wants."""
        named = chosen(request.query_params.get("lang", ""))
        return cls(request, named or preferred(request.headers.get("accept-language", "")), named is not None)

    @property
    def principal(self) -> Principal | None:
        """Who has signed in, if anybody."""
        found: Principal | None = getattr(self.request.state, "principal", None)
        return found

    @property
    def ends(self) -> str:
        """When the session ends."""
        return str(getattr(self.request.state, "session_ends", ""))

    def link(self, path: str, **query: object) -> str:
        """The address of another page, in the same language where this one was asked for in one."""
        said = {name.rstrip("_"): str(value) for name, value in query.items() if value not in ("", None)}
        if self.named:
            said["lang"] = self.language
        return f"{path}?{urlencode(said)}" if said else path

    def other(self, language: Language) -> str:
        """The address of this page in a language; a secret in this one's address is not repeated."""
        path = quote(f"/{self.request.url.path.lstrip('/')}")  # two slashes would begin the name of another host
        kept = {name: self.request.query_params.get(name, "") for name in _KEPT}
        said = {name: value for name, value in kept.items() if value and len(value) <= _LONGEST}
        address = f"{path}?{urlencode({**said, 'lang': language})}"
        return "/" if looks_like_token(address) else address

    def say(self, key: str, **parts: object) -> Markup:
        """A text of the page's language, its parts escaped."""
        return Markup(WORDS[self.language][key]).format(**parts)  # noqa: S704 - our own texts


@cache
def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("kifabrik.portal"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.globals |= {"languages": LANGUAGES, "style_path": STYLE_PATH}
    return environment


def render(request: Request, template: str, *, status: int = 200, **data: Any) -> Response:
    """Return a page.

    Args:
        request: What it answers.
        template: Name of a file in `templates`, without its endings.
        status: HTTP status.
        data: What the template shows.
    """
    visit = Visit.of(request)
    now = now_utc()
    html = (
        _templates()
        .get_template(f"{template}.html.j2")
        .render(
            visit=visit,
            t=visit.say,
            link=visit.link,
            f=Figures(visit.language),
            sentence=lambda text: in_language(text, visit.language),
            operator=visit.principal is not None and visit.principal.kind is TokenKind.OPERATOR,
            now=now,
            now_text=format_time(now),
            path=request.url.path,
            **data,
        )
    )
    return HTMLResponse(html, status, {"vary": "accept-language, cookie"})


def error_page(request: Request, error: KifabrikError) -> Response:
    """Return the page of an error; what is missing and what is another's look alike, whatever was asked for."""
    known = {NotFoundError.http_status: "missing", 401: "unknown", 400: "odd", 429: "many"}
    kind = known.get(error.http_status, "failed")
    return render(request, "error", status=error.http_status, kind=kind)
