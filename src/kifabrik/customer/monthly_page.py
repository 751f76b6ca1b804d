"""A monthly statement as a page to print: HTML without script and network, in German or English."""

from html import escape
from typing import Final, Literal

from kifabrik.customer.monthly import MonthlyStatement, Sums
from kifabrik.customer.monthly_table import COLUMNS
from kifabrik.meters.footprint import Site

Language = Literal["de", "en"]

_WORDS: Final[dict[str, tuple[str, str]]] = {
    "title": ("Monatsabrechnung", "Monthly statement"),
    "for": ("Mandant {tenant}, {month}", "Tenant {tenant}, {month}"),
    "runs": ("Läufe", "Runs"),
    "job": ("Auftrag", "Job"),
    "gpu_hours": ("GPU-Stunden", "GPU hours"),
    "cpu_hours": ("CPU-Stunden", "CPU hours"),
    "eur": ("Kosten ohne Steuer, EUR", "Cost without tax, EUR"),
    "energy_kwh": ("Strom der Rechner, kWh", "Electricity of the machines, kWh"),
    "energy_measured_kwh": ("davon gemessen, kWh", "of that measured, kWh"),
    "energy_with_overhead_kwh": ("Strom mit Gebäude, kWh", "Electricity with the building, kWh"),
    "heat_handed_on_kwh": ("Wärme weitergegeben, kWh", "Heat handed on, kWh"),
    "water_withdrawn_l": ("Flusswasser entnommen und zurückgegeben, l", "River water taken and given back, l"),
    "water_consumed_l": ("Wasser verdunstet, l", "Water evaporated, l"),
    "co2e_location_kg": ("CO₂e nach Strommix am Ort, kg", "CO₂e by location, kg"),
    "co2e_market_kg": ("CO₂e nach Verträgen, kg", "CO₂e by contracts, kg"),
    "uncertainty_percent": ("Unsicherheit, ± %", "Uncertainty, ± %"),
    "short_kwh": ("Strom, kWh", "Energy, kWh"),
    "short_heat": ("Wärme, kWh", "Heat, kWh"),
    "short_water": ("Wasser, l", "Water, l"),
    "short_co2": ("CO₂e, kg", "CO₂e, kg"),
    "total": ("Summe", "Total"),
    "none": ("In diesem Monat ist kein Lauf zu Ende gegangen.", "No run ended in this month."),
    "not_stated": ("nicht angegeben", "not stated"),
    "method": ("Verfahren", "Method"),
    "source": (
        "Grundlage sind die Einträge run.finished im Logbuch des Mandanten: {size} Einträge, Wurzel {root}.",
        "Made from the run.finished entries of the tenant's log: {size} entries, root {root}.",
    ),
    "when": (
        "Ein Lauf zählt in dem Monat (UTC), in dem sein Ende eingetragen wurde.",
        "A run counts in the month (UTC) in which its end was recorded.",
    ),
    "energy": (
        "Strom der Rechner: GPUs nach Zähler (UUID), Prozessor und Speicher nach Reservierung und CPU-Zeit.",
        "Electricity of the machines: GPUs by counter (UUID), processor and memory by reservation and CPU time.",
    ),
    "once": (
        "Auf geteilten Rechnern zählt nichts doppelt. Was nicht gemessen ist, ist geschätzt.",
        "On shared nodes nothing counts twice. What is not measured is estimated.",
    ),
    "factors": (
        "Gebäude, Wärme, Wasser und CO₂e folgen daraus mit den Angaben des Betreibers: {factors}.",
        "Building, heat, water and CO₂e follow from it by what the operator states: {factors}.",
    ),
    "no_factors": (
        "Der Betreiber hat keine Angaben zum Standort gemacht: Gebäude, Wärme, Wasser und CO₂e fehlen.",
        "The operator has stated nothing of the site: building, heat, water and CO₂e are missing.",
    ),
    "some_unstated": (
        "Versuche ohne diese Angaben, in Gebäude, Wärme, Wasser und CO₂e nicht enthalten: {count}.",
        "Attempts of which nothing was stated, not in building, heat, water and CO₂e: {count}.",
    ),
    "uncertain": (
        "Unsicherheit: 5 % der gemessenen, 50 % der geschätzten Energie, ohne die der Angaben des Betreibers.",
        "Uncertainty: 5 % of measured, 50 % of estimated energy; that of the operator's factors is not in it.",
    ),
    "without": (
        "Versuche ohne Fußabdruck im Protokoll (Rechner ausgefallen, oder vor dessen Einführung): {count}.",
        "Attempts without a footprint in the log (a node failed, or before there were any): {count}.",
    ),
    "both_waters": (
        "Entnommenes Flusswasser fließt zurück; nur verdunstetes ist verbraucht.",
        "River water that is taken flows back; only what evaporates is consumed.",
    ),
    "factor_carbon": ("Strommix am Ort {grams} g CO₂e/kWh", "location {grams} g CO₂e/kWh"),
    "factor_market": ("Verträge {grams} g CO₂e/kWh", "contracts {grams} g CO₂e/kWh"),
    "factor_no_market": ("Verträge nicht angegeben", "contracts not stated"),
    "factor_heat": ("{percent} % als Wärme weitergegeben", "{percent} % handed on as heat"),
    "factor_water": ("{taken} l/kWh entnommen", "{taken} l/kWh taken"),
    "factor_evaporated": ("{gone} l/kWh verdunstet", "{gone} l/kWh evaporated"),
    "months": (
        "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
        "January February March April May June July August September October November December",
    ),
}
_STYLE: Final = """
:root { color-scheme: light; }
body { margin: 0; background: #f3f4f6; color: #111827; }
body { font: 15px/1.45 "Source Sans 3", "Segoe UI", "Noto Sans", Arial, sans-serif; }
main { max-width: 960px; margin: 0 auto; padding: 24px; background: #fff; }
h1 { margin: 0; font-size: 28px; } h2 { font-size: 18px; margin: 24px 0 8px; }
.kind { margin: 0; color: #0072b2; font-weight: 600; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px; margin: 16px 0; }
.tiles div { background: #f3f4f6; border-left: 4px solid #0072b2; padding: 8px 12px; }
.tiles b { display: block; font-size: 22px; } .tiles span, .note { color: #4b5563; font-size: 13px; }
table { width: 100%; border-collapse: collapse; }
td, th { padding: 3px 8px 3px 0; border-bottom: 1px solid #e5e7eb; text-align: left; vertical-align: top; }
.n { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
.sum td { font-weight: 600; border-top: 1px solid #111827; }
.id { color: #4b5563; font-size: 12px; white-space: nowrap; }
.note { overflow-wrap: anywhere; margin: 4px 0; }
@media screen and (max-width: 600px) {
  main { padding: 16px; } table { display: block; overflow-x: auto; }
  .tiles { grid-template-columns: repeat(2, 1fr); } .n { padding-left: 12px; }
}
@page { size: A4; margin: 16mm; }
@media print { body { background: #fff; font-size: 12px; } main { padding: 0; } tr { break-inside: avoid; } }
""".strip()
_META: Final = (
    """<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">"""
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
)
_WHOLE: Final = frozenset({"attempts", "uncertainty_percent"})
_BY_LINE: Final = {
    "gpu_hours": "gpu_hours",
    "energy_kwh": "short_kwh",
    "heat_handed_on_kwh": "short_heat",
    "water_consumed_l": "short_water",
    "co2e_location_kg": "short_co2",
    "eur": "eur",
}
_ABOUT_SITE: Final = (
    "energy_with_overhead_kwh",
    "heat_handed_on_kwh",
    "water_withdrawn_l",
    "water_consumed_l",
    "co2e_location_kg",
    "co2e_market_kg",
)
_ALL: Final = ("gpu_hours", "cpu_hours", "energy_kwh", "energy_measured_kwh", *_ABOUT_SITE, "uncertainty_percent")
_LEAST: Final = 0.01


def page(found: MonthlyStatement, language: Language) -> str:
    """The statement's HTML.

    Args:
        found: What to show.
        language: Of the reader.
    """
    say = _Writer(language)
    year, month = found.month.split("-")
    name = f"{say('months').split()[int(month) - 1]} {year}"
    title = f"{say('title')} {name}"
    parts = [
        f'<!DOCTYPE html><html lang="{language}"><head><meta charset="utf-8">{_META}<title>{escape(title)}</title>',
        f"<style>{_STYLE}</style></head><body><main>",
        f'<p class="kind">{say("title")}</p><h1>{escape(name)}</h1>',
        f'<p class="note">{escape(say("for", tenant=found.tenant, month=found.month))}</p>',
        _tiles(found, say),
        _lines(found, say) if found.lines else f"<p>{say('none')}</p>",
        f"<h2>{say('total')}</h2>{_amounts(found.total, say)}" if found.lines else "",
        f"<h2>{say('method')}</h2>",
        *(f'<p class="note">{escape(text)}</p>' for text in _notes(found, say)),
        "</main></body></html>\n",
    ]
    return "\n".join(parts)


class _Writer:
    def __init__(self, language: Language) -> None:
        self._english = language == "en"

    def __call__(self, key: str, **parts: object) -> str:
        return _WORDS[key][self._english].format(**parts)

    def amount(self, value: float, *, whole: bool = False) -> str:
        small = 0 < value < _LEAST and not whole
        text = f"< {_LEAST}" if small else f"{value:,.{0 if whole else 2}f}"
        return text if self._english else text.translate(str.maketrans(",.", ".,"))

    def figure(self, name: str, sums: Sums) -> str:
        """A figure of a line; what rests on factors nobody stated is said to be so."""
        if name in _ABOUT_SITE and sums.unstated == sums.attempts:
            return self("not_stated")
        if name == "co2e_market_kg" and sums.without_market == sums.attempts:
            return self("not_stated")
        return self.amount(COLUMNS[name](sums), whole=name in _WHOLE)


def _tiles(found: MonthlyStatement, say: _Writer) -> str:
    names = ("eur", "gpu_hours", "energy_kwh", "co2e_location_kg")
    tiles = [f"<div><b>{escape(say.figure(name, found.total))}</b><span>{say(name)}</span></div>" for name in names]
    return f'<div class="tiles">{"".join(tiles)}</div>'


def _lines(found: MonthlyStatement, say: _Writer) -> str:
    head = "".join(f'<th scope="col" class="n">{say(word)}</th>' for word in ("runs", *_BY_LINE.values()))
    rows = [f'<tr><th scope="col">{say("job")}</th>{head}</tr>']
    for line in found.lines:
        cells = "".join(f'<td class="n">{escape(_cell(say, name, line.sums))}</td>' for name in _BY_LINE)
        name = f"{escape(line.name)}<br>" if line.name != line.run else ""
        about = f'{name}<span class="id">{escape(line.run)}</span>'
        rows.append(f'<tr><td>{about}</td><td class="n">{line.runs}</td>{cells}</tr>')
    cells = "".join(f'<td class="n">{escape(_cell(say, name, found.total))}</td>' for name in _BY_LINE)
    runs = sum(line.runs for line in found.lines)
    rows.append(f'<tr class="sum"><td>{say("total")}</td><td class="n">{runs}</td>{cells}</tr>')
    return f"<table>{''.join(rows)}</table>"


def _cell(say: _Writer, name: str, sums: Sums) -> str:
    text = say.figure(name, sums)
    return "-" if text == say("not_stated") else text


def _amounts(sums: Sums, say: _Writer) -> str:
    rows = [
        f'<tr><td>{say(name)}</td><td class="n">{escape(say.figure(name, sums))}</td></tr>'
        for name in (*_ALL, "eur")
    ]
    return f"<table>{''.join(rows)}</table>"


def _notes(found: MonthlyStatement, say: _Writer) -> list[str]:
    source = f"{say('source', size=found.log_size, root=found.log_root)} {say('when')}"
    notes = [source, f"{say('energy')} {say('once')}"]
    if found.sites:
        notes.append(say("factors", factors="; ".join(_factors(site, say) for site in found.sites)))
        notes.append(say("both_waters"))
    else:
        notes.append(say("no_factors"))
    if found.sites and found.total.unstated:
        notes.append(say("some_unstated", count=found.total.unstated))
    notes.append(say("uncertain"))
    if found.without:
        notes.append(say("without", count=len(found.without)))
    return notes


def _factors(site: Site, say: _Writer) -> str:
    market = site.market_g_per_kwh
    return ", ".join(
        (
            f"PUE {say.amount(site.pue_percent / 100)}",
            say("factor_carbon", grams=site.carbon_g_per_kwh),
            say("factor_no_market") if market is None else say("factor_market", grams=market),
            say("factor_heat", percent=site.reused_percent),
            say("factor_water", taken=say.amount(site.withdrawn_ml_per_kwh / 1000)),
            say("factor_evaporated", gone=say.amount(site.consumed_ml_per_kwh / 1000)),
        )
    )
