"""One module a target; each defines `TARGET`."""

import pkgutil
from importlib import import_module
from typing import cast

from fuzz.target import Target

NAMES = tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


def load(name: str) -> Target:
    """Import a target and, with it, the modules it attacks."""
    return cast("Target", import_module(f"{__name__}.{name}").TARGET)
