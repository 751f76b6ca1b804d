"""A drafted plan has all that was found, no secret, and is not taken before a person has signed it."""

import pytest
from scripted import FIELDS, TRUST, metadata

from kifabrik.connectors.sap.asking import Caller, Patience
from kifabrik.connectors.sap.drafting import draft_plan
from kifabrik.connectors.sap.plan import BasicSignIn, CertificateSignIn, NoSignIn, OAuthSignIn, Plan, parse
from kifabrik.connectors.sap.probe import probe
from kifabrik.connectors.sap.sign_in import Open
from kifabrik.errors import UsageError

ODD = FIELDS + "".join(f'<Property Name="a_long_name_{n}" Type="Edm.String"/>' for n in range(20))
ODD += '<Property Name="picture" Type="Edm.Stream"/><Property Name="where" Type="Edm.GeographyPoint"/>'


def draft(script, sign_in=None):
    for item in script.items:
        item.update({f"a_long_name_{n}": str(n) for n in range(20)})
    script.metadata = metadata(ODD)
    with Caller(script.url, Open(), TRUST, Patience(2, 1000, lambda _s: None)) as caller:
        return draft_plan(probe(caller), sign_in or NoSignIn())


def signed(text):
    for empty, filled in (('by: ""', "by: Anna"), ('on: ""', "on: 2026-11-20"), ('because: ""', "because: ours")):
        assert empty in text
        text = text.replace(empty, filled)
    return text


def test_a_draft_is_a_plan_once_it_is_signed(script, house):
    text = draft(script)
    with pytest.raises(UsageError, match=r"'confirmed\.by' is empty"):
        parse(Plan, text, "plan.yaml")
    plan = parse(Plan, signed(text), "plan.yaml")
    (wanted,) = plan.pull
    assert (plan.service, plan.dataset, wanted.entity_set, wanted.rows) == (script.url, "s", "Items", 33)
    assert wanted.fields == ("name", *(f"a_long_name_{n}" for n in range(20)))
    assert "picture (Edm.Stream), where (Edm.GeographyPoint)" in text
    assert max(map(len, text.splitlines())) <= 116
    house.plan = lambda _pull: plan
    assert house.pull().sets[0].total == 30


@pytest.mark.parametrize(
    "sign_in",
    [
        BasicSignIn(kind="basic", user='A "B" \\', password={"env": "KIFABRIK_SAP_PASSWORD"}),
        OAuthSignIn(
            kind="oauth2",
            token_url="https://x/t",
            client_id="c",
            client_secret={"env": "KIFABRIK_SAP_CLIENT_SECRET"},
        ),
        CertificateSignIn(kind="mtls", certificate="c.pem", key="k.pem", passphrase={"keyholder": "pem"}),
    ],
)
def test_a_draft_signs_in_as_the_probe_did(script, sign_in):
    assert parse(Plan, signed(draft(script, sign_in)), "plan.yaml").sign_in == sign_in
