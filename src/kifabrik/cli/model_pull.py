"""`kifabrik model pull`."""

from dataclasses import asdict
from pathlib import Path

import click

from kifabrik.cli.chain import show_chain
from kifabrik.cli.options import home_option, json_option
from kifabrik.cli.terminal import done, show_json, transfer
from kifabrik.customer.results import pull_output, write_proof
from kifabrik.customer.session import open_session
from kifabrik.jobs.jobfile import InputReference
from kifabrik.values import format_size


@click.command(
    epilog="""\b
    Examples:
      kifabrik model pull press-anomaly
      kifabrik model pull press-anomaly@2 --to ./model
    """
)
@click.argument("name")
@click.option("--to", "target", type=click.Path(path_type=Path), help="Folder to make; default ./NAME-VERSION.")
@home_option
@json_option
def pull(name: str, target: Path | None, home: Path, as_json: bool) -> None:
    """Verify the chain of model NAME[@VERSION], lease its key to this device, and open it here."""
    wanted = InputReference.from_text(name)
    with open_session(home) as session:
        found = session.catalogue().model(wanted.name, wanted.version)
        folder = target or Path(f"{found.name}-{found.version}")
        pulled = pull_output(session, found.run.run, found.output, folder, bar=transfer)
        proof_file = folder.with_name(f"{folder.name}.proof.json")
        write_proof(session, pulled, proof_file)
    if as_json:
        links = [asdict(link) for link in pulled.proof.links]
        show_json({"model": f"{found.name}@{found.version}", "folder": str(folder), "links": links})
        return
    show_chain(pulled.proof.links)
    done(
        f"{found.name}@{found.version}: {pulled.files} files, {format_size(pulled.size)}, opened in {folder}; "
        f"its chain is in {proof_file.name}"
    )
