"""`kifabrik ledger report`."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from kifabrik.cli.options import FileToWrite, home_option, json_option, language_option
from kifabrik.cli.terminal import counted, done, remark, show_json, show_table, warn
from kifabrik.cli.text_files import text_of
from kifabrik.customer.record import keep_cosigned_head, verify_offline
from kifabrik.customer.session import open_session
from kifabrik.errors import IntegrityError, KifabrikError, UsageError
from kifabrik.grants.statements import Grant
from kifabrik.signatures.statements import verify_statement
from kifabrik.values import format_time, now_utc

if TYPE_CHECKING:
    from kifabrik.customer.session import Session
    from kifabrik.customer.usage import Usage
    from kifabrik.ledger.entry import Entry


@click.command(
    epilog="""\b
    Examples:
      kifabrik ledger report
      kifabrik ledger report --out nachweis.html --language de
      kifabrik ledger report --dataset press-line-7 --from 2026-01-01 --to 2026-06-30 --out press.html
      kifabrik keyholder status --json > people.json      where the keyholder is
      kifabrik ledger report --names people.json --out record.html
    """
)
@click.option("--dataset", default="", metavar="NAME", help="Only of this dataset, also an erased one.")
@click.option("--from", "first", default="", metavar="DAY", help="First day (UTC), such as 2026-01-01.")
@click.option("--to", "last", default="", metavar="DAY", help="Last day (UTC).")
@click.option(
    "--names",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Members' names, as `keyholder status --json` prints them; without it members are random ids.",
)
@click.option("--out", type=FileToWrite(".html"), help="Write a page to print here (.html).")
@language_option("Of the page.")
@home_option
@json_option
def report(
    dataset: str,
    first: str,
    last: str,
    names: Path | None,
    out: Path | None,
    language: Literal["de", "en"],
    home: Path,
    *,
    as_json: bool,
) -> None:
    """Say who used which data for what purpose: for data protection officers, works councils and auditors.

    Made from your own copy of the log, which is recomputed first: if it does not verify, nothing is written.
    """
    from kifabrik.customer.usage import Period, usage_of  # noqa: PLC0415 - only here
    from kifabrik.customer.usage_page import page  # noqa: PLC0415

    period, people = Period(first, last), _names_of(names)
    with open_session(home) as session:
        keep_cosigned_head(session)
        verified = verify_offline(home)
        if verified.report.finding is not None:
            raise IntegrityError(
                f"the ledger does not verify: {verified.report.finding}", hint="Keep it as evidence."
            )
        catalogue = session.catalogue()
        known = {one.dataset: one.name for one in catalogue.datasets()}
        only = next((key for key, name in reversed(known.items()) if dataset in (key, name)), "") if dataset else ""
        if dataset and not only:
            only = catalogue.dataset(dataset).dataset  # raises
        called = known | {one.run: one.name for one in catalogue.runs()} | people
        found = usage_of(session.tenant, catalogue.entries, called, _terms(session), period, only)
    accepted = verified.report.accepted
    found = replace(
        found,
        entries=verified.report.entries,
        root=accepted.head.root.hex() if accepted else "",
        is_witnessed=bool(accepted and accepted.cosigned),
        newer=max(0, verified.held - verified.report.entries),
    )
    if out is not None:
        out.write_text(page(found, language, dataset, format_time(now_utc())), encoding="utf-8")
    if as_json:
        show_json(_document(found))
    elif out is not None:
        uses = counted(sum(bool(one.datasets) for one in found.releases), "release")
        done(f"{uses} of datasets' keys, {counted(len(found.refused), 'refusal')}. {out}")
    else:
        _show(found)


def _terms(session: "Session") -> "Callable[[Entry], Grant | None]":
    def terms(entry: "Entry") -> Grant | None:
        try:
            envelope = session.datasets.statement(str(entry.refs.get("statement", "")))
            said = verify_statement(envelope, Grant, [session.tenant_key]).predicate
        except KifabrikError:
            return None
        return said if said.grant == entry.refs.get("grant") else None

    return terms


def _names_of(path: Path | None) -> dict[str, str]:
    """Members' names by id.

    Raises:
        UsageError: The file is not what `keyholder status --json` prints.
    """
    if path is None:
        return {}
    try:
        members = json.loads(text_of(path))["members"]
        return {str(one["member"]): str(one["name"]) for one in members if one["name"]}
    except (ValueError, KeyError, TypeError):
        hint = "Where the keyholder is: kifabrik keyholder status --json > people.json"
        raise UsageError(f"{path} does not name members", hint=hint) from None


def _document(found: "Usage") -> dict[str, Any]:
    def names(*identifiers: str) -> dict[str, str]:
        return {one: found.named(one) for one in identifiers if one and found.named(one) != one}

    return {
        "tenant": found.tenant,
        "period": asdict(found.period),
        "log": {
            "entries": found.entries,
            "root": found.root,
            "cosigned": found.is_witnessed,
            "newer": found.newer,
        },
        "releases": [
            {**asdict(one), "names": names(one.run, one.member, one.receiver, *one.datasets)}
            for one in found.releases
        ],
        "refused": [{**asdict(one), "names": names(one.run, one.member)} for one in found.refused],
        "grants": [asdict(one) for one in found.permissions],
        "datasets": [{**asdict(one), "name": found.named(one.dataset)} for one in found.datasets],
    }


def _show(found: "Usage") -> None:
    remark(f"{found.entries} entries of the ledger verify, root {found.root}")
    if not found.is_witnessed:
        warn("the keyholder has not cosigned this state; only the factory has signed it")
    if found.newer:
        warn(f"{found.newer} newer entries are not cosigned yet")
    rows = [
        (
            one.time.replace("T", " ").removesuffix("Z")[:16],
            ", ".join(map(found.named, one.datasets)),
            one.purpose,
            found.named(one.run),
            found.named(one.member),
        )
        for one in found.releases
        if one.datasets
    ]
    if rows:
        show_table(["WHEN", "DATASET", "PURPOSE", "JOB", "ORDERED BY"], rows)
    others = len(found.releases) - len(rows)
    remark(f"{counted(others, 'release')} of keys of results and logs, {counted(len(found.refused), 'refusal')}")
    remark("--out record.html writes all of it as a page to print")
