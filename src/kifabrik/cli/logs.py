"""`kifabrik logs`."""

from dataclasses import asdict
from pathlib import Path

import click

from kifabrik.cli.follow import print_log
from kifabrik.cli.options import home_option, json_option
from kifabrik.cli.terminal import counted, remark, show_json
from kifabrik.customer.follow import read_log
from kifabrik.customer.session import open_session


@click.command(
    epilog="""\b
    Examples:
      kifabrik logs press-anomaly
      kifabrik logs -f r-k3v6…
    """
)
@click.argument("run")
@click.option("--follow", "-f", is_flag=True, help="Go on until the run ends.")
@home_option
@json_option
def logs(run: str, follow: bool, home: Path, as_json: bool) -> None:
    """Show the log of RUN: an id, its beginning, a job name for its newest run, or NAME/17 for a sweep's task.

    The log lies in the factory as ciphertext; this device asks the keyholder for its key.
    """
    with open_session(home) as session:
        found = session.catalogue().run(run).run
        if as_json:
            show_json([asdict(line) for line in read_log(session, found, follow=follow)])
            return
        view = session.runs.show(found)
        if view.tasks and not follow:
            remark(f"{counted(sum(view.tasks.values()), 'task')} with a log each, such as: kifabrik logs {run}/1")
            return
        print_log(session, found, follow=follow)
