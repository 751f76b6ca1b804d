"""`$metadata` of V2 is read as SAP's own client reads it; that of V4 as the standard says."""

import pytest
from pyodata.v2.model import MetadataBuilder

from kifabrik.connectors.sap.metadata import read_metadata
from kifabrik.connectors.sap.model import Version
from kifabrik.errors import IntegrityError

V2 = b"""<?xml version="1.0"?>
<edmx:Edmx Version="1.0" xmlns:edmx="http://schemas.microsoft.com/ado/2007/06/edmx"
 xmlns:m="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata"
 xmlns:sap="http://www.sap.com/Protocols/SAPData">
<edmx:DataServices m:DataServiceVersion="2.0">
<Schema Namespace="SRV" xmlns="http://schemas.microsoft.com/ado/2008/09/edm">
<EntityType Name="Product"><Key><PropertyRef Name="Matnr"/><PropertyRef Name="Werks"/></Key>
<Property Name="Matnr" Type="Edm.String" Nullable="false" MaxLength="18"/>
<Property Name="Werks" Type="Edm.String" Nullable="false" MaxLength="4"/>
<Property Name="Labst" Type="Edm.Decimal" Precision="13" Scale="3"/>
<Property Name="Ersda" Type="Edm.DateTime" Precision="0" sap:display-format="Date"/>
<NavigationProperty Name="to_Text" Relationship="SRV.assoc" FromRole="From" ToRole="To"/>
</EntityType>
<EntityType Name="Text"><Key><PropertyRef Name="Spras"/></Key>
<Property Name="Spras" Type="Edm.String" Nullable="false"/></EntityType>
<Association Name="assoc"><End Type="SRV.Product" Multiplicity="1" Role="From"/>
<End Type="SRV.Text" Multiplicity="*" Role="To"/></Association>
<EntityContainer Name="C" m:IsDefaultEntityContainer="true">
<EntitySet Name="Products" EntityType="SRV.Product"/><EntitySet Name="Texts" EntityType="SRV.Text"/>
<AssociationSet Name="as" Association="SRV.assoc"><End EntitySet="Products" Role="From"/>
<End EntitySet="Texts" Role="To"/></AssociationSet>
</EntityContainer></Schema></edmx:DataServices></edmx:Edmx>"""

V4 = b"""<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>
<Schema Namespace="a.b" Alias="S" xmlns="http://docs.oasis-open.org/odata/ns/edm">
<TypeDefinition Name="Money" UnderlyingType="Edm.Decimal" Precision="15" Scale="2"/>
<EnumType Name="Colour"><Member Name="red"/></EnumType>
<EntityType Name="Base" Abstract="true"><Key><PropertyRef Name="ID"/></Key>
<Property Name="ID" Type="Edm.Guid" Nullable="false"/></EntityType>
<EntityType Name="Item" BaseType="S.Base"><Property Name="price" Type="S.Money"/>
<Property Name="colour" Type="S.Colour"/><Property Name="count" Type="Edm.Decimal" Precision="9"/>
<Property Name="free" Type="Edm.Decimal" Scale="variable" Precision="9"/>
<NavigationProperty Name="parts" Type="Collection(S.Item)"/><NavigationProperty Name="whole" Type="S.Item"/>
</EntityType><EntityContainer Name="C"><EntitySet Name="Items" EntityType="S.Item"/></EntityContainer>
</Schema></edmx:DataServices></edmx:Edmx>"""


def test_v2_is_read_as_pyodata_reads_it():
    ours, theirs = read_metadata(V2), MetadataBuilder(V2).build()
    assert ours.version is Version.V2
    assert set(ours.sets) == {one.name for one in theirs.entity_sets}
    for name in ours.sets:
        mine, other = ours.entity_type(name), theirs.entity_set(name).entity_type
        assert list(mine.keys) == [key.name for key in other.key_proprties]
        for field in mine.fields.values():
            found = other.proprty(field.name)
            assert (field.type, field.nullable) == (found.typ.name, found.nullable)
            if field.type == "Edm.Decimal":
                assert (field.precision, field.scale) == (found.precision, found.scale)
        for navigation in mine.navigations.values():
            assert (
                other.nav_proprty(navigation.name).to_role.entity_type_name == navigation.target.partition(".")[2]
            )
    text = ours.entity_type("Products").navigations["to_Text"]
    assert (text.target, text.many) == ("SRV.Text", True)
    assert ours.entity_type("Products").fields["Ersda"].date_only


def test_v4_resolves_aliases_base_types_and_definitions():
    item = read_metadata(V4).entity_type("Items")
    assert item.keys == ("ID",)
    price, count, free = (item.fields[name] for name in ("price", "count", "free"))
    assert (price.type, price.precision, price.scale) == ("Edm.Decimal", 15, 2)
    assert (count.scale, free.scale) == (0, None)
    assert item.fields["colour"].type == "Edm.String"
    assert (item.navigations["parts"].target, item.navigations["parts"].many) == ("a.b.Item", True)
    assert not item.navigations["whole"].many


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not XML"),
        (b"<html/>", "'html', not a description"),
        (V4.replace(b"EntitySet Name", b"Singleton Name"), "describes no entity set"),
        (V4.replace(b'PropertyRef Name="ID"', b'PropertyRef Name="IDs"'), "has the key 'IDs', which is none"),
        (V4.replace(b'BaseType="S.Base"', b'BaseType="S.Item"'), "extends it"),
        (V2.replace(b'Relationship="SRV.assoc"', b'Relationship="SRV.other"'), "leads nowhere"),
    ],
)
def test_what_is_no_description_is_said(data, says):
    with pytest.raises(IntegrityError, match=says):
        read_metadata(data)
