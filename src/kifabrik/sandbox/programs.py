"""The programs of the machine that start a room."""

import shutil
from typing import Final

from kifabrik.errors import UnavailableError

_PATH: Final = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
_PACKAGES: Final = {
    "bwrap": "bubblewrap",
    **dict.fromkeys(("setpriv", "prlimit", "nsenter", "unshare"), "util-linux"),
    **dict.fromkeys(("ip", "bridge"), "iproute2"),
}


def find_program(name: str) -> str:
    """Return the absolute path of a program in a system folder; the caller's `PATH` has no say.

    Raises:
        UnavailableError: It is not installed.
    """
    path = shutil.which(name, path=_PATH)
    if path is None:
        raise UnavailableError(
            f"{name} is not installed on this node", hint=f"apt install {_PACKAGES.get(name, name)}"
        )
    return path
