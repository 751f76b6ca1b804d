"""`kifabrik env verify`."""

from pathlib import Path

import click

from kifabrik.cli.options import home_option, json_option
from kifabrik.cli.terminal import done, show_json, step, warn
from kifabrik.customer.locks import kept_lock
from kifabrik.customer.proof import prove_run
from kifabrik.customer.session import open_session
from kifabrik.environments.verify import Agreement, env_verify
from kifabrik.errors import IntegrityError


@click.command(
    epilog="""\b
    Example:
      kifabrik env verify press-anomaly
    """
)
@click.argument("run")
@home_option
@json_option
def verify(run: str, home: Path, as_json: bool) -> None:
    """Rebuild the environment of RUN from its lock and compare it with what the factory built.

    The run's signed chain says which tree digest was used. Needs Linux and the same Python.
    """
    with open_session(home) as session:
        catalogue = session.catalogue()
        proof = prove_run(session, catalogue, catalogue.run(run).run)
    lock = kept_lock(home, proof.order.predicate.lock)
    if not as_json:
        step(f"Rebuilding {len(lock.pins)} packages")
    result = env_verify(lock, proof.finish.predicate.environment)
    if as_json:
        show_json(
            {
                "agreement": result.agreement.value,
                "factory": result.expected,
                "rebuilt": result.rebuilt.tree_digest,
                "python": result.rebuilt.python_version,
            }
        )
    if result.agreement is Agreement.SAME:
        if not as_json:
            done(f"The same tree, to the byte: {result.expected}")
        return
    if not as_json:
        warn(f"factory {result.expected}; rebuilt {result.rebuilt.tree_digest}")
    raise IntegrityError(
        f"the environment differs from the one rebuilt here with Python {result.rebuilt.python_version}",
        hint="Another patch release of Python compiles a few files differently; compare with the same one.",
    )
