"""Charts by the fonts that come with matplotlib, wherever they are drawn.

matplotlib asks `fc-list` for the fonts of the system. A sandbox has no configuration of fonts, and `fc-list` says
so on the run's log; elsewhere other fonts would make other charts of the same figures.
"""

import os
from pathlib import Path
from typing import Final

SETTING: Final = "FONTCONFIG_FILE"
_NO_FONTS: Final = '<?xml version="1.0"?>\n<!DOCTYPE fontconfig SYSTEM "fonts.dtd">\n<fontconfig></fontconfig>\n'


def without_system_fonts(folder: Path) -> None:
    """Let programs that this process starts find no fonts of the system.

    To be called before matplotlib is imported.

    Args:
        folder: Keeps a configuration of fonts while they work.
    """
    path = folder / "fonts.conf"
    path.write_text(_NO_FONTS, encoding="utf-8")
    os.environ[SETTING] = str(path)
