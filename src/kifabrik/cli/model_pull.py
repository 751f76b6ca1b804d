"""`kifabrik model pull`."""

from dataclasses import asdict
from pathlib import Path
from typing import Final

import click

from kifabrik.cli.chain import show_chain
from kifabrik.cli.options import home_option, json_option
from kifabrik.cli.terminal import counted, done, remark, show_json, transfer, warn
from kifabrik.customer.record import keep_cosigned_head
from kifabrik.customer.results import pull_output, write_proof
from kifabrik.customer.session import open_session
from kifabrik.jobs.references import InputReference
from kifabrik.models.inspection import Finding, Verdict
from kifabrik.values import format_size

_MOST_SHOWN: Final = 8


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
        keep_cosigned_head(session)
    if as_json:
        links = [asdict(link) for link in pulled.proof.links]
        findings = [asdict(finding) for finding in pulled.findings]
        model = f"{found.name}@{found.version}"
        show_json({"model": model, "folder": str(folder), "links": links, "files": findings})
        return
    show_chain(pulled.proof.links)
    done(
        f"{found.name}@{found.version}: {counted(pulled.files, 'file')}, {format_size(pulled.size)}, "
        f"opened in {folder}; its chain is in {proof_file.name}"
    )
    _show_findings(pulled.findings)


def _show_findings(findings: tuple[Finding, ...]) -> None:
    """Say what is in the files: of each that is unsafe, and of the first few others."""
    unsafe = [finding for finding in findings if finding.is_unsafe]
    unknown = [finding.path for finding in findings if finding.verdict is Verdict.UNKNOWN]
    others = [finding for finding in findings if not finding.is_unsafe and finding.verdict is not Verdict.UNKNOWN]
    for finding in unsafe[:_MOST_SHOWN]:
        warn(f"{finding.path}: {finding.says}")
    for finding in others[:_MOST_SHOWN]:
        remark(f"  {finding.path}: {finding.says}")
    if unknown:
        more = ", …" if len(unknown) > _MOST_SHOWN else ""
        remark(f"  not checked, as in no known format of models: {', '.join(unknown[:_MOST_SHOWN])}{more}")
    hidden = len(findings) - len(unknown) - len(unsafe[:_MOST_SHOWN]) - len(others[:_MOST_SHOWN])
    if hidden:
        remark(f"  … and {hidden} more files, {len(unsafe)} unsafe in all; --json shows each")
    if unsafe:
        remark("  Do not load these unless you trust the job as you trust a program: docs/models.md")
