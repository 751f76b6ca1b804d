"""Whether all parts of a factory are there before anything is written to one of them.

Database, keys of the logs and objects may each lie on a disk of their own. Where one of them is not there (a disk
that was not mounted, a restore that was cut off), a service that started would begin it anew beside the others:
what comes meanwhile would be written to the wrong disk.

Invariants:
- nothing is made or changed here;
- what is only missing in part does not keep the service from serving the rest: `kifabrik admin check` names it.
"""

from collections.abc import Iterable
from typing import Final

from kifabrik.errors import IntegrityError, KifabrikError, UnavailableError
from kifabrik.factory.findings import Finding
from kifabrik.factory.ports import LogKeys, ObjectStore, Store

_BACK: Final = "Is its disk mounted? Else put it back from your backup; for a new factory choose an empty folder."
_KEY_BACK: Final = "Put its file back from your backup of keys/: without it the tenant's log cannot go on."


class HomeCheck:
    """Looks for what the database knows of and the home has not.

    Args:
        store: Rows.
        keys: Of the logs.
        files: Objects.
    """

    def __init__(self, store: Store, keys: LogKeys, files: ObjectStore) -> None:
        self._store = store
        self._keys = keys
        self._files = files

    def run(self) -> Iterable[Finding]:
        """Find logs without a key."""
        return [Finding(tenant, said, _KEY_BACK) for tenant, said in self._keyless().items()]

    def require(self) -> None:
        """Check that keys and objects are there at all.

        Raises:
            IntegrityError: The database knows of some, and there is none.
        """
        with self._store.read() as transaction:
            tenants = len(transaction.accounts.tenants())
            counted = next(iter(transaction.objects.all()), None) is not None
        if tenants and len(self._keyless()) == tenants:
            raise IntegrityError("the folder keys/ of this factory holds no key of any of its logs", hint=_BACK)
        if counted and not self._any_object():
            message = "the database of this factory counts sealed objects, and none is where they are kept"
            raise IntegrityError(message, hint=_BACK)

    def _any_object(self) -> bool:
        try:
            return next(iter(self._files.keys()), None) is not None
        except UnavailableError:
            return True  # a store that is away now has lost nothing yet

    def _keyless(self) -> dict[str, str]:
        with self._store.read() as transaction:
            tenants = [one.tenant for one in transaction.accounts.tenants()]
        found = {}
        for tenant in tenants:
            try:
                self._keys.get(tenant)
            except KifabrikError as error:
                found[tenant] = error.message
        return found
