"""`kifabrik plant serve`."""

import errno
import socket
from pathlib import Path
from typing import Literal

import click

from kifabrik.cli.options import language_option
from kifabrik.cli.plant_sites import opened, site_options
from kifabrik.cli.terminal import remark, warn
from kifabrik.errors import ConflictError, UsageError


@click.command(
    epilog="""\b
    Examples:
      kifabrik plant serve munich --load 0.8
      kifabrik plant serve site.yaml --meters meters --port 8090 --language de
    """
)
@site_options
@click.option("--meters", type=click.Path(path_type=Path, file_okay=False), help="Store that `meters watch` fills.")
@click.option(
    "--load",
    "share",
    type=click.FloatRange(0, 1),
    default=0.8,
    show_default=True,
    help="Assumed where the nodes' power is not metered.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65_535), default=8090, show_default=True, help="Port to listen on.")
@click.option(
    "--every", type=click.IntRange(min=1), default=10, show_default=True, help="Seconds between refreshes."
)
@language_option("Of the page.")
def serve(
    site: str, changes: tuple[str, ...], year: int | None, data: Path | None, meters: Path | None, share: float,
    host: str, port: int, every: int, language: Literal["de", "en"],
) -> None:  # fmt: skip
    """Serve a live page of SITE: a flow diagram with values, and limits as marks.

    A meter named like a series (it, electricity, river, river_mixed, flow, to_customers, …) is shown as measured;
    the twin estimates the rest. Whoever reaches the port can read the page; nothing can be changed through it.
    """
    import uvicorn  # noqa: PLC0415 - slow to import

    from kifabrik.plant.live.app import app_of  # noqa: PLC0415
    from kifabrik.plant.live.state import Live  # noqa: PLC0415
    from kifabrik.plant.metering.store import Store  # noqa: PLC0415

    live = Live(opened(site, changes, year).site, Store(meters) if meters else None, share, data)
    if host not in {"127.0.0.1", "localhost", "::1"}:
        warn(f"Everybody who reaches {host}:{port} can read this page.")
    with _listening(host, port) as listener:
        remark(f"http://{host}:{listener.getsockname()[1]}/ shows {live.site.name}; stop with Ctrl-C.")
        settings = uvicorn.Config(
            app_of(live, every=every, language=language), log_level="warning", access_log=False
        )
        uvicorn.Server(settings).run(sockets=[listener])


def _listening(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        ConflictError: Somebody else has the port.
        UsageError: The address cannot be listened on.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            hint = "Is the page served already? Choose another one with --port."
            raise ConflictError(f"Port {port} of {host} is taken.", hint=hint) from None
        raise UsageError(f"{host}:{port} cannot be listened on: {error.strerror}.", hint="Check --host.") from None
