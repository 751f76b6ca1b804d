"""Tables as they come from laboratories and spreadsheets."""

import csv
import random
from pathlib import Path

import pytest
from measured_tables import prepared, write
from rdkit import Chem

from kifabrik.errors import UsageError
from kifabrik.recipes.pharma.compounds import read_compounds, write_compounds
from kifabrik.recipes.pharma.endpoints import Censored, Kind, limit_of
from kifabrik.recipes.pharma.measuring import Wishes, date_of
from kifabrik.recipes.pharma.numbers import Relation
from kifabrik.recipes.pharma.piles import piles_of
from kifabrik.recipes.pharma.prepared import load_prepared, save_prepared
from kifabrik.recipes.pharma.preparing import Prepared, prepare
from kifabrik.recipes.pharma.reading import rows_of
from kifabrik.recipes.pharma.rejects import Reason


def reasons(made: Prepared) -> list[tuple[int, Reason]]:
    return [(one.row, one.reason) for one in made.rejects]


def by_id(made: Prepared, endpoint: str) -> dict[str, float]:
    return dict(zip(made.compounds.id, made.compounds.endpoints[endpoint].value, strict=True))


def test_every_row_that_is_left_out_says_why(tmp_path: Path) -> None:
    made = prepared(
        tmp_path,
        "id,smiles,y\na,CCO,1.5\nb,C1CC,2\nc,,3\nd,N[Pt](N)(Cl)Cl,4\ne,CCN,viel\nf,CCC,\ng,O,5\nh,CCCC,6,7\n",
    )
    assert reasons(made) == [
        (3, Reason.UNREADABLE),
        (4, Reason.NO_STRUCTURE),
        (5, Reason.METAL),
        (6, Reason.NOT_A_NUMBER),
        (7, Reason.NO_VALUE),
        (8, Reason.NO_CARBON),
        (9, Reason.BROKEN_ROW),
    ]
    assert by_id(made, "y") == {"a": 1.5}


def test_a_german_spreadsheet_is_read(tmp_path: Path) -> None:
    text = "Name;Smiles;Löslichkeit;Einheit;Datum\nA;CCO;1,5;µM;31.05.2024\nB;CCN;2.000,25;µM;1.6.2024\n"
    path = write(tmp_path / "excel.csv", text, "cp1252")
    made = prepare([path])
    assert by_id(made, "Löslichkeit") == {"A": 1.5, "B": 2000.25}
    assert made.endpoints[0].unit == "uM"
    assert sorted(made.compounds.date) == ["2024-05-31", "2024-06-01"]


def test_german_names_of_columns_are_known(tmp_path: Path) -> None:
    text = "Verbindung;Struktur;IC50 (nM);Messdatum\r\nBAY 1;CCO;1,5;31.05.2024\r\n"
    made = prepare([write(tmp_path / "t.csv", text, "cp1252")]).compounds
    assert (made.id, made.date) == (("BAY 1",), ("2024-05-31",))


def test_replicates_that_agree_become_their_median(tmp_path: Path) -> None:
    made = prepared(tmp_path, "id,smiles,IC50,unit\na,CCO,10,nM\nb,OCC,20,nM\nc,C(O)C,0.03,uM\nd,CCN,5,nM\n")
    assert by_id(made, "IC50") == {"a": 20.0, "d": 5.0}
    assert dict(zip(made.compounds.id, made.compounds.endpoints["IC50"].count, strict=True)) == {"a": 3, "d": 1}


def test_replicates_that_conflict_are_all_left_out(tmp_path: Path) -> None:
    made = prepared(tmp_path, "id,smiles,IC50,unit\na,CCO,1,nM\nb,OCC,200,nM\nd,CCN,5,nM\n")
    assert by_id(made, "IC50") == {"d": 5.0}
    assert reasons(made) == [(2, Reason.CONFLICT), (3, Reason.CONFLICT)]


def test_classes_that_conflict_are_all_left_out(tmp_path: Path) -> None:
    made = prepared(tmp_path, "smiles,active\nCCO,yes\nOCC,no\nCCN,no\nCCC,yes\n")
    assert made.endpoints[0].kind is Kind.CLASS
    assert len(made.compounds) == 2


def test_the_order_of_rows_changes_nothing(tmp_path: Path) -> None:
    rows = [
        "a,CCO,10,nM,x", "b,OCC,20,nM,y", "c,CCN.Cl,0.03,uM,z", "d,NCC,25,nM,", "e,c1ccccc1,<5,nM,", "f,C1CC,5,nM,",
        "g,C[C@H](N)C(=O)O,7,nM,q", "h,C[C@@H](N)C(=O)O,700,nM,", "i,CCC,1e9,nM,",
    ]  # fmt: skip
    first = None
    for seed in range(4):
        random.Random(seed).shuffle(rows)
        made = prepared(tmp_path, "id,smiles,IC50,unit,note\n" + "\n".join(rows), Wishes(endpoints=("IC50",)))
        path = tmp_path / f"{seed}.csv"
        write_compounds(path, made.compounds)
        first = first or path.read_bytes()
        assert path.read_bytes() == first


def test_mixed_units_come_to_one_and_others_are_left_out(tmp_path: Path) -> None:
    text = "id,smiles,IC50,unit\na,CCO,10,nM\nb,CCN,0.5,uM\nc,CCC,7,pIC50\nd,CCCC,30,%\ne,CCCl,1,nM\n"
    made = prepared(tmp_path, text)
    assert by_id(made, "IC50") == pytest.approx({"a": 10.0, "b": 500.0, "c": 100.0, "e": 1.0})
    assert reasons(made) == [(5, Reason.WRONG_UNIT)]


def test_a_number_without_a_unit_among_mixed_ones_is_not_guessed(tmp_path: Path) -> None:
    made = prepared(tmp_path, "id,smiles,IC50,unit\na,CCO,10,nM\nb,CCN,2,uM\nc,CCC,3,nM\nd,CCCC,4,\n")
    assert by_id(made, "IC50") == pytest.approx({"a": 10.0, "b": 2000.0, "c": 3.0})
    assert reasons(made) == [(5, Reason.WRONG_UNIT)]
    alike = prepared(tmp_path, "id,smiles,IC50,unit\na,CCO,10,nM\nd,CCCC,4,\n")
    assert by_id(alike, "IC50") == {"a": 10.0, "d": 4.0}


def test_a_mass_becomes_an_amount_by_the_molar_mass(tmp_path: Path) -> None:
    text = "id,smiles,S,unit\na,c1ccccc1,78.11,mg/L\n"
    made = prepared(tmp_path, text, Wishes(units={"S": "mM"}))
    assert by_id(made, "S")["a"] == pytest.approx(1.0, rel=1e-3)


def test_bounds_are_kept_as_bounds_or_left_out_as_wished(tmp_path: Path) -> None:
    text = "id,smiles,IC50\na,CCO,10\nb,CCN,>100\nc,CCC,<1\n"
    dropped = prepared(tmp_path, text, Wishes(censored=Censored.DROP))
    assert by_id(dropped, "IC50") == {"a": 10.0}
    kept = prepared(tmp_path, text)
    assert by_id(kept, "IC50") == {"a": 10.0, "b": 100.0, "c": 1.0}
    side = dict(zip(kept.compounds.id, kept.compounds.endpoints["IC50"].side.tolist(), strict=True))
    assert side == {"a": 0, "b": 1, "c": -1}
    assert kept.bounds_kept == {"IC50": 2}
    assert kept.rejects == ()
    limited = prepared(tmp_path, text, Wishes(limits=(limit_of("IC50<50"),)))
    assert by_id(limited, "IC50") == {"a": 1.0, "b": 0.0, "c": 1.0}


def test_bounds_that_are_left_out_are_counted_for_the_model_card(tmp_path: Path) -> None:
    table = write(tmp_path / "t.csv", "id,smiles,IC50,logD\na,CCO,10,1\nb,CCN,>100,2\nc,CCC,<1,>4\n")
    made = prepare([table], Wishes(endpoints=("IC50", "logD"), censored=Censored.DROP))
    save_prepared(made, [table], tmp_path / "kept")
    assert load_prepared(tmp_path / "kept")[1].bounds == {"IC50": 2, "logD": 1}


@pytest.mark.parametrize(
    ("cells", "left"),
    [
        ((">10", ">30", ">20"), (30.0, ">", 3)),
        (("<10", "<30"), (10.0, "<", 2)),
        ((">10", "12", ">100"), (12.0, "=", 1)),
        ((">10", "<30"), None),
    ],
    ids=["lower bounds", "upper bounds", "a measurement among them", "both sides"],
)
def test_of_several_bounds_the_one_that_says_most_is_kept(
    tmp_path: Path, cells: tuple[str, ...], left: tuple[float, str, int] | None
) -> None:
    rows = "\n".join(f"{at},CCO,{cell}" for at, cell in enumerate(cells))
    made = prepared(tmp_path, f"id,smiles,y\nx,CCN,7\nz,CCC,9\n{rows}\n", Wishes(tolerance=1.0))
    values, keys = made.compounds.endpoints["y"], made.compounds.smiles
    found = None
    if "CCO" in keys:
        at = keys.index("CCO")
        found = (values.value[at], values.relation[at], values.count[at])
    assert found == left
    assert len(made.rejects) == (0 if left else len(cells))


def test_a_bound_among_classes_is_left_out_and_said(tmp_path: Path) -> None:
    made = prepared(tmp_path, "id,smiles,y\na,CCO,1\nb,CCN,0\nc,CCC,<1\n")
    assert made.endpoints[0].kind is Kind.CLASS
    assert by_id(made, "y") == {"a": 1.0, "b": 0.0}
    assert [one.id for one in made.rejects] == ["c"]


@pytest.mark.parametrize(
    ("values", "ends"),
    [
        ([0.1] * 30 + [0.2, 0.3, 0.4, 0.4, 0.5] * 5, [(0.1, Relation.BELOW, 30)]),
        ([0.0] + [0.1] * 50 + [float(at) for at in range(1, 60)], [(0.1, Relation.BELOW, 50)]),
        ([1.0, 2.0, 3.0, 4.0] * 30, []),
        ([0.0] * 40 + [100.0] * 20 + list(range(1, 90)), [(0.0, Relation.BELOW, 40), (100.0, Relation.ABOVE, 20)]),
        ([0.0] * 40 + [1.0] * 20, []),
        ([5.0] * 9 + list(range(10, 60)), []),
    ],
    ids=["a floor", "a floor with one below it", "whole numbers", "per cents", "two values", "too few"],
)
def test_a_value_that_piles_up_at_an_end_is_found(
    values: list[float], ends: list[tuple[float, Relation, int]]
) -> None:
    assert [(pile.value, pile.side, pile.count) for pile in piles_of(values)] == ends


def test_a_bound_turns_over_with_a_negative_logarithm(tmp_path: Path) -> None:
    text = "id,smiles,IC50,unit,relation\na,CCO,10000,nM,>\nb,CCN,10,nM,=\n"
    made = prepared(tmp_path, text, Wishes(units={"IC50": "-log10(M)"}))
    at = made.compounds.id.index("a")
    assert made.compounds.endpoints["IC50"].value[at] == pytest.approx(5.0)
    assert made.compounds.endpoints["IC50"].relation[at] == "<"


def test_an_sdf_is_read_with_its_properties(tmp_path: Path) -> None:
    path = tmp_path / "some.sdf"
    with Chem.SDWriter(str(path)) as writer:
        for name, smiles, value in (("a", "CCO", "1.5"), ("b", "C[C@H](N)C(=O)O", "2.5")):
            molecule = Chem.MolFromSmiles(smiles)
            molecule.SetProp("_Name", name)
            molecule.SetProp("y", value)
            molecule.SetProp("vendor", "ACME")
            writer.write(molecule)
    path.write_text(path.read_text() + "broken\n$$$$\n")
    made = prepare([path])
    assert by_id(made, "y") == {"a": 1.5, "b": 2.5}
    assert made.compounds.properties["vendor"] == ("ACME", "ACME")
    assert reasons(made) == [(3, Reason.BROKEN_ROW)]


def test_packed_tables_are_read(tmp_path: Path) -> None:
    assert len(prepare([write(tmp_path / "t.csv.gz", "smiles,y\nCCO,1.5\nCCN,2.5\n")]).compounds) == 2


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("t.csv", "", "is empty"),
        ("t.csv", "a,b\n1,2\n", "no column of structures"),
        ("t.csv", "smiles,y\n", "no rows"),
        ("t.csv", "smiles\nCCO\n", "no column of measurements"),
        ("t.csv", "smiles,x,y\nCCO,1,2\nCCN,2,3\n", "several columns"),
        ("t.csv", "smiles,y,y\nCCO,1,2\n", "two columns y"),
        ("t.csv", "smiles,y\nC1CC,1\n", "No compound is left"),
        ("t.csv.gz", "not packed", "cannot be read"),
        ("t.docx", "smiles,y\nCCO,1\n", "no kind of file"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused_with_a_sentence(
    tmp_path: Path, name: str, text: str, says: str
) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(UsageError, match=says):
        prepare([path])


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no column IC50") as refused:
        prepared(tmp_path, "smiles,y\nCCO,1\n", Wishes(endpoints=("IC50",)))
    assert "y" in refused.value.hint


def test_a_unit_for_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no endpoint"):
        prepared(tmp_path, "smiles,y\nCCO,1\n", Wishes(units={"IC50": "nM"}))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_what_excel_saves_is_read(tmp_path: Path, encoding: str) -> None:
    path = write(tmp_path / "t.txt", "Smiles\tLöslichkeit\r\nCCO\t1,5\r\nCCN\t2,5\r\n", encoding)
    assert sorted(prepare([path]).compounds.endpoints["Löslichkeit"].value) == [1.5, 2.5]


def test_cells_that_are_no_text_spoil_only_their_rows(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b'smiles,y\nCCO,1\nC\x00CN,2\nCCC,1e999\n"CC\nBr",3\nCCCl,4\n')
    made = prepare([path])
    assert max(made.compounds.endpoints["y"].value) == 4
    assert 1.0 in made.compounds.endpoints["y"].value
    assert Reason.NOT_A_NUMBER in [one.reason for one in made.rejects]


def test_a_folder_gives_back_what_was_put_in(tmp_path: Path) -> None:
    made = prepared(tmp_path, 'id,smiles,y,date,note\na,CCO,0.1,2024-05-31,"x, y"\nb,CCN,2,2024-06-01,\n')
    facts = save_prepared(made, [tmp_path / "table.csv"], tmp_path / "out")
    compounds, read = load_prepared(tmp_path / "out")
    assert read == facts
    assert compounds.id == made.compounds.id
    assert compounds.properties == made.compounds.properties
    assert compounds.endpoints["y"].value.tolist() == made.compounds.endpoints["y"].value.tolist()


def test_a_table_somebody_spoilt_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "c.csv", "id,smiles,inchikey,y,y.relation,y.n\na,CCO,K,abc,=,1\n")
    with pytest.raises(UsageError, match="Row 2"):
        read_compounds(path)


@pytest.mark.parametrize(
    ("cell", "iso"),
    [("2024-05-31T10:00", "2024-05-31"), ("1.6.2024", "2024-06-01"), ("2024", "2024"), ("3/4/2024", ""),
     ("31.02.2024", ""), ("soon", "")],
)  # fmt: skip
def test_dates_are_read_and_never_guessed(cell: str, iso: str) -> None:
    assert date_of(cell) == iso


def test_reading_a_table_leaves_the_limit_of_cells_to_others_as_it_was(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    table = tmp_path / "t.csv"
    table.write_text("id,smiles\na,CCO\n")
    assert [row.structure for row in rows_of(table)] == ["CCO"]
    assert csv.field_size_limit() == before
