"""Orders the factory makes up or should have refused, put on record behind the service's back.

Parties of their own: `admin check` would rightly find what is done to the database here.
"""

import subprocess
import sys
from pathlib import Path

import pytest
from two_parties import two_parties

from kifabrik.sandbox.check import Verdict, check_sandbox


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    """A factory and a customer that nobody else plays with."""
    if any(check.verdict is Verdict.ERROR for check in check_sandbox()):
        pytest.skip("this machine cannot hold rooms")
    with two_parties(tmp_path_factory.mktemp("forged")) as playing:
        yield playing


def test_an_order_on_erased_data_past_the_catalogue_is_refused_by_the_factory_and_past_it_by_the_keyholder(
    stage, tmp_path
):
    dataset = stage.name("erased-too")
    stage.seal(dataset, {"one.csv": f"{stage.mark},1\n"})
    stage.grant(dataset, "upkeep")
    found = stage.sdk.session.catalogue().dataset(dataset).dataset
    words = ("--yes", "--passphrase-file", stage.secret)
    stage.customer.kifabrik("dataset", "erase", dataset, *words)
    job, order = stage.job(tmp_path, "print('ran')", data={"/data/line": dataset}), tmp_path / "order.json"
    past_the_catalogue = played("bypass.py", stage.customer.home, job, found, order)
    assert "by the factory (not-found)" in past_the_catalogue
    assert "is erased" in past_the_catalogue
    past_the_factory = played("forge.py", stage.factory.home / "factory", order)
    assert "by the keyholder (erased)" in past_the_factory


def test_an_order_the_factory_makes_up_is_refused_by_the_keyholder(stage, tmp_path):
    dataset = stage.name("line")
    stage.seal(dataset, {"one.csv": f"{stage.mark},1\n"})
    stage.grant(dataset, "upkeep")
    stage.order(tmp_path, "print('ran')", data={"/data/line": dataset}).result(120)
    assert "by the keyholder (unknown-order)" in played("forge.py", stage.factory.home / "factory")


def played(script, *words):
    """What a script of the demonstration said; it ends well only if it was refused."""
    command = [sys.executable, Path(__file__).parents[2] / "demo" / script, *words]
    ran = subprocess.run(list(map(str, command)), check=False, capture_output=True, text=True, timeout=90)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout
