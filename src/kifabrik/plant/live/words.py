"""Words of the live page in both languages, and which one a reader's browser asks for."""

from typing import Final

from kifabrik.plant.report.words import Language

WORDS: Final[dict[str, tuple[str, str]]] = {
    "now": ("jetzt", "now"),
    "read": (
        "gerade: gemessen; kursiv: vom Zwilling geschätzt; alle {every} s",
        "upright: measured; italic: estimated by the twin; every {every} s",
    ),
    "diagram": ("Fließbild der Anlage", "flow diagram of the plant"),
    "limits": ("Werte und ihre Grenzen", "values against their limits"),
    "limit": ("Grenze", "limit"),
    "grid": ("Netz", "Grid"),
    "loop": ("Kühlkreis", "Cooling loop"),
    "pump": ("Wärmepumpe", "Heat pump"),
    "customers": ("Kundschaft", "Customers"),
    "water": ("Flusswasser", "River water"),
    "fallback": ("Rückkühlung", "Dry cooler, chiller"),
    "air": ("Luft", "Air"),
    "back": ("zurück {value}", "back {value}"),
    "supply": ("Vorlauf {value}", "supply {value}"),
    "takes": ("nimmt {value}", "takes {value}"),
    "gives": ("gibt {value}", "gives {value}"),
    "want": ("wollen {value}", "want {value}"),
    "get": ("bekommen {value}", "get {value}"),
    "before": ("davor {value}", "before {value}"),
    "behind": ("danach {value}", "behind {value}"),
    "of": ("von {value}", "of {value}"),
    "dry": ("trocken {value}", "dry {value}"),
    "chiller": ("Kälte {value}", "chiller {value}"),
    "electricity": ("Strom", "electricity"),
    "heat_of_nodes": ("Wärme der Rechner", "heat of the nodes"),
    "heat_to_pump": ("Wärme zur Wärmepumpe", "heat to the heat pump"),
    "heat_to_network": ("Wärme ins Netz", "heat to the network"),
    "heat_to_river": ("Wärme zum Fluss", "heat to the river"),
    "heat_to_dry": ("Wärme zum Trockenkühler", "heat to the dry cooler"),
    "heat_to_chiller": ("Wärme zur Kältemaschine", "heat to the chiller"),
    "heat_in_river": ("Wärme im Fluss", "heat in the river"),
    "heat_to_air": ("Wärme an die Luft", "heat to the air"),
    "river_behind": ("Fluss nach der Einleitung", "river behind the outlet"),
    "river_warming": ("Erwärmung des Flusses", "warming of the river"),
    "nodes_power": ("Leistung der Rechner", "power of the nodes"),
    "connection": ("Netzanschluss", "grid connection"),
    "against": ("{value} von {limit} {unit}", "{value} of {limit} {unit}"),
}
"""German and English."""


def language_of(accepted: str) -> Language:
    """The language a browser would rather have; English if it names neither.

    Args:
        accepted: Its `Accept-Language`, in its order.
    """
    for part in accepted.lower().split(","):
        name = part.strip().partition(";")[0].partition("-")[0]
        if name == "de":
            return "de"
        if name == "en":
            return "en"
    return "en"


class Teller:
    """Says things in one language.

    Args:
        language: Which.
    """

    def __init__(self, language: Language) -> None:
        self.language = language

    def __call__(self, key: str, **parts: object) -> str:
        """Words by their key, with parts put in."""
        return WORDS[key][self.language == "en"].format(**parts)

    def number(self, value: float, digits: int) -> str:
        """A number with so many digits behind the point, or the comma."""
        text = f"{value:,.{digits}f}"
        return text if self.language == "en" else text.translate(str.maketrans(",.", ".,"))

    def megawatts(self, watts: float) -> str:
        """A power."""
        return f"{self.number(watts / 1e6, 2)} MW"

    def celsius(self, value: float) -> str:
        """A temperature."""
        return f"{self.number(value, 1)} °C"
