"""Words of the live page in both languages."""

from typing import Final, Literal

Language = Literal["de", "en"]

WORDS: Final[dict[str, tuple[str, str]]] = {
    "language": ("de", "en"),
    "now": ("jetzt", "now"),
    "upright": ("gerade: gemessen;", "upright: measured;"),
    "italic": ("kursiv: vom Zwilling geschätzt", "italic: estimated by the twin"),
    "every": ("alle", "every"),
    "diagram": ("Flussbild der Anlage", "flow diagram of the plant"),
    "limits": ("Werte und ihre Grenzen", "values against their limits"),
    "limit": ("Grenze", "limit"),
    "grid": ("Netz", "Grid"),
    "loop": ("Kühlkreis", "Cooling loop"),
    "back": ("zurück", "back"),
    "supply": ("Vorlauf", "supply"),
    "heat_pump": ("Wärmepumpe", "Heat pump"),
    "takes": ("nimmt", "takes"),
    "gives": ("gibt", "gives"),
    "customers": ("Kundschaft", "Customers"),
    "want": ("wünscht", "want"),
    "get": ("erhält", "get"),
    "before": ("vorher", "before"),
    "behind": ("nachher", "behind"),
    "river_water": ("Flusswasser", "River water"),
    "of": ("von", "of"),
    "fallback": ("Kühlung an die Luft", "Cooling to the air"),
    "dry": ("trocken", "dry"),
    "chiller": ("Kälte", "chiller"),
    "air": ("Luft", "Air"),
    "electricity": ("Strom", "electricity"),
    "nodes_heat": ("Wärme der Rechner", "heat of the nodes"),
    "to_pump": ("Wärme zur Wärmepumpe", "heat to the heat pump"),
    "to_network": ("Wärme ins Netz", "heat to the network"),
    "to_river": ("Wärme in den Fluss", "heat to the river"),
    "to_dry": ("Wärme zum Trockenkühler", "heat to the dry cooler"),
    "to_chiller": ("Wärme zur Kältemaschine", "heat to the chiller"),
    "in_river": ("Wärme im Fluss", "heat in the river"),
    "to_air": ("Wärme an die Luft", "heat to the air"),
    "river_behind": ("Fluss nach der Einleitung", "river behind the outlet"),
    "warming": ("Erwärmung des Flusses", "warming of the river"),
    "nodes_power": ("Leistung der Rechner", "power of the nodes"),
    "connection": ("Netzanschluss", "grid connection"),
}


class LiveSpeaker:
    """One language.

    Args:
        language: Which.
    """

    def __init__(self, language: Language) -> None:
        self._english = language == "en"

    def __call__(self, key: str) -> str:
        """A word by its key."""
        return WORDS[key][self._english]

    def all(self) -> dict[str, str]:
        """All words by their keys."""
        return {key: pair[self._english] for key, pair in WORDS.items()}

    def number(self, value: float, digits: int) -> str:
        """A number with so many digits behind the point."""
        text = f"{value:,.{digits}f}"
        return text if self._english else text.translate(str.maketrans(",.", ".,"))
