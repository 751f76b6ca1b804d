"""Which language a visitor reads."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kifabrik.portal.language import LANGUAGES, chosen, preferred


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "en"),
        ("de", "de"),
        ("de-AT,de;q=0.9,en;q=0.8", "de"),
        ("en-GB,en;q=0.9,de;q=0.8", "en"),
        ("fr-FR,fr;q=0.9,de;q=0.3,en;q=0.2", "de"),
        ("en;q=0.1, de;q=0.2", "de"),
        ("de;q=0, en;q=0.1", "en"),
        ("fr", "en"),
        ("*", "en"),
        ("DE", "de"),
        ("de;q=x, en", "en"),
    ],
)
def test_the_language_a_browser_prefers_is_taken(accepted, language) -> None:
    assert preferred(accepted) == language


@given(st.text(max_size=600))
def test_whatever_a_browser_says_a_language_there_is_comes_out(accepted) -> None:
    assert preferred(accepted) in LANGUAGES


def test_only_a_language_there_is_can_be_chosen() -> None:
    assert [chosen(one) for one in ("de", "en", "fr", "", "<de>")] == ["de", "en", None, None, None]
