"""Read `$metadata`: CSDL in XML, of OData V2 (with SAP's annotations) and V4.

Sources: OData CSDL XML 4.01 (OASIS); Conceptual Schema Definition File Format 2.0 (MC-CSDL);
"SAP Annotations for OData Version 2.0".

Invariants:
- a document type is refused, so no entity is ever expanded (`plain_xml`);
- elements are found by their local names: the namespaces changed with every version, the names did not.
"""

from collections.abc import Iterator
from typing import Final
from xml.etree.ElementTree import Element

from kifabrik.connectors.sap.model import EntityType, Field, Navigation, Service, Version
from kifabrik.connectors.sap.plain_xml import parse_plain_xml
from kifabrik.errors import IntegrityError

LARGEST_BYTES: Final = 64 * 2**20
_DATA: Final = "{http://www.sap.com/Protocols/SAPData}"
_EDM: Final = "Edm."
_HINT: Final = "Open the address with $metadata at its end in a browser: it must be an OData service."


def read_metadata(data: bytes) -> Service:
    """Read the description of a service.

    Raises:
        IntegrityError: It is not CSDL, or contradicts itself.
    """
    root = _root(data)
    version = Version.V4 if root.get("Version", "").startswith("4") else Version.V2
    schemas = [one for one in root.iter() if _local(one) == "Schema"]
    reader = _Reader(version, schemas)
    types = {one.name: one for one in reader.types()}
    sets = dict(reader.sets())
    if not sets:
        raise IntegrityError("$metadata describes no entity set", hint=_HINT)
    return Service(version, types, sets)


def _root(data: bytes) -> Element:
    root = parse_plain_xml(data, "$metadata", hint=_HINT)
    if _local(root) != "Edmx":
        raise IntegrityError(f"$metadata is {_local(root)!r}, not a description of a service", hint=_HINT)
    return root


class _Reader:
    def __init__(self, version: Version, schemas: list[Element]) -> None:
        self._version = version
        self._schemas = schemas
        self._aliases = {one.get("Alias", ""): one.get("Namespace", "") for one in schemas if one.get("Alias")}
        self._elements = {
            f"{schema.get('Namespace', '')}.{one.get('Name', '')}": one
            for schema in schemas
            for one in schema
            if _local(one) in {"EntityType", "TypeDefinition", "EnumType", "Association"}
        }

    def types(self) -> Iterator[EntityType]:
        for name, element in self._elements.items():
            if _local(element) == "EntityType":
                yield self._type(name, element)

    def sets(self) -> Iterator[tuple[str, str]]:
        for schema in self._schemas:
            for container in schema:
                if _local(container) == "EntityContainer":
                    for one in container:
                        if _local(one) == "EntitySet":
                            yield one.get("Name", ""), self._full(one.get("EntityType", ""))

    def _type(self, name: str, element: Element) -> EntityType:
        keys: list[str] = []
        fields: dict[str, Field] = {}
        navigations: dict[str, Navigation] = {}
        for ancestor in self._line(name, element):
            for one in ancestor:
                kind = _local(one)
                if kind == "Key":
                    keys = [reference.get("Name", "") for reference in one if _local(reference) == "PropertyRef"]
                elif kind == "Property":
                    fields[one.get("Name", "")] = self._field(one)
                elif kind == "NavigationProperty":
                    navigations[one.get("Name", "")] = self._navigation(one)
        return EntityType(name, tuple(keys), fields, navigations)

    def _line(self, name: str, element: Element) -> list[Element]:
        """The type and those it extends, the oldest first."""
        line, seen = [element], {name}
        while base := self._full(line[0].get("BaseType", "")):
            above = self._elements.get(base)
            if above is None or base in seen:
                raise IntegrityError(f"$metadata: {name} extends {base!r}, which is not described or extends it")
            line.insert(0, above)
            seen.add(base)
        return line

    def _field(self, element: Element) -> Field:
        kind = self._full(element.get("Type", ""))
        defined = self._elements.get(kind)
        facets = dict(element.attrib)
        if defined is not None and _local(defined) == "TypeDefinition":
            facets = {**defined.attrib, **facets}
            kind = defined.get("UnderlyingType", "")
        elif defined is not None and _local(defined) == "EnumType":
            kind = f"{_EDM}String"
        return Field(
            name=element.get("Name", ""),
            type=kind,
            nullable=facets.get("Nullable", "true") != "false",
            precision=_number(facets.get("Precision")),
            scale=self._scale(facets),
            date_only=facets.get(f"{_DATA}display-format") == "Date",
        )

    def _scale(self, facets: dict[str, str]) -> int | None:
        scale = facets.get("Scale")
        if scale is None and self._version is Version.V4 and "Precision" in facets:
            return 0  # CSDL 4.01, section 7.2.4: without a scale there are no fractions
        return _number(scale)

    def _navigation(self, element: Element) -> Navigation:
        name, target = element.get("Name", ""), element.get("Type", "")
        if self._version is Version.V4:
            many = target.startswith("Collection(")
            return Navigation(name, self._full(target.removeprefix("Collection(").rstrip(")")), many)
        association = self._elements.get(self._full(element.get("Relationship", "")))
        for end in association if association is not None else ():
            if _local(end) == "End" and end.get("Role") == element.get("ToRole"):
                return Navigation(name, self._full(end.get("Type", "")), end.get("Multiplicity") == "*")
        raise IntegrityError(f"$metadata: the navigation property {name!r} leads nowhere")

    def _full(self, name: str) -> str:
        namespace, dot, rest = name.rpartition(".")
        return f"{self._aliases[namespace]}{dot}{rest}" if namespace in self._aliases else name


def _local(element: Element) -> str:
    return element.tag.rpartition("}")[2]


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None
