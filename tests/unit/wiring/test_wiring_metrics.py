from datetime import UTC, datetime

import pytest

from kifabrik.factory.records import Tenant
from kifabrik.wiring.factory import init_home, open_factory
from kifabrik.wiring.metrics import metrics

NOW = datetime(2026, 11, 23, 8, 10, 30, tzinfo=UTC)


@pytest.fixture
def home(tmp_path):
    init_home(tmp_path / "factory", port=0)
    return tmp_path / "factory"


def test_a_keyholder_is_silent_since_its_last_call_and_one_that_never_called_has_no_figure(home):
    created = "2026-11-23T08:00:00Z"
    factory = open_factory(home)
    try:
        with factory.store.write("t-calls", "t-never") as transaction:
            transaction.accounts.add_tenant(Tenant("t-calls", "key", "", 1, created))
            transaction.accounts.add_tenant(Tenant("t-never", "other key", "", 1, created))
            transaction.accounts.set_keyholder_seen("t-calls", "2026-11-23T08:09:00Z")
        found = {one.name: one.values for one in metrics(factory, home, NOW)}
    finally:
        factory.store.close()
    assert found["kifabrik_keyholder_silent_seconds"] == (((("tenant", "t-calls"),), 90.0),)
    assert found["kifabrik_tenants"] == (((), 2),)
