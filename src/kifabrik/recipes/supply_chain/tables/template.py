"""Empty tables, their explanation in German and English, and the worked example."""

from importlib import resources
from pathlib import Path
from typing import Final

from kifabrik.recipes.supply_chain.tables.columns import TABLES
from kifabrik.recipes.supply_chain.tables.schema import Column, Type, Unit
from kifabrik.recipes.supply_chain.tables.write import refuse_existing

_LEAD_EN: Final = f"""\
One CSV file (or one sheet of an XLSX file) for each table. Only `product_site` is required, and a supply for every
row of it (`sourcing`, `lanes` or `bom`). Empty cells take the default. Columns may have their SAP names; other SAP
fields are left aside, and so are columns that begin with `_`. Times are in days unless a column `…_unit`, a heading
such as `lead_time_weeks` or the cell itself (`2 weeks`) names another unit: {", ".join(Unit)}. They are rounded to
whole periods. Check with `kifabrik supply-chain validate FOLDER`."""
_LEAD_DE: Final = f"""\
Je Tabelle eine CSV-Datei (oder ein Blatt einer XLSX-Datei). Nötig ist nur `product_site` und für jede ihrer Zeilen
eine Versorgung (`sourcing`, `lanes` oder `bom`). Leere Zellen nehmen die Vorgabe. Spalten dürfen wie in SAP heißen;
andere SAP-Felder und Spalten, die mit `_` beginnen, bleiben unbeachtet. Zeiten gelten in Tagen, wenn nicht eine
Spalte `…_unit`, eine Überschrift wie `lead_time_weeks` oder die Zelle (`2 weeks`) eine andere Einheit nennt:
{", ".join(Unit)}. Sie werden auf ganze Perioden gerundet. Prüfen mit `kifabrik supply-chain validate FOLDER`."""
_HEADINGS_EN: Final = ("column", "type", "unit", "default", "meaning", "SAP")
_HEADINGS_DE: Final = ("Spalte", "Art", "Einheit", "Vorgabe", "Bedeutung", "SAP")
_WORDS: Final = {
    "en": ("# Tables of a supply network", _LEAD_EN, _HEADINGS_EN, "required"),
    "de": ("# Tabellen eines Liefernetzes", _LEAD_DE, _HEADINGS_DE, "nötig"),
}


def markdown(language: str = "en") -> str:
    """Explanation of all tables and columns, "en" or "de"."""
    title, lead, headings, required = _WORDS[language]
    parts = [title, "", lead, ""]
    for table in TABLES.values():
        sap = f" (SAP: {', '.join(table.sap)})" if table.sap else ""
        parts += [f"## {table.name}", "", f"{table.de if language == 'de' else table.en}{sap}", ""]
        parts += [_line(headings), _line(("---",) * len(headings))]
        for column in table.columns:
            meaning = column.de if language == "de" else column.en
            if column.choices:
                meaning += " " + ", ".join(f"`{choice}`" for choice in column.choices)
            default = required if column.required else column.default.replace("inf", "∞")
            cells = (f"`{column.name}`", column.type, _unit(column), default, meaning, ", ".join(column.sap))
            parts.append(_line(cells))
        parts.append("")
    return "\n".join(parts)


def _line(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _unit(column: Column) -> str:
    if column.type is Type.TIME:
        return f"{column.default_unit} (`{column.where_unit}`)"
    return column.unit


def write_template(folder: Path) -> None:
    """Write all tables with headings only, and README.md and LIESMICH.md.

    Raises:
        UsageError: If the folder has tables already.
    """
    refuse_existing(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for table in TABLES.values():
        headings: dict[str, None] = {}
        for column in table.columns:
            headings[column.name] = None
            if column.type in {Type.TIME, Type.RATE}:
                headings[column.where_unit] = None
        (folder / f"{table.name}.csv").write_text(",".join(headings) + "\n", encoding="utf-8")
    _explain(folder)


def write_example(folder: Path) -> None:
    """Write the worked example, a maker of pumps, with README.md and LIESMICH.md.

    Raises:
        UsageError: If the folder has tables already.
    """
    refuse_existing(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for file in resources.files("kifabrik.recipes.supply_chain").joinpath("example").iterdir():
        if file.name.endswith(".csv"):
            (folder / file.name).write_bytes(file.read_bytes())
    _explain(folder)


def _explain(folder: Path) -> None:
    (folder / "README.md").write_text(markdown("en"), encoding="utf-8")
    (folder / "LIESMICH.md").write_text(markdown("de"), encoding="utf-8")
