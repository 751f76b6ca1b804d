"""`kifabrik ledger show`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from kifabrik.cli.options import home_option, json_option
from kifabrik.cli.terminal import show_json, show_table
from kifabrik.customer.catalogue import Catalogue
from kifabrik.customer.record import keep_cosigned_head
from kifabrik.customer.session import open_session
from kifabrik.ledger.entry import Entry, EntryKind
from kifabrik.values import now_utc


@click.command(
    epilog="""\b
    Examples:
      kifabrik ledger show
      kifabrik ledger show --last 5 --json
    """
)
@click.option("--last", type=click.IntRange(1), help="Only the last entries.")
@home_option
@json_option
def show(last: int | None, home: Path, as_json: bool) -> None:
    """Show who did what with which data, with your own names beside the log's random ids."""
    with open_session(home) as session:
        keep_cosigned_head(session)
        catalogue = session.catalogue()
        numbered = list(enumerate(catalogue.entries))[-last:] if last else list(enumerate(catalogue.entries))
        names = _names(catalogue)
        rows = [(index, entry, catalogue.detail(entry)) for index, entry in numbered]
    if as_json:
        show_json(
            [
                {
                    "index": index,
                    "kind": entry.kind,
                    "time": entry.time,
                    "refs": dict(entry.refs),
                    "names": dict(detail),
                }
                for index, entry, detail in rows
            ]
        )
        return
    show_table(
        ["#", "WHEN (UTC)", "WHAT", "ABOUT"],
        [(index, _short(entry.time), entry.kind, describe(entry, names)) for index, entry, _ in rows],
        right=(0,),
    )


def _short(time: str) -> str:
    """Leave out the year of this year, and the T and Z of RFC 3339: 80 columns are few."""
    text = time.replace("T", " ").removesuffix("Z")
    return text.removeprefix(f"{now_utc().year}-")


def _names(catalogue: Catalogue) -> Mapping[str, str]:
    return {one.dataset: one.name for one in catalogue.datasets()} | {one.run: one.name for one in catalogue.runs()}


def describe(entry: Entry, names: Mapping[str, str]) -> str:
    """Say in a few words what an entry is about, by name where one is known."""

    def name(key: str) -> str:
        value = entry.refs.get(key)
        if not value:
            return ""
        values: tuple[Any, ...] = value if isinstance(value, tuple) else (value,)
        return ", ".join(names.get(str(one), str(one)) for one in values)

    parts = []
    for key, word in (
        ("dataset", ""),
        ("run", "run "),
        ("purpose", "for "),
        ("datasets", "of "),
        ("receiver", "to "),
        ("member", "by "),
        ("grant", "grant "),
        ("outcome", ""),
        ("reason", "because "),
        ("attested", "attested by "),
    ):
        text = name(key)
        if text:
            parts.append(f"{word}{text}")
    if entry.kind == EntryKind.ATTESTATION_SET:
        parts.append(f"attestation policy {entry.refs.get('sequence', '')}")
    version = entry.refs.get("version")
    if version and parts:
        parts[0] += f"@{version}"
    return ", ".join(parts)
