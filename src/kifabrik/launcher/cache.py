"""The node's folder of environments, where the user that builds them can reach it."""

from pathlib import Path
from typing import Final

from kifabrik.sandbox import kernel
from kifabrik.sandbox.kernel import Mount
from kifabrik.sandbox.memory import PrivateMounts

_PLACE: Final = Path("/run/kifabrik/environments")


def reachable_cache(mounts: PrivateMounts, cache: Path) -> Path:
    """Show the cache at a place anybody may traverse, in this process's own mounts.

    A node home is closed to others; the user of its own that unpacks wheels must pass all the same.
    Without root nothing is changed: the build then runs as the launcher's own user.
    """
    cache.mkdir(parents=True, exist_ok=True, mode=0o711)
    if not mounts.as_root:
        return cache
    _PLACE.mkdir(parents=True, exist_ok=True, mode=0o711)
    kernel.mount(cache, _PLACE, "", Mount.BIND)
    return _PLACE
