"""The style sheet, under an address that changes with it, so that browsers may keep it for ever."""

import hashlib
from importlib import resources
from typing import Final

STYLE: Final = (resources.files("kifabrik.portal") / "page.css").read_bytes()
STYLE_PATH: Final = f"/style-{hashlib.sha256(STYLE).hexdigest()[:12]}.css"
