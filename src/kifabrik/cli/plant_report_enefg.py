"""`kifabrik plant report enefg`."""

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import click

from kifabrik.cli.options import json_option, language_option
from kifabrik.cli.terminal import remark, show_json, show_table, warn
from kifabrik.errors import UsageError

_LARGE: Final = 1000.0
_SMALL: Final = 10.0
_WORDS: Final = {
    "head": (
        "{name}: EnEfG § 11 zum Ende von {year}, in Betrieb seit {start}",
        "{name}: EnEfG § 11 at the end of {year}, in operation since {start}",
    ),
    "columns": ("§,WERT VON,WERT,GRENZE,WANN,", "§,FIGURE,VALUE,BOUND,WHEN,"),
    "fields": ("NR.,ANGABE,WERT,GRUNDLAGE", "NO.,FIELD,VALUE,BASIS"),
    "binds": ("gilt", "binds"),
    "from": ("ab {day}", "from {day}"),
    "met": ("erfüllt", "met"),
    "not met": ("NICHT ERFÜLLT", "NOT MET"),
    "not yet met": ("noch nicht erfüllt", "not yet met"),
    "note": (
        "Nach Abs. 2 zählt die PUE Strom nicht, der nur Abwärme aufwertet (Satz 3). Werte sind simuliert.",
        "By (2), PUE leaves out electricity that only upgrades waste heat (sentence 3). Values are simulated.",
    ),
    "checked": (
        "Geprüft am Wortlaut: {name}, Stand {day}: {at}",
        "Checked against the text: {name} as of {day}: {at}",
    ),
    "unread": ("Nicht am Gesetzestext geprüft: {rows}.", "Not checked against the law's text: {rows}."),
    "pending": (
        "Nicht in Kraft (Stand {day}): {law}, {said}. {at}",
        "Not in force as of {day}: {law}, {said}. {at}",
    ),
    "duties": ("PFLICHT,SEIT,§", "DUTY,SINCE,§"),
    "since": (
        "In Betrieb erst seit {day}: (EU) 2024/1364 will Werte seit da; diese sind die eines ganzen Jahres.",
        "In operation since {day} only: (EU) 2024/1364 wants values since then; these are those of a whole year.",
    ),
    "due": ("{law}; fällig {day}", "{law}; due {day}"),
    "small": ("Der Standort liegt unter der Größe dieses Registers.", "The site is below this register's size."),
    "gaps": ("{count} Lücken: {names}.", "{count} gaps: {names}."),
    "measured": ("gemessen", "measured"),
    "estimated": ("geschätzt", "estimated"),
    "stated": ("angegeben", "stated"),
    "gap": ("Lücke", "gap"),
}

if TYPE_CHECKING:
    from kifabrik.plant.law.filling import Filled
    from kifabrik.plant.law.rows import Duty, Pending, Register, Rules, Threshold, Verdict
    from kifabrik.plant.studies import Study


@click.command(
    epilog="""\b
    Examples:
      kifabrik plant report enefg results
      kifabrik plant report enefg results --year 2028 --language de
    """
)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--year", type=click.IntRange(2024, 2100), help="Whose law to apply. [the study's year]")
@click.option("--meters", type=click.Path(path_type=Path, file_okay=False, exists=True), help="Store of meters.")
@language_option("Of the fields.")
@json_option
def enefg(
    folder: Path, year: int | None, meters: Path | None, language: Literal["de", "en"], *, as_json: bool
) -> None:
    """Say what EnEfG § 11 asks of the year in FOLDER, and fill the fields of both registers.

    FOLDER is one that `kifabrik plant run --out` wrote. Each field says what it rests on; gaps are listed.
    """
    from kifabrik.plant.law.filling import concerned, fill, runs_since  # noqa: PLC0415 - slow to import
    from kifabrik.plant.law.rows import rules, verdicts  # noqa: PLC0415
    from kifabrik.plant.saving import load  # noqa: PLC0415

    study = load(folder)
    start = study.site.operator.in_operation_since
    if start is None:
        hint = "Write it there as 2026-10-01, and run the year again."
        raise UsageError(
            "operator.in_operation_since is not in the site file: the thresholds depend on it.", hint=hint
        )
    year = year or study.site.year
    summary = study.summary
    figures = {"pue": summary.pue, "pue_all": summary.pue_all, "erf": summary.erf, "ref": summary.ref}
    found = verdicts(figures, start, year)
    last = date(year, 12, 31)
    metered = {}
    if meters:
        from kifabrik.plant.metering.store import Store  # noqa: PLC0415

        metered = Store(meters).year(year)
    registers = [one for one in rules().registers if one.begin <= last <= one.until]
    filled = {one.id: fill(one, study, metered) for one in registers if concerned(one, study)}
    owed = rules().owed(study.site.electricity.connection / 1000, last)
    if as_json:
        show_json(_document(rules(), found, registers, filled, owed, language))
        return
    _show_verdicts(study, found, start, year, language)
    _show_duties(owed, language)
    began = runs_since(study, year)
    if began is not None:
        warn(_say(language, "since", day=began))
    for register in registers:
        _show_register(register, filled.get(register.id), year, language)
    _show_sources(rules(), found, registers, owed, language)


def _say(language: str, key: str, **parts: object) -> str:
    return _WORDS[key][language == "en"].format(**parts)


def _show_verdicts(study: "Study", found: "list[Verdict]", start: date, year: int, language: str) -> None:
    click.secho(_say(language, "head", name=study.site.name, year=year, start=start), bold=True)
    from kifabrik.plant.report.words import Speaker  # noqa: PLC0415 - slow to import

    say = Speaker("en" if language == "en" else "de")
    rows = []
    for one in found:
        bound = one.threshold
        sign, limit = ("<=", bound.at_most) if bound.at_most is not None else (">=", bound.at_least or 0.0)
        binds = _say(language, "binds") if one.binding else _say(language, "from", day=one.since)
        rows.append(
            (
                bound.law.removeprefix("EnEfG "),
                bound.figure.removesuffix("_all").upper(),
                say.number(one.value, 3),
                f"{sign} {say.plain(limit)}",
                binds,
                _word(one, language),
            )
        )
    show_table(_say(language, "columns").split(","), rows, right=(2,))
    remark(_say(language, "note"))


def _show_duties(owed: "tuple[Duty, ...]", language: Literal["de", "en"]) -> None:
    if owed:
        click.echo()
        rows = [(getattr(one, language), str(one.begin), one.law.removeprefix("EnEfG ")) for one in owed]
        show_table(_say(language, "duties").split(","), rows)


def _show_sources(
    law: "Rules",
    found: "list[Verdict]",
    registers: "list[Register]",
    owed: "tuple[Duty, ...]",
    language: Literal["de", "en"],
) -> None:
    rows: list[Threshold | Duty | Register] = [*(one.threshold for one in found), *owed, *registers]
    click.echo()
    for name, source in law.sources.items():
        if any(one.seen == name for one in rows):
            read = source.name_de if language == "de" and source.name_de else source.name
            remark(_say(language, "checked", name=read, day=source.as_of, at=source.at))
    unread = sorted({one.law for one in rows if one.seen is None})
    if unread:
        warn(_say(language, "unread", rows="; ".join(unread)))
    for one in law.pending:
        remark(
            _say(
                language, "pending", day=one.as_of, law=_law(one, language), said=getattr(one, language), at=one.at
            )
        )


def _word(verdict: "Verdict", language: str) -> str:
    missed = "not met" if verdict.binding else "not yet met"
    return _say(language, "met" if verdict.met else missed)


def _show_register(
    register: "Register", filled: "list[Filled] | None", year: int, language: Literal["de", "en"]
) -> None:
    click.echo()
    month, day = register.due
    click.secho(_say(language, "due", law=_law(register, language), day=date(year + 1, month, day)), bold=True)
    if filled is None:
        remark(_say(language, "small"))
        return
    rows = [(one.field.clause, _named(one, language), *_cells(one, language)) for one in filled]
    show_table(_say(language, "fields").split(","), rows, right=(2,))
    gaps = [getattr(one.field, language) for one in filled if one.basis.value == "gap"]
    for one in filled:
        if one.remark and one.basis.value != "gap":
            warn(f"{getattr(one.field, language)}: {one.remark}.")
    if gaps:
        warn(_say(language, "gaps", count=len(gaps), names="; ".join(gaps)))


def _law(row: "Register | Pending", language: str) -> str:
    return row.law_de if language == "de" and row.law_de else row.law


def _named(one: "Filled", language: Literal["de", "en"]) -> str:
    name: str = getattr(one.field, language)
    return f"{one.field.symbol} {name}".lstrip()


def _cells(one: "Filled", language: Literal["de", "en"]) -> tuple[str, str]:
    if one.value is None:
        return "-", _say(language, one.basis.value)
    from kifabrik.plant.report.words import Speaker  # noqa: PLC0415 - slow to import

    text = str(one.value)
    if isinstance(one.value, float):
        digits = (
            0 if abs(one.value) >= _LARGE or one.value == int(one.value) else 3 if abs(one.value) < _SMALL else 1
        )
        text = Speaker(language).number(one.value, digits)
    return f"{text} {one.field.unit}".rstrip(), _say(language, one.basis.value)


def _document(
    law: "Rules",
    found: "list[Verdict]",
    registers: "list[Register]",
    filled: "dict[str, list[Filled]]",
    owed: "tuple[Duty, ...]",
    language: str,
) -> dict[str, Any]:
    return {
        "thresholds": [
            {
                "law": one.threshold.law,
                "figure": one.threshold.figure,
                "value": one.value,
                "at_most": one.threshold.at_most,
                "at_least": one.threshold.at_least,
                "since": str(one.since),
                "binding": one.binding,
                "met": one.met,
                "checked": law.checked(one.threshold),
            }
            for one in found
        ],
        "duties": [
            {
                "law": one.law,
                "duty": getattr(one, language),
                "since": str(one.begin),
                "checked": law.checked(one),
            }
            for one in owed
        ],
        "registers": {
            register.law: [
                {
                    "id": one.field.id,
                    "clause": one.field.clause,
                    "symbol": one.field.symbol,
                    "field": getattr(one.field, language),
                    "value": one.value,
                    "unit": one.field.unit,
                    "basis": one.basis.value,
                    "remark": one.remark,
                    "checked": law.checked(register),
                }
                for one in filled.get(register.id, [])
            ]
            for register in registers
        },
        "pending": [
            {"law": one.law, "as_of": str(one.as_of), "says": getattr(one, language), "at": one.at}
            for one in law.pending
        ],
    }
