# ruff: noqa: RUF001 - Greek letters in labels
"""What the columns of saved tables mean: unit and label in both languages."""

from dataclasses import dataclass
from typing import Final

from kifabrik.recipes.supply_chain.network import Network


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a table.

    Attributes:
        unit: `units` are those of the node's product, `share` is from 0 to 1; empty for text.
        en: Label in English.
        de: Label in German.
    """

    unit: str
    en: str
    de: str

    def metadata(self) -> dict[str, str]:
        """As metadata of a Parquet field."""
        return {"unit": self.unit, "label_en": self.en, "label_de": self.de}


_MONEY: Final = "money"
_AMOUNT: Final = "units"
_RATE: Final = " per period"
_FIGURES: Final[dict[str, tuple[str, str, str]]] = {
    "scenario": ("number", "Scenario", "Szenario"),
    "period": ("periods", "Period", "Periode"),
    "name": ("", "Name", "Name"),
    "product": ("", "Product", "Produkt"),
    "site": ("", "Site", "Standort"),
    "unit": ("", "Unit of amounts", "Mengeneinheit"),
    "source": ("", "From node", "Von Knoten"),
    "target": ("", "To node", "Zu Knoten"),
    "component": ("", "Component", "Komponente"),
    "supplier": ("", "Outside supplier", "Externer Lieferant"),
    "mode": ("", "Mode", "Transportart"),
    "cost": (_MONEY, "Cost", "Kosten"),
    "holding": (_MONEY, "Cost of holding stock", "Kosten der Lagerhaltung"),
    "in_transit": (_AMOUNT, "Under way", "Unterwegs"),
    "stockout": (_MONEY, "Cost of waiting customers", "Kosten wartender Kunden"),
    "lost_sales": (_MONEY, "Cost of lost sales", "Kosten entgangener Verkäufe"),
    "ordering": (_MONEY, "Cost of ordering", "Kosten des Bestellens"),
    "transport": (_MONEY, "Cost of transport and purchase", "Kosten von Transport und Einkauf"),
    "revenue": (_MONEY, "Revenue", "Umsatz"),
    "demand": (_AMOUNT, "Demand of outside customers", "Nachfrage externer Kunden"),
    "met": (_AMOUNT, "Demand met", "Erfüllte Nachfrage"),
    "lost": (_AMOUNT, "Lost sales", "Entgangene Verkäufe"),
    "beta": ("share", "Fill rate β", "Mengenservicegrad β"),
    "alpha": ("share", "Cycle service α", "Periodenservicegrad α"),
    "stock_value": (_MONEY, "Value of stock on hand, without what is under way", "Lagerbestand ohne Unterwegs"),
    "backlog": (_AMOUNT, "Backlog", "Rückstand"),
    "on_hand": (_AMOUNT, "On hand", "Bestand"),
    "raw": (_AMOUNT, "Stock of components", "Bestand an Komponenten"),
    "made": (_AMOUNT, "Made", "Gefertigt"),
    "orders": ("share", "Periods with an order", "Perioden mit Bestellung"),
    "use": ("share", "Use of capacity", "Auslastung der Kapazität"),
    "shipped": (_AMOUNT, "Shipped", "Geliefert"),
}
_OF_SCENARIO: Final = {
    "in_transit": (_MONEY, "Cost of stock under way", "Kosten des Bestands unterwegs"),
    "stock_value": (_MONEY, "Value of stock, bound capital", "Bestandswert, gebundenes Kapital"),
}
"""What a scenario's figures mean otherwise than those of nodes and lanes."""
_RATES: Final = frozenset({"cost", "demand", "met", "lost", "made", "shipped"})
"""Figures of nodes and lanes that are means a period."""


def describe(name: str, network: Network, *, of_scenario: bool = False) -> Column:
    """What a column means; a watched node's course and a standard error are told from their name.

    Args:
        name: Of the column.
        network: Gives the currency, and the units of watched nodes.
        of_scenario: Whether it is one of the figures of whole scenarios.
    """
    figure, _, node = name.partition(" ")
    plain = figure.removesuffix("_error")
    unit, en, de = (_OF_SCENARIO if of_scenario and plain in _OF_SCENARIO else _FIGURES).get(
        plain, ("", name, name)
    )
    if node:
        en, de = f"{en}: {node}", f"{de}: {node}"
        unit = next((one.unit for one in network.nodes if one.name == node), unit)
    if figure != plain:
        en, de = f"{en}, standard error", f"{de}, Standardfehler"
    unit = network.currency if unit == _MONEY else unit
    return Column(unit=unit + _RATE if plain in _RATES and not of_scenario else unit, en=en, de=de)
