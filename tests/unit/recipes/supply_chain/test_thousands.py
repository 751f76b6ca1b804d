"""Thousands parted by points, as Excel writes into a CSV what it shows."""

import pytest

from kifabrik.errors import UsageError
from kifabrik.recipes.supply_chain.tables import read_network
from kifabrik.recipes.supply_chain.tables.source import read_tables


def folder(tmp_path, rows):
    (tmp_path / "sourcing.csv").write_text("product;site;supplier\n100.200;Ulm;Schmidt\n")
    (tmp_path / "product_site.csv").write_text("product;site;level;holding_cost\n" + "\n".join(rows) + "\n")
    return tmp_path


def test_points_part_thousands_where_the_file_has_decimal_commas(tmp_path):
    (node,) = read_network(folder(tmp_path, ["100.200;Ulm;1.500;0,25"])).nodes
    assert node.policy.level == 1500
    assert node.name == "100.200@Ulm"  # a number of a product stays as it is


@pytest.mark.parametrize("cost", ["", "2", "12"])
def test_a_level_that_may_be_a_thousand_times_another_is_refused(tmp_path, cost):
    with pytest.raises(UsageError, match=r"product_site\.csv, column level: it holds '1\.500', which may be 1500"):
        read_tables(folder(tmp_path, [f"100.200;Ulm;1.500;{cost}"]))


@pytest.mark.parametrize("other", ["1.25", "0.500", "2500"])
def test_points_are_decimal_where_another_cell_of_the_column_shows_it(tmp_path, other):
    rows = ["100.200;Ulm;1.500;", f"100.200;Brno;{other};"]
    assert read_tables(folder(tmp_path, rows))["product_site"].rows[0].cells["level"] == "1.500"
