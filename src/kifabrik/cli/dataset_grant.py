"""`kifabrik dataset grant`."""

from pathlib import Path

import click

from kifabrik.cli.options import Country, json_option
from kifabrik.cli.terminal import done, remark, show_json, waiting, warn
from kifabrik.cli.unlock import StewardKeys, steward_options
from kifabrik.customer.apply import code_digest, lock_environment, prepare
from kifabrik.customer.session import open_session
from kifabrik.jobs.jobfile import read_job
from kifabrik.values import Place


@click.command(
    epilog="""\b
    Examples:
      kifabrik dataset grant press-line-7 --purpose predictive-maintenance
      kifabrik dataset grant press-line-7 --purpose audit --days 7 --runs-per-day 2 --ask
      kifabrik dataset grant press-line-7 --purpose qa --only-code job.yaml
      kifabrik dataset grant press-line-7 --purpose qa --attested
    """
)
@click.argument("name")
@click.option("--purpose", required=True, help="What it may be used for, as job files name it.")
@click.option("--days", default=90, show_default=True, help="Until it expires.")
@click.option("--member", "members", multiple=True, help="Only this member, by name or id; may be repeated.")
@click.option("--country", type=Country(), default="", help="Only on nodes in this country (ISO code).")
@click.option("--site", default="", help="Only at this site of the factory.")
@click.option("--node-class", default="", help="Only on nodes of this class.")
@click.option(
    "--only-code",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Only for exactly the code, command and packages of this job file, as they are now.",
)
@click.option("--runs-per-day", default=0, help="Most new runs within any 24 hours; 0 for no limit.")
@click.option("--attested", is_flag=True, help="Only on nodes that have shown what they booted into.")
@click.option("--ask", is_flag=True, help="A person at the keyholder decides each time.")
@steward_options
@json_option
def grant(
    name: str,
    purpose: str,
    days: int,
    members: tuple[str, ...],
    country: str,
    site: str,
    node_class: str,
    only_code: Path | None,
    runs_per_day: int,
    attested: bool,
    ask: bool,
    keys: StewardKeys,
    as_json: bool,
) -> None:
    """Permit the use of dataset NAME for a purpose. Signed with the tenant key; in force once in the ledger."""
    with open_session(keys.home) as session:
        dataset = session.catalogue().dataset(name).dataset
        code = ""
        if only_code is not None:
            prepared = prepare(session, read_job(only_code), only_code.resolve().parent)
            with waiting("Locking the environment …"):
                locked = lock_environment(prepared)
            code = code_digest(session, prepared, locked)
    with keys.open() as steward:
        given = steward.grant(
            dataset,
            purpose,
            days=days,
            members=members,
            place=Place(country, site, node_class),
            code=code,
            runs_per_day=runs_per_day,
            attested=attested,
            ask=ask,
            names={"name": name},
        )
        delivered = not steward.waits(given.grant)
    if as_json:
        said = {"grant": given.grant, "dataset": dataset, "purpose": purpose, "expires": given.expires}
        show_json({**said, "delivered": delivered})
        return
    if not delivered:
        warn(f"{given.grant} is signed and kept here, but the factory has not taken it: it permits nothing yet")
        remark("  The keyholder delivers it when the factory can be reached: kifabrik keyholder status")
        return
    done(f"{name} may be used for {purpose} until {given.expires}, {given.place}")
    if attested:
        remark("  only on attested nodes: kifabrik keyholder attestation show")
    remark(f"  grant {given.grant}; end it with: kifabrik dataset revoke {given.grant}")
