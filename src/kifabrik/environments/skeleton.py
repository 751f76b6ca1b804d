"""The parts of an environment that come from no wheel, and the state it is left in.

A virtual environment after PEP 405 without activation scripts: the sandbox starts `/env/bin/python`.
What differs between machines, the interpreter's path, is written at the end as the sandbox shows it.
"""

import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from kifabrik.errors import IntegrityError

# `relocatable` has uv write console scripts that find the interpreter beside themselves.
_CONFIG: Final = "home = {home}\ninclude-system-site-packages = false\nrelocatable = true\n"
_LEFT_BY_UV: Final = (".lock",)


def lay_out(tree: Path, python: Path, version: str, own: Callable[[Path], None]) -> None:
    """Make an empty environment that uv can install into.

    Args:
        tree: Where; it must not exist.
        python: The interpreter that uv asks for its paths.
        version: Its minor version, such as `3.11`.
        own: Called with every path made, to give it to the building user.
    """
    site_packages = tree / "lib" / f"python{version}" / "site-packages"
    site_packages.mkdir(parents=True)
    (tree / "bin").mkdir()
    (tree / "bin/python").symlink_to(python)
    (tree / "pyvenv.cfg").write_text(_CONFIG.format(home=python.parent))
    for path in (tree, *tree.rglob("*")):
        own(path)


def seal(tree: Path, python: Path, version: str) -> None:
    """Give the tree its final form: links to `python`, own by this process's user, read-only.

    The tree was written by the building user, so nothing here follows a link in it.

    Raises:
        IntegrityError: A wheel put something else where the environment's own parts belong.
    """
    _take_over(tree)
    for name in _LEFT_BY_UV:
        (tree / name).unlink(missing_ok=True)
    for folder in (tree, tree / "bin", tree / "lib"):
        if not stat.S_ISDIR(folder.lstat().st_mode):
            raise IntegrityError(f"a wheel replaced the environment's folder {folder.name}")
    for link, target in (
        ("bin/python", str(python)),
        ("bin/python3", "python"),
        (f"bin/python{version}", "python"),
        ("lib64", "lib"),
    ):
        _clear(tree / link)
        (tree / link).symlink_to(target)
    _clear(tree / "pyvenv.cfg")
    (tree / "pyvenv.cfg").write_text(_CONFIG.format(home=python.parent))
    _make_read_only(tree)


def _clear(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        raise IntegrityError(f"a wheel put a folder where the environment's {path.name} belongs")
    path.unlink(missing_ok=True)


def _take_over(tree: Path) -> None:
    """Make this process's user the owner of everything: the building user can change nothing any more."""
    user, group = os.geteuid(), os.getegid()
    if user != 0:
        return
    os.chown(tree, user, group, follow_symlinks=False)
    for _, folders, files, handle in os.fwalk(tree, follow_symlinks=False):
        for name in (*folders, *files):
            os.chown(name, user, group, dir_fd=handle, follow_symlinks=False)


def _make_read_only(tree: Path) -> None:
    for _, _, files, handle in os.fwalk(tree, topdown=False, follow_symlinks=False):
        for name in files:
            mode = os.stat(name, dir_fd=handle, follow_symlinks=False).st_mode
            if stat.S_ISREG(mode):
                os.chmod(name, 0o555 if mode & stat.S_IXUSR else 0o444, dir_fd=handle)
        os.fchmod(handle, 0o555)


def remove(folder: Path) -> None:
    """Remove a folder with everything in it, read-only folders too; fine if it is not there."""
    if not folder.is_dir() or folder.is_symlink():
        return
    if os.geteuid() != 0:  # root may remove from read-only folders, others have to make them writable
        for _, _, _, handle in os.fwalk(folder, follow_symlinks=False):
            os.fchmod(handle, 0o700)
    shutil.rmtree(folder)
