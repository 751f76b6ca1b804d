"""Words of the report in both languages, and how each writes numbers."""

import math
from typing import Final, Literal

Language = Literal["de", "en"]

WORDS: Final[dict[str, tuple[str, str]]] = {
    "title": ("Energie- und Umweltbericht", "Energy and environment"),
    "simulated": (
        "Simulation des digitalen Zwillings, Minute für Minute; Zeiten in UTC+1.",
        "Simulated by the digital twin, minute by minute; times in UTC+1.",
    ),
    "estimated": (
        "Fluss und Wetter sind Jahresgänge aus der Standortdatei, nicht gemessen: alle Werte sind Schätzungen.",
        "River and weather are yearly courses from the site file, not measured: all values are estimates.",
    ),
    "from_tables": ("Fluss: {river}. Wetter: {weather}.", "River: {river}. Weather: {weather}."),
    "tariff": (
        "Strompreis: {price}. CO₂ standortbasiert: {location}; marktbasiert: {market}.",
        "Price of electricity: {price}. CO₂ location-based: {location}; market-based: {market}.",
    ),
    "constant": ("konstant, aus der Standortdatei", "constant, from the site file"),
    "not_found": ("konstant, seine Tabelle wurde nicht gefunden", "constant, its table was not found"),
    "bridged": ("{days} Tage ohne Flusswert sind überbrückt.", "{days} days without a river value are bridged."),
    "load": ("Last", "Load"),
    "constant_load": (
        "konstant {share} % des Wegs vom Leerlauf zur vollen Leistung",
        "constantly {share} % of the way from idle to full power",
    ),
    "daily_load": (
        "täglich {low} bis {high} % des Wegs vom Leerlauf zur vollen Leistung",
        "daily {low} to {high} % of the way from idle to full power",
    ),
    "none_named": ("Jahresgang aus der Standortdatei", "a yearly course from the site file"),
    "no_table": (
        "Jahresgang aus der Standortdatei; die Tabelle wurde nicht gefunden",
        "a yearly course from the site file; its table was not found",
    ),
    "gpus": ("GPUs", "GPUs"),
    "key": ("Kennzahlen", "Figures of merit"),
    "balance": ("Energiebilanz", "Energy balance"),
    "in": ("Strom", "Electricity"),
    "out": ("Wärme", "Heat"),
    "it": ("Rechner (IT)", "Nodes (IT)"),
    "electricity_used": ("Strom verbraucht", "Electricity used"),
    "heat_delivered": ("Wärme geliefert", "Heat delivered"),
    "other_short": ("Verluste, Kühlung", "Losses, cooling"),
    "upgrade_short": ("Wärmepumpe", "Heat pump"),
    "million": ("Mio.", "million"),
    "river_year": ("Flussjahr {value}", "river's year {value}"),
    "so_many_gpus": ("{value} GPUs", "{value} GPUs"),
    "policy": ("Strategie {value}", "policy {value}"),
    "river_flow": ("Abfluss {value}", "flow {value}"),
    "as_it_is": ("wie die Standortdatei", "as the site file"),
    "idle": ("davon Leerlauf", "of that idle"),
    "other": ("Verluste, Kühlung, übriges", "Losses, cooling, other"),
    "upgrade": ("Wärmepumpe, Netzpumpe", "Heat pump, network pump"),
    "to_river": ("Fluss", "River"),
    "to_air": ("Luft", "Air"),
    "to_customers": ("Kundschaft", "Customers"),
    "to_ground": ("Erdreich, Speicher", "Ground, tank"),
    "all": ("Summe", "All"),
    "closes": ("Die Bilanz schließt auf {error} oder besser.", "The balance closes within {error} or better."),
    "open": ("Die Bilanz schließt nicht: {error}.", "The balance does not close: {error}."),
    "pue": ("PUE (ohne Aufwertung der Wärme)", "PUE (without the upgrade of heat)"),
    "pue_all": ("PUE mit Wärmepumpe", "PUE with the heat pump"),
    "erf": ("ERF, wiederverwendete Energie", "ERF, energy reused"),
    "ref": ("REF, erneuerbare Energie", "REF, renewable energy"),
    "cer": ("CER, Kühleffizienz", "CER, cooling efficiency"),
    "cue_location": ("CUE, standortbasiert (Strommix)", "CUE, location-based (grid mix)"),
    "cue_market": ("CUE, marktbasiert (Verträge)", "CUE, market-based (contracts)"),
    "wue_withdrawn": ("WUE, entnommenes Wasser", "WUE, water withdrawn"),
    "wue_consumed": ("WUE, verbrauchtes Wasser", "WUE, water consumed"),
    "wue_note": (
        "Entnommenes Flusswasser fließt bis auf verdunstetes zurück; beide Werte sind nicht vergleichbar.",
        "River water that is withdrawn flows back but for what evaporates; the two are not comparable.",
    ),
    "river_and_heat": ("Fluss und Wärme", "River and heat"),
    "warming": ("Erwärmung des Flusses, Mittel / höchste", "Warming of the river, mean / most"),
    "warmest": ("höchste Temperatur, allein / gemischt", "warmest, alone / mixed"),
    "limit_hours": ("Stunden an der Grenze der Erlaubnis", "Hours at the permit's limit"),
    "forbidden": ("davon Fluss von selbst zu warm", "of that, river too warm by itself"),
    "fallback": ("Stunden Trockenkühler / Kältemaschine", "Hours of dry cooler / chiller"),
    "cut": ("IT-Leistung begrenzt", "IT power cut"),
    "demand": ("Wärme gewünscht / geliefert", "Heat wanted / delivered"),
    "covered": ("Bedarf gedeckt", "Demand covered"),
    "cop": ("Jahresarbeitszahl der Wärmepumpe", "Seasonal COP of the heat pump"),
    "cost": ("Stromkosten", "Cost of electricity"),
    "revenue": ("Wärmeerlös", "Heat sold for"),
    "carbon": ("CO₂ standort- / marktbasiert", "CO₂ location- / market-based"),
    "power_chart": ("Leistung (Tagesmittel)", "Power (daily means)"),
    "river_chart": ("Flusstemperatur und Grenze", "River temperature and limit"),
    "heat_chart": ("Wärme: Angebot und Bedarf (Tagesmittel)", "Heat: supply and demand (daily means)"),
    "duration_chart": ("Jahresdauerlinien", "Load duration"),
    "sankey_chart": ("Energiefluss des Jahres, GWh", "Energy over the year, GWh"),
    "alone": ("Fluss allein", "river alone"),
    "mixed": ("nach Einleitung", "behind the outlet"),
    "limit": ("Grenze", "limit"),
    "wanted": ("Bedarf", "demand"),
    "plant": ("Wärmepumpe und Speicher", "heat pump and tank"),
    "backup": ("Ersatz", "backup"),
    "hours": ("Stunden", "hours"),
    "total": ("gesamt", "total"),
    "assumptions": (
        "Annahmen stehen mit Quelle in der Standortdatei; Formeln nach EN 50600-4.",
        "Assumptions stand with their sources in the site file; formulas after EN 50600-4.",
    ),
    "water_withdrawn": ("Flusswasser entnommen, fließt zurück", "River water withdrawn, flows back"),
    "water_consumed": ("Wasser verbraucht (verdunstet)", "Water consumed (evaporated)"),
    "months": (
        "Jan Feb Mär Apr Mai Jun Jul Aug Sep Okt Nov Dez",
        "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec",
    ),
}


class Speaker:
    """One language.

    Args:
        language: Which.
    """

    def __init__(self, language: Language) -> None:
        self.language = language

    def __call__(self, key: str, **parts: object) -> str:
        """Words by their key, with parts put in."""
        return WORDS[key][self.language == "en"].format(**parts)

    def number(self, value: float, digits: int = 1) -> str:
        """A number with so many digits behind the point; a dash where there is none."""
        if not math.isfinite(value):
            return "-"
        text = f"{value:,.{digits}f}"
        return text if self.language == "en" else text.translate(str.maketrans(",.", ".,"))

    def plain(self, value: float) -> str:
        """A number of a scale: as short as it is."""
        return f"{value:g}".replace(".", "," if self.language == "de" else ".")

    def with_unit(self, value: float, digits: int, unit: str) -> str:
        """A number and its unit, never parted."""
        return f"{self.number(value, digits)}\u00a0{unit}"

    def energy(self, kwh: float) -> str:
        """An energy with the unit that suits it."""
        for unit, size in (("GWh", 1e6), ("MWh", 1e3)):
            if abs(kwh) >= size:
                return self.with_unit(kwh / size, 1, unit)
        return self.with_unit(kwh, 1, "kWh")
