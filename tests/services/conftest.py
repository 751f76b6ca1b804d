"""SAP's OData server, a Ceph of our own, two parties. Only collected when asked for: `make test-services`."""

import os
import secrets
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "acceptance")]

import ceph as ceph_cluster  # noqa: E402
from peer import installed, running  # noqa: E402
from two_parties import two_parties  # noqa: E402

from kifabrik.connectors.sap.plan import Plan, parse  # noqa: E402
from kifabrik.connectors.sap.pull import pull  # noqa: E402
from kifabrik.connectors.sap.reading import read_table, tables  # noqa: E402
from kifabrik.customer.recover import recover_dataset  # noqa: E402
from kifabrik.keyholder.vault import dataset_secret  # noqa: E402
from kifabrik.transfer.objects import silent  # noqa: E402


def pytest_ignore_collect(collection_path, config):
    """Leave these tests out unless a path of this folder was named."""
    asked = (config.invocation_params.dir / arg.partition("::")[0] for arg in config.args)
    named = any(path.resolve() == HERE or HERE in path.resolve().parents for path in asked)
    return None if named else True


@pytest.fixture(scope="session")
def peer(tmp_path_factory):
    """The server with its data, decimals as text."""
    if installed() is None:
        pytest.skip("SAP's CAP server is not installed; run scripts/install-services")
    with running(tmp_path_factory.mktemp("peer") / "running", cds_features_ieee754compatible="true") as found:
        os.environ["KIFABRIK_TEST_SAP_SECRET"] = found.secret
        yield found


@pytest.fixture(scope="session")
def ceph():
    """A Ceph cluster in memory with its S3 gateway."""
    pytest.importorskip("botocore", reason="needs botocore: pip install 'kifabrik[s3]'")
    if ceph_cluster.missing_programs():
        pytest.skip(f"needs {', '.join(ceph_cluster.missing_programs())}: apt-get install {ceph_cluster.PACKAGES}")
    with ceph_cluster.running() as found:
        yield found


@pytest.fixture(scope="session")
def stage(tmp_path_factory):
    """A factory and a customer, in processes of their own."""
    with two_parties(tmp_path_factory.mktemp("parties")) as playing:
        yield playing


@pytest.fixture
def house(stage, peer, tmp_path):
    """What a customer does with SAP data."""
    return House(stage, peer, tmp_path)


class House:
    """Plans, pulls, and what was sealed, opened again with the keyholder's own key."""

    def __init__(self, stage, peer, folder):
        self.stage, self.peer, self.folder = stage, peer, folder
        self.session = stage.sdk.session
        self.dataset = f"sap-{secrets.token_hex(4)}"

    def plan_text(self, *pull, service="supply", version=4, client="kifabrik", rate=1000, tries=3):
        sets = "".join(f"- {one}\n" for one in pull)
        return f"""
service: {self.peer.service(service, version)}
dataset: {self.dataset}
purpose: supply-planning
confirmed: {{by: Anna Huber, on: 2026-11-20, because: "our own service, published for this"}}
sign_in:
  kind: oauth2
  token_url: {self.peer.token_url}
  client_id: {client}
  client_secret: {{env: KIFABRIK_TEST_SAP_SECRET}}
limits: {{requests_per_second: {rate}, tries: {tries}}}
pull:
{sets}"""

    def plan(self, *pull, **more):
        return parse(Plan, self.plan_text(*pull, **more), "plan.yaml")

    def pull(self, *pull_, again=False, on_rows=None, part_rows=0, **more):
        return pull(self.session, self.plan(*pull_, **more), again=again, on_rows=on_rows, part_rows=part_rows)

    def opened(self):
        """Open the newest version as its keyholder could; return the folder."""
        catalogue = self.session.catalogue()
        dataset = catalogue.dataset(self.dataset).dataset
        with self.stage.steward() as steward:
            identity = steward._state.vault.identity(dataset_secret(dataset))
        target = self.folder / f"opened-{secrets.token_hex(4)}"
        recover_dataset(self.session, self.dataset, 0, identity, target, bar=lambda _l, _t: nullcontext(silent))
        return target

    def table(self, name):
        return read_table(self.opened(), name)

    def tables(self):
        folder = self.opened()
        return {name: read_table(folder, name) for name in tables(folder)}

    def ask(self, method, link, **more):
        """Talk to the server as somebody who knows nothing of our code."""
        import httpx

        pair = ("kifabrik", self.peer.secret)
        token = httpx.post(self.peer.token_url, data={"grant_type": "client_credentials"}, auth=pair).json()
        head = {"authorization": f"Bearer {token['access_token']}", **more.pop("headers", {})}
        return httpx.request(method, link, headers=head, timeout=60, **more)
