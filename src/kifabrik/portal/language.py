"""Which language a visitor reads."""

from typing import Final, Literal

Language = Literal["de", "en"]

LANGUAGES: Final[tuple[Language, ...]] = ("de", "en")
_FALLBACK: Final[Language] = "en"
_MOST_CHARACTERS: Final = 500


def chosen(asked: str) -> Language | None:
    """The language a link names, if it names one that there is."""
    return next((one for one in LANGUAGES if one == asked), None)


def preferred(accepted: str) -> Language:
    """The language a browser prefers among those there are (RFC 9110, 12.5.4).

    Args:
        accepted: Its `Accept-Language` header; what makes no sense in it is passed over.
    """
    ranked: list[tuple[float, int, Language]] = []
    for place, part in enumerate(accepted[:_MOST_CHARACTERS].split(",")):
        tag, _, weight = part.strip().lower().partition(";")
        language = chosen(tag.strip().split("-")[0])
        quality = _quality(weight)
        if language is not None and quality > 0:
            ranked.append((-quality, place, language))
    return min(ranked)[2] if ranked else _FALLBACK


def _quality(weight: str) -> float:
    text = weight.strip()
    if not text.startswith("q="):
        return 1.0
    try:
        return min(max(float(text[2:]), 0.0), 1.0)
    except ValueError:
        return 0.0
