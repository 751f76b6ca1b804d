import pytest

from kifabrik.recipes.supply_chain.tables import apply_scenario, examine, read_network, read_tables, scenario_names
from kifabrik.recipes.supply_chain.tables.reading import read
from kifabrik.recipes.supply_chain.tables.template import write_example


@pytest.fixture
def folder(tmp_path):
    write_example(tmp_path / "pumps")
    return tmp_path / "pumps"


def test_a_what_if_read_beside_the_tables_is_what_it_is_when_read_alone(folder):
    tables = read_tables(folder)
    base = read(tables, "pumps")
    for name in scenario_names(tables):
        assert read(apply_scenario(tables, name), "pumps", like=base).network == read_network(folder, name)


def test_tables_that_a_what_if_leaves_as_they_are_are_not_read_again(folder):
    tables = read_tables(folder)
    base = read(tables, "pumps")
    changed = apply_scenario(tables, scenario_names(tables)[0])
    again = read(changed, "pumps", like=base)
    same = [name for name in tables if changed[name] is tables[name]]
    assert same
    assert all(again.parsed.rows[name] is base.parsed.rows[name] for name in same)


def test_what_a_what_if_breaks_is_said_with_its_name(folder):
    with (folder / "scenarios.csv").open("a", encoding="utf-8") as file:
        headings = (folder / "scenarios.csv").read_text(encoding="utf-8").splitlines()[0].split(",")
        broken = {"name": "broken", "table": "demand", "key": "*", "column": "mean", "value": "-1"}
        file.write(",".join(broken.get(heading, "") for heading in headings) + "\n")
    examined = examine(folder)
    assert examined.network is not None
    assert not examined.problems[""]
    assert "negative" in str(examined.problems["broken"][0])
