"""Exports of SAP's own tables, one file each."""

import pytest

from kifabrik.errors import UsageError
from kifabrik.recipes.supply_chain.tables import examine, read_network

EXPORT = {
    "MARA": "MATNR,MEINS,MTART\nFIN,PC,FERT\nRAW,KG,ROH\nBUY,PC,HAWA\n",
    "T001W": "WERKS,NAME1\n1000,Ulm\n2000,Brno\n",
    "MARC": "MATNR,WERKS,EISBE,LGRAD,DZEIT,BESKZ,PLIFZ\n"
    "FIN,1000,,98.5,4,E,\nRAW,1000,30,,,F,9\nBUY,1000,5,,,F,7\nRAW,2000,10,,,F,9\n",
    "MBEW": "MATNR,BWKEY,VPRSV,STPRS,VERPR,PEINH\nFIN,1000,S,2500,9999,10\nRAW,1000,V,1,300,100\nBUY,1000,S,4,,\n",
    "MAST": "MATNR,WERKS,STLNR,STLAL\nFIN,1000,00000017,01\n",
    "STKO": "STLNR,STLAL,BMENG\n00000017,01,100\n",
    "STPO": "STLNR,STLKN,IDNRK,MENGE,AUSCH,LKENZ,LOEKZ\n00000017,1,RAW,250,4,,\n00000017,2,BUY,300,,,\n"
    "00000017,3,OLD,1,,,X\n",
    "EORD": "MATNR,WERKS,LIFNR,NOTKZ\nRAW,1000,V1,\nRAW,1000,V9,X\nBUY,1000,V2,\nRAW,2000,V1,\n",
    "EINA": "INFNR,MATNR,LIFNR\n5300,RAW,V1\n5301,BUY,V2\n",
    "EINE": "INFNR,EKORG,WERKS,APLFZ,NETPR,PEINH\n5300,1,,12,200,100\n5300,1,2000,15,210,100\n5301,1,1000,6,4,1\n",
    "demand": "product,site,mean\nFIN,1000,10\n",
}


def written(folder, **tables):
    for name, text in (EXPORT | tables).items():
        if text is not None:
            (folder / f"{name}.csv").write_text(text)
    return folder


def test_bills_are_joined_with_the_materials_they_are_of_and_the_quantity_they_are_for(tmp_path):
    network = read_network(written(tmp_path))
    made = {lane.component: lane.quantity for lane in network.lanes if lane.target == "FIN@1000"}
    assert made == pytest.approx({"RAW": 2.5 * 1.04, "BUY": 3.0})
    fin = next(node for node in network.nodes if node.name == "FIN@1000")
    assert fin.making_time == 4


def test_suppliers_of_the_source_list_get_the_terms_of_their_info_record(tmp_path):
    network = read_network(written(tmp_path))
    bought = {lane.target: lane for lane in network.lanes if not lane.source}
    assert {name: lane.supplier for name, lane in bought.items()} == {
        "RAW@1000": "V1",
        "BUY@1000": "V2",
        "RAW@2000": "V1",
    }
    assert (bought["RAW@1000"].lead_time.mean, bought["RAW@1000"].unit_cost) == (12, 2.0)
    assert (bought["RAW@2000"].lead_time.mean, bought["RAW@2000"].unit_cost) == (15, 2.1)
    assert (bought["BUY@1000"].lead_time.mean, bought["BUY@1000"].unit_cost) == (6, 4.0)


def test_without_a_source_list_info_records_say_who_supplies_the_plants_that_buy(tmp_path):
    network = read_network(written(tmp_path, EORD=None))
    assert {(lane.target, lane.supplier, lane.lead_time.mean) for lane in network.lanes if not lane.source} == {
        ("RAW@1000", "V1", 12),
        ("RAW@2000", "V1", 15),
        ("BUY@1000", "V2", 6),
    }


def test_values_are_those_of_the_price_control_for_one_unit(tmp_path):
    values = {node.name: node.value for node in read_network(written(tmp_path)).nodes}
    assert values == {"FIN@1000": 250, "RAW@1000": 3, "BUY@1000": 4, "RAW@2000": 0}


def test_a_service_level_in_per_cent_is_a_share(tmp_path):
    shares = "MATNR,WERKS,LGRAD,DZEIT,BESKZ\nFIN,1000,0.985,4,E\nRAW,1000,,,F\nBUY,1000,,,F\nRAW,2000,,,F\n"
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    per_cent = read_network(written(tmp_path / "a", MARC=shares.replace("0.985", "98.5")))
    assert read_network(written(tmp_path / "b", MARC=shares)).nodes == per_cent.nodes


@pytest.mark.parametrize(
    ("tables", "says"),
    [
        ({"MAST": None}, "STPO names no material, and there is no MAST"),
        ({"MAST": "MATNR,WERKS\nFIN,1000\n"}, "MAST has no column STLNR"),
        ({"EINA": None}, "EINE names no material, and there is no EINA"),
    ],
)
def test_a_table_that_says_nothing_alone_asks_for_the_other(tmp_path, tables, says):
    with pytest.raises(UsageError, match=says) as caught:
        read_network(written(tmp_path, **tables))
    assert caught.value.message


def test_a_problem_is_found_in_the_row_of_the_export_that_has_it(tmp_path):
    text = EXPORT["STPO"].replace("RAW,250", "RAW,many").replace("BUY,300", "XXX,300")
    found = [str(problem) for problem in examine(written(tmp_path, STPO=text)).problems[""]]
    assert any(text.startswith("bom, row 2, column quantity: 'many'") for text in found)
    assert any(
        text.startswith("bom, row 3, column component: XXX at 1000 is not in product_site") for text in found
    )


def test_rows_that_are_there_twice_in_the_first_of_two_exports_are_still_reported(tmp_path):
    twice = EXPORT["MARC"] + "RAW,2000,11,,,F,9\n"
    found = [str(problem) for problem in examine(written(tmp_path, MARC=twice)).problems[""]]
    assert any("product RAW, site 2000 is already in row 5" in text for text in found)
