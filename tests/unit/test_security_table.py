"""The tests that docs/security.md names exist, every row names one, and no module of attacks is left out."""

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGE = (TESTS.parent / "docs" / "security.md").read_text(encoding="utf-8")
MADE = PAGE.partition("## Attacks, defences, tests")[2].partition("### Not covered, and why")[0]
"""The tables of what is attacked and what fails."""


def test_every_test_the_table_names_exists() -> None:
    missing, named, module = [], 0, ""
    for words in re.findall(r"`([\w/]+)`", PAGE):
        if re.fullmatch(r"\w+(/\w+)*/test_\w+", words):
            module = (TESTS / f"{words}.py").read_text(encoding="utf-8")
        elif words.startswith("test_"):
            named += 1
            if f"def {words}(" not in module:
                missing.append(words)
    assert not missing
    assert named > 100


def test_every_row_of_an_attack_or_fault_names_a_test() -> None:
    rows = [line for line in MADE.splitlines() if re.match(r"\| (?!attack |fault )\w", line)]
    by_themselves = ("`make demo`", "`fuzz/targets`", "`acceptance/test_acceptance_pickles`")
    assert [row for row in rows if "`test_" not in row and not any(one in row for one in by_themselves)] == []
    assert len(rows) > 100


def test_every_module_of_attacks_is_in_the_table() -> None:
    modules = {f"{path.parent.name}/{path.stem}" for path in TESTS.glob("*/test_attack_*.py")}
    assert {one for one in modules if f"`{one}`" not in MADE} == set()
