import pytest
from hypothesis import given
from hypothesis import strategies as st

from kifabrik.datasets.names import check_name, is_name
from kifabrik.datasets.paths import Ignores, fault_of, windows_fault_of
from kifabrik.errors import UsageError


@pytest.mark.parametrize("name", ["a", "press-line-7", "x_1.y", "0", "a" * 64])
def test_a_name_of_lower_case_letters_digits_and_marks_is_accepted(name):
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", "A", "-x", ".x", "a b", "a/b", "ä", "a" * 65, "a\n", "..", "a@1"])
def test_any_other_name_is_refused_with_a_hint(name):
    assert not is_name(name)
    with pytest.raises(UsageError, match="not a job name") as caught:
        check_name(name, "job")
    assert caught.value.hint


@pytest.mark.parametrize(
    "path",
    ["a", "a/b.txt", ".hidden", "...", "ä/ö", "with space", "a/" * 99 + "a", "x" * 255, "a:b", "日本/語"],
)
def test_plain_relative_paths_are_accepted(path):
    assert fault_of(path) == ""


@pytest.mark.parametrize(
    "path",
    [
        *("", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/..", "a/../b", "./a", "a/./b"),
        *("a\\b", "..\\a", "a\nb", "a\0b", "a\x1bb", "a\x7f", "\udc80", "a/\ud800"),
        *("x" * 256, "ä" * 128, "/".join(["abcdefghij"] * 200), "a/" * 100 + "a"),
    ],
)
def test_any_other_path_is_refused(path):
    assert fault_of(path)


@given(st.text())
def test_an_accepted_path_has_only_ordinary_components(path):
    if not fault_of(path):
        parts = path.encode().split(b"/")
        assert all(part and part not in (b".", b"..") and len(part) <= 255 for part in parts)


@pytest.mark.parametrize("path", ["a:b", "C:", "con", "x/NUL.txt", "a.", "a /b", "lpt1", "com¹", "a|b", "a?"])
def test_paths_that_mean_something_else_on_windows_are_known(path):
    assert windows_fault_of(path)


@pytest.mark.parametrize("path", ["a", "console", "a.b/c", "nullable.csv", "a b", "ä"])
def test_ordinary_paths_are_fine_on_windows(path):
    assert windows_fault_of(path) == ""


def test_ignore_patterns_match_names_anywhere_paths_from_the_top_and_folders():
    ignores = Ignores(["# a comment", "", "*.tmp", "build/", "/top.txt", "data/raw/*.bin"])
    assert ignores.skips_file("a.tmp")
    assert ignores.skips_file("x/y/a.tmp")
    assert ignores.skips_folder("x/build")
    assert not ignores.skips_file("x/build")
    assert ignores.skips_file("top.txt")
    assert not ignores.skips_file("x/top.txt")
    assert ignores.skips_file("data/raw/1.bin")
    assert not ignores.skips_file("other/data/raw/1.bin")


def test_a_negated_ignore_pattern_is_refused_not_misread():
    with pytest.raises(UsageError, match="negation"):
        Ignores(["!keep.me"])
