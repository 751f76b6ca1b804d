"""Other ways in, and where secrets are kept: each with the installed command's own code and a real factory."""

from decimal import Decimal

import pytest
from click.testing import CliRunner

from kifabrik.cli.main import cli
from kifabrik.errors import NotFoundError


@pytest.fixture
def run(house):
    """Run `kifabrik sap …` in this process, on the customer's home."""

    def run(*words, text=None):
        words = ["sap", *map(str, words), "--home", str(house.session.home)]
        ran = CliRunner().invoke(cli, words, input=text, catch_exceptions=False)
        assert ran.exit_code == 0, ran.output
        return ran.output

    return run


def test_a_secret_is_kept_by_the_keyholder_and_used_from_there(house, run):
    key_file = house.session.home / "keyholder.key"
    unlock = ("--key-file", key_file)
    said = run("secret", "s4", *unlock, text=f"{house.peer.secret}\n")
    assert house.peer.secret not in said
    plan = house.folder / "plan.yaml"
    text = house.plan_text("{entity_set: Plants, fields: [name], rows: 10}")
    plan.write_text(text.replace("{env: KIFABRIK_TEST_SAP_SECRET}", "{keyholder: s4}"))
    assert "sealed" in run("pull", plan, *unlock)
    for path in (house.session.home / "keyholder").rglob("*"):
        assert not path.is_file() or house.peer.secret.encode() not in path.read_bytes()
    run("secret", "s4", "--remove", *unlock)
    with pytest.raises(NotFoundError, match="no secret 's4'"):
        run("pull", plan, *unlock)


def test_files_become_a_sealed_dataset_with_types(house, run):
    (house.folder / "stock.csv").write_text("Material;quantity\n000123;1.234,500-\n000124;7,1\n")
    (house.folder / "files.yaml").write_text(
        f"""
dataset: {house.dataset}
purpose: supply-planning
confirmed: {{by: Anna Huber, on: 2026-11-20, because: "an export of our own"}}
tables:
  Stock:
    files: [stock.csv]
    rows: 10
    keys: [product]
    delimiter: ";"
    decimal: ","
    headings: {{product: Material}}
    columns: {{product: text, quantity: "decimal(13,3)"}}
"""
    )
    run("upload", house.folder / "files.yaml")
    assert house.table("Stock").to_pylist() == [
        {"product": "000123", "quantity": Decimal("-1234.500")},
        {"product": "000124", "quantity": Decimal("7.100")},
    ]


def test_a_probe_says_what_is_truly_supported(house, run, monkeypatch):
    import json

    monkeypatch.setenv("KIFABRIK_SAP_TOKEN_URL", house.peer.token_url)
    monkeypatch.setenv("KIFABRIK_SAP_CLIENT_ID", "kifabrik")
    monkeypatch.setenv("KIFABRIK_SAP_CLIENT_SECRET", house.peer.secret)
    found = {}
    for service, version in (("supply", 4), ("supply", 2), ("changing", 4), ("changing", 2)):
        said = json.loads(run("probe", house.peer.service(service, version), "--set", "Products", "--json"))
        assert said["version"] == version
        assert said["batch"] == ("json" if version == 4 else "multipart")
        found[service, version] = said["sets"][0]
    assert {key: one["changes"] for key, one in found.items()} == {
        ("supply", 4): "no",
        ("supply", 2): "no",
        ("changing", 4): "yes",
        ("changing", 2): "yes",
    }
    assert {(one["page"], one["next_link"]) for one in found.values()} == {(50, "relative"), (50, "absolute")}
    assert found["supply", 4]["page_size"] == "no"
    assert found["supply", 4]["rows"] == 2000
