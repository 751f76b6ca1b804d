import pytest

from kifabrik.plant.live.words import Teller, language_of


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("de-DE,de;q=0.9,en;q=0.8", "de"),
        ("en-GB,en;q=0.9,de;q=0.8", "en"),
        ("fr, de;q=0.5", "de"),
        ("fr", "en"),
        ("", "en"),
    ],
)
def test_the_page_speaks_the_first_of_its_languages_that_a_browser_names(accepted, language):
    assert language_of(accepted) == language


def test_german_numbers_have_a_comma():
    assert Teller("de").megawatts(1_234_567_890.0) == "1.234,57 MW"
    assert Teller("en").megawatts(1_234_567_890.0) == "1,234.57 MW"
