"""Room one: the environment an order locks, found in the node's cache as it was built, or built."""

from collections.abc import Callable

from kifabrik.environments.build import build, discard
from kifabrik.environments.lock import Lock
from kifabrik.errors import NotFoundError, UsageError
from kifabrik.launcher.cache import reachable_cache
from kifabrik.launcher.ended import BuildError
from kifabrik.launcher.node import Node
from kifabrik.launcher.watched import WatchedEnvironment
from kifabrik.sandbox.memory import PrivateMounts
from kifabrik.sandbox.uids import claim_uid


def build_environment(
    lock: Lock, tenant: str, node: Node, mounts: PrivateMounts, *, on_build: Callable[[], None]
) -> WatchedEnvironment:
    """Find or build an environment; one that is no longer as it was built is thrown away.

    Args:
        lock: What belongs in it.
        tenant: Whose cache.
        node: Where.
        mounts: This process's own mounts.
        on_build: Called where it is really built; a cached one is there at once.

    Raises:
        BuildError: It cannot be built as locked.
    """
    with claim_uid(node.care.uids) as owner:
        as_uid = owner.uid if owner.of_its_own else None
        cache = reachable_cache(mounts, node.environments)
        try:
            found = WatchedEnvironment(build(lock, cache, tenant, as_uid=as_uid, on_build=on_build))
            if not found.is_as_built():
                discard(found.built)
                found = WatchedEnvironment(build(lock, cache, tenant, as_uid=as_uid, on_build=on_build))
        except (UsageError, NotFoundError) as error:
            raise BuildError(error.message, hint=error.hint) from error
    return found
