"""The tests that docs/security.md names exist."""

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "security.md"


def test_every_test_the_table_names_exists() -> None:
    missing, named, module = [], 0, ""
    for words in re.findall(r"`([\w/]+)`", PAGE.read_text(encoding="utf-8")):
        if re.fullmatch(r"\w+(/\w+)*/test_\w+", words):
            module = (TESTS / f"{words}.py").read_text(encoding="utf-8")
        elif words.startswith("test_"):
            named += 1
            if f"def {words}(" not in module:
                missing.append(words)
    assert not missing
    assert named > 100
