"""What an OData service says of itself, and its feeds of deletions: XML by whoever runs it."""

from collections.abc import Iterator
from contextlib import suppress

from fuzz.target import Target
from kifabrik.connectors.sap.metadata import read_metadata
from kifabrik.connectors.sap.plain_xml import parse_plain_xml
from kifabrik.errors import IntegrityError, UsageError

_V4 = b"""<?xml version="1.0" encoding="utf-8"?>
<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx">
<edmx:DataServices><Schema Namespace="n" Alias="a" xmlns="http://docs.oasis-open.org/odata/ns/edm">
<TypeDefinition Name="Code" UnderlyingType="Edm.String"/>
<EntityType Name="Part"><Key><PropertyRef Name="Id"/></Key>
<Property Name="Id" Type="Edm.Int64" Nullable="false"/><Property Name="Code" Type="a.Code" MaxLength="4"/>
<Property Name="Price" Type="Edm.Decimal" Precision="13" Scale="variable"/>
<NavigationProperty Name="Kids" Type="Collection(n.Part)"/></EntityType>
<EntityContainer Name="c"><EntitySet Name="Parts" EntityType="n.Part"/></EntityContainer>
</Schema></edmx:DataServices></edmx:Edmx>"""
_V2 = b"""<edmx:Edmx Version="1.0" xmlns:edmx="http://schemas.microsoft.com/ado/2007/06/edmx"
 xmlns:sap="http://www.sap.com/Protocols/SAPData"><edmx:DataServices><Schema Namespace="n">
<EntityType Name="Part"><Key><PropertyRef Name="Id"/></Key><Property Name="Id" Type="Edm.String"/>
<Property Name="Day" Type="Edm.DateTime" Precision="0" sap:display-format="Date"/>
<NavigationProperty Name="Kids" Relationship="n.Has" FromRole="A" ToRole="B"/></EntityType>
<Association Name="Has"><End Type="n.Part" Multiplicity="1" Role="A"/><End Type="n.Part" Multiplicity="*" Role="B"/>
</Association><EntityContainer Name="c"><EntitySet Name="Parts" EntityType="n.Part"/></EntityContainer></Schema>
</edmx:DataServices></edmx:Edmx>"""
_FEED = b"""<feed xmlns="http://www.w3.org/2005/Atom" xmlns:at="http://purl.org/atompub/tombstones/1.0">
<at:deleted-entry ref="Parts('1')"/><link rel="next" href="Parts?x=1"/></feed>"""


def one(data: bytes) -> None:
    """Read the bytes as a feed, then as metadata; of what is read, every name can be looked up again."""
    with suppress(IntegrityError):
        for element in parse_plain_xml(data, "feed").iter():
            f"{element.tag} {element.get('ref', '')}".encode()
    service = read_metadata(data)
    for name in service.sets:
        kind = service.types.get(service.sets[name])
        if kind is not None:
            for key in kind.keys:
                _ = kind.fields[key]


def seeds() -> Iterator[bytes]:
    """Both versions, a feed, and one in UTF-16."""
    yield _V4
    yield _V2
    yield _FEED
    yield _V4.decode().replace("utf-8", "utf-16").encode("utf-16")


TARGET = Target(
    "OData metadata and feeds",
    one,
    (IntegrityError, UsageError),
    seeds,
    (
        *(
            b"<!DOCTYPE x>",
            b'<!ENTITY a "b">',
            b"&a;",
            b"<![CDATA[",
            b"-->",
            b"<?x?>",
            b'encoding="utf-7"',
            b'Precision="-1"',
        ),
        *(b'BaseType="n.Part"', b"Collection(", b'Version="4.0"', b'Alias="n"', b"<PropertyRef/>", b"</Key>"),
    ),
    longest=8192,
)
