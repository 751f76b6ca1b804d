"""What the operator says: limits that make sense, and notes that are found again."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from kifabrik.cli.admin_tenants import tenants
from kifabrik.errors import UsageError
from kifabrik.factory.allowances import Limits
from kifabrik.factory.factory import Factory
from signing_up import sign_up


@pytest.mark.parametrize(
    "wrong",
    [
        {"most_gpus": 10**19},
        {"month_micro_eur": 10**24},
        {"most_runs": -1},
        {"weight": 0.0},
        {"weight": float("nan")},
    ],
)
def test_limits_that_make_no_sense_are_refused_with_the_figure(opened: Factory, wrong: dict[str, float]) -> None:
    tenant = sign_up(opened)
    (figure,) = wrong.values()
    with pytest.raises(UsageError, match=f"{figure:g}" if isinstance(figure, float) else str(figure)):
        opened.runs.fleet.set_limits(tenant, replace(Limits(), **wrong))
    assert opened.runs.fleet.limits(tenant) == Limits()


def test_a_note_longer_than_its_column_is_refused(opened: Factory) -> None:
    with pytest.raises(UsageError, match="129 characters"):
        opened.accounts.make_code("x" * 129)


def test_the_note_of_a_code_is_shown_with_the_tenant_that_used_it(tmp_path: Path, opened: Factory) -> None:
    tenant = sign_up(opened, note="Muster GmbH")
    listed = CliRunner().invoke(tenants, ["--home", str(tmp_path)], catch_exceptions=False)
    assert [line.split("  ")[-1].strip() for line in listed.stdout.splitlines()] == ["NOTE", "Muster GmbH"]
    said = CliRunner().invoke(tenants, ["--home", str(tmp_path), "--json"], catch_exceptions=False)
    assert [(one["tenant"], one["note"]) for one in json.loads(said.stdout)] == [(tenant, "Muster GmbH")]
