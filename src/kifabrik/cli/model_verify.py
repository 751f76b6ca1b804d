"""`kifabrik model verify`."""

from dataclasses import asdict
from pathlib import Path

import click

from kifabrik.cli.chain import show_chain
from kifabrik.cli.options import home_option, json_option
from kifabrik.cli.terminal import show_json
from kifabrik.customer.proof import prove_run
from kifabrik.customer.session import open_session
from kifabrik.jobs.references import InputReference


@click.command(
    epilog="""\b
    Example:
      kifabrik model verify press-anomaly@2
    """
)
@click.argument("name")
@home_option
@json_option
def verify(name: str, home: Path, as_json: bool) -> None:
    """Verify the chain of model NAME[@VERSION]: order, lease, run key, output, each in the log.

    Nothing is opened and no key is asked for. The exit status is 6 if a link does not hold.
    """
    wanted = InputReference.from_text(name)
    with open_session(home) as session:
        catalogue = session.catalogue()
        found = catalogue.model(wanted.name, wanted.version)
        proof = prove_run(session, catalogue, found.run.run)
    if as_json:
        links = [asdict(link) for link in proof.links]
        show_json({"model": f"{found.name}@{found.version}", "run": found.run.run, "links": links})
        return
    show_chain(proof.links)
