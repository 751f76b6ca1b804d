"""Rows of what tenants may use and have used."""

from collections.abc import Iterable
from dataclasses import asdict

from sqlalchemy import Connection, select

from kifabrik.factory.allowances import Limits, Usage
from kifabrik.stores.sql.rows import chunks, put, record
from kifabrik.stores.sql.schema.runs import limits as limit_table
from kifabrik.stores.sql.schema.runs import usage as usage_table


class SqlMoneyTable:
    """Implements `kifabrik.factory.run_rows.MoneyTable`."""

    def __init__(self, connection: Connection) -> None:
        self._sql = connection

    def limits(self, tenant: str) -> Limits:
        """What the operator allows a tenant."""
        columns = [column for column in limit_table.c if column.name != "tenant"]
        row = self._sql.execute(select(*columns).where(limit_table.c.tenant == tenant)).one_or_none()
        return Limits() if row is None else record(Limits, row)

    def set_limits(self, tenant: str, limits: Limits) -> None:
        """Change what the operator allows a tenant."""
        put(self._sql, limit_table, tenant=tenant, **asdict(limits))

    def usage(self, tenants: Iterable[str]) -> list[Usage]:
        """What these tenants have used, as far as they have."""
        found = []
        for chunk in chunks(tenants):
            rows = self._sql.execute(select(usage_table).where(usage_table.c.tenant.in_(chunk)))
            found += [record(Usage, row) for row in rows]
        return found

    def save_usage(self, usage: Usage) -> None:
        """Write what a tenant has used."""
        put(self._sql, usage_table, **asdict(usage))
