"""Every text of the pages, in every language they can be read in; all have the same keys."""

from collections.abc import Mapping
from typing import Final

from kifabrik.portal.language import Language
from kifabrik.portal.words.english import ENGLISH
from kifabrik.portal.words.german import GERMAN

WORDS: Final[Mapping[Language, Mapping[str, str]]] = {"de": GERMAN, "en": ENGLISH}
