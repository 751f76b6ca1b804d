"""`kifabrik model accept`."""

from pathlib import Path

import click

from kifabrik.cli.options import home_option, json_option
from kifabrik.cli.terminal import done, remark, show_json
from kifabrik.customer.acceptance import accept_model
from kifabrik.customer.session import open_session
from kifabrik.jobs.references import InputReference


@click.command(
    epilog="""\b
    Example:
      kifabrik model accept press-anomaly@2 ./press-anomaly-2
    """
)
@click.argument("name")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--allow-unsafe", is_flag=True, help="Sign even files that run code when loaded, or are malformed.")
@home_option
@json_option
def accept(name: str, folder: Path, allow_unsafe: bool, home: Path, as_json: bool) -> None:
    """Sign the model NAME[@VERSION] that was pulled to FOLDER, and put the acceptance on record.

    Its chain is verified again first, and the folder compared with what the run put out. A file that runs
    code when it is loaded, such as most pickles, is not signed. The signature follows OpenSSF Model
    Signing (P-256).
    """
    wanted = InputReference.from_text(name)
    with open_session(home) as session:
        catalogue = session.catalogue()
        model = catalogue.model(wanted.name, wanted.version)
        label = f"{model.name}@{model.version}"
        accepted = accept_model(session, catalogue, model, folder, label, allow_unsafe=allow_unsafe)
    if as_json:
        show_json(
            {
                "signature": str(accepted.signature),
                "public_key": str(accepted.public_key),
                "entry": accepted.log_index,
            }
        )
        return
    done(f"{model.name}@{model.version} is accepted: entry {accepted.log_index} of the ledger")
    remark("  Anybody can check the signature with the public tool:")
    remark(f"  model_signing verify key {folder} \\")
    remark(f"    --signature {accepted.signature} --public_key {accepted.public_key}")
