"""The live page: HTML that asks for itself again, and its values as JSON; no script, nothing to write to."""

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from importlib import resources
from typing import Final

import jinja2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from kifabrik.errors import KifabrikError
from kifabrik.plant.live.diagram import bars, boxes, pipes
from kifabrik.plant.live.state import Live
from kifabrik.plant.live.words import Language, LiveSpeaker

_HEADERS: Final = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


def _utc_now() -> datetime:
    return datetime.now(UTC)


def app_of(
    live: Live, *, every: int = 10, language: Language = "en", clock: Callable[[], datetime] = _utc_now
) -> Starlette:
    """The page of a site.

    Args:
        live: The site as it is.
        every: Seconds after which a browser asks again.
        language: Of the page.
        clock: Tells the time, with its offset.
    """
    text = (resources.files("kifabrik.plant.live") / "live.html.j2").read_text(encoding="utf-8")
    template = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(text)
    say = LiveSpeaker(language)

    def page(_: Request) -> Response:
        time = clock()
        now = live.now(time)
        local = time.astimezone(timezone(timedelta(hours=1)))
        html = template.render(
            name=live.site.name,
            time=local.strftime("%Y-%m-%d %H:%M:%S"),
            every=every,
            words=say.all(),
            boxes=boxes(live.site, now, say),
            pipes=pipes(live.site, now, say),
            bars=bars(live.site, now, say),
        )
        return HTMLResponse(html, headers=_HEADERS)

    def values(_: Request) -> Response:
        now = live.now(clock())
        told = {
            name: {
                "value": one.value if math.isfinite(one.value) else None,
                "measured": one.measured,
                "age": one.age,
            }
            for name, one in now.items()
        }
        return JSONResponse(told, headers=_HEADERS)

    def failed(_: Request, error: Exception) -> Response:
        message = error.message if isinstance(error, KifabrikError) else "The page cannot be made."
        return PlainTextResponse(message, status_code=503, headers=_HEADERS)

    routes = [Route("/", page), Route("/values.json", values)]
    return Starlette(routes=routes, exception_handlers={KifabrikError: failed})
