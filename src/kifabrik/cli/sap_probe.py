"""`kifabrik sap probe`."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kifabrik.cli.options import home_option, json_option
from kifabrik.cli.plain import plain
from kifabrik.cli.sap_secret import store_of, store_options
from kifabrik.cli.terminal import done, remark, show_json, show_table, warn
from kifabrik.errors import SignInError

if TYPE_CHECKING:
    from kifabrik.connectors.sap.probe import Probed, SetFound


_NO_PLAN = (
    "Without a plan the environment says how to sign in, such as KIFABRIK_SAP_USER and KIFABRIK_SAP_PASSWORD. "
    "All ways: kifabrik sap probe --help"
)


@click.command(
    epilog="""\b
    Examples:
      kifabrik sap probe https://s4.example/sap/opu/odata4/sap/api_material
      kifabrik sap probe https://s4.example/sap/opu/odata/sap/API_PRODUCT_SRV --set A_Product
      kifabrik sap probe https://s4.example/odata/v4/supply --draft plan.yaml
      kifabrik sap probe --plan plan.yaml

    \b
    Without a plan, the environment says how to sign in:
      KIFABRIK_SAP_USER and KIFABRIK_SAP_PASSWORD, or
      KIFABRIK_SAP_TOKEN_URL, _CLIENT_ID, _CLIENT_SECRET (and _SCOPE), or
      KIFABRIK_SAP_CERTIFICATE and KIFABRIK_SAP_KEY
    """
)
@click.argument("url", required=False)
@click.option("--plan", type=click.Path(path_type=Path), help="Take address and sign-in from this plan.")
@click.option("--set", "only", default="", help="Look at this entity set, with all its fields.")
@click.option("--draft", type=click.Path(path_type=Path), help="Also write a plan of all that was found, to edit.")
@store_options
@home_option
@json_option
def probe(
    url: str | None,
    plan: Path | None,
    only: str,
    draft: Path | None,
    passphrase_file: Path | None,
    key_file: Path | None,
    home: Path,
    as_json: bool,
) -> None:
    """Say what the OData service at URL has, and what it truly supports.

    Each set is tried: whether it pages, keeps a page size, counts, and tracks changes; the service, whether
    it takes several requests in one round trip. A probe reads no more than a page of each, and changes nothing.
    """
    from kifabrik.connectors.sap.asking import caller_of, connect  # noqa: PLC0415 - slow to import
    from kifabrik.connectors.sap.drafting import draft_plan  # noqa: PLC0415
    from kifabrik.connectors.sap.environment import sign_in_from_environment  # noqa: PLC0415
    from kifabrik.connectors.sap.plan import check_url, read_plan  # noqa: PLC0415
    from kifabrik.connectors.sap.probe import probe as look  # noqa: PLC0415

    if (url is None) == (plan is None):
        raise click.UsageError("Name the URL of a service, or a plan with --plan.")
    if draft is not None and draft.exists():
        raise click.UsageError(f"{draft} exists. Name another file with --draft.")
    store = store_of(home, passphrase_file, key_file)
    read = read_plan(plan) if plan else None
    sign_in = read.sign_in if read else sign_in_from_environment()
    try:
        with caller_of(read, store) if read else connect(check_url(url or ""), sign_in) as caller:
            found = look(caller, only=only)
    except SignInError as error:
        raise SignInError(error.message, hint=error.hint if read else _NO_PLAN) from None
    if draft is not None:
        draft.write_text(draft_plan(found, sign_in), encoding="utf-8")
    if as_json:
        show_json(asdict(found))
        return
    remark(f"OData V{found.version} at {found.service}")
    remark(f"Several requests in one round trip ($batch): {found.batch.value}")
    _show(found)
    if only:
        click.echo()
        _show_fields(found.sets[0])
    if draft is not None:
        done(f"{draft}: a plan of all this, to cross out and to sign; then: kifabrik sap pull {draft}")


def _show(found: "Probed") -> None:
    rows = [
        (
            one.name,
            "?" if one.rows is None else f"{one.rows:,}",
            "-" if one.page is None else f"{one.page} ({one.next_link})",
            one.page_size.value,
            one.changes.value,
            " ".join(field.name for field in one.fields if field.key),
        )
        for one in found.sets
    ]
    show_table(["SET", "ROWS", "PAGE", "SIZE KEPT", "CHANGES", "KEYS"], rows, right=(1,))
    for one in found.sets:
        if one.problem:
            warn(f"{one.name}: {one.problem}")


def _show_fields(found: "SetFound") -> None:
    rows = [
        (one.name, one.type, one.column or "none: leave it out, or as_text", "key" if one.key else "")
        for one in found.fields
    ]
    show_table(["FIELD", "TYPE", "COLUMN", ""], rows)
    for navigation in found.navigations:
        many = "many" if navigation.many else "one"
        click.echo(plain(f"{navigation.name} leads to {many} of {navigation.target}"))
