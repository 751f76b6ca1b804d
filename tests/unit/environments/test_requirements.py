import pytest
from hypothesis import given
from hypothesis import strategies as st

from kifabrik.environments.lockfile import Option
from kifabrik.environments.requirements import Requirements
from kifabrik.errors import KifabrikError, UsageError


def test_comments_empty_lines_and_continuations_are_understood():
    text = "\ufeff# all we need\n\nnumpy>=2 \\\n  ,<3  # numbers\n pandas[parquet] ; python_version > '3.8'\n"
    assert Requirements.from_text(text).packages == (
        "numpy>=2 ,<3",
        "pandas[parquet] ; python_version > '3.8'",
    )


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("-i https://a.example/simple", (Option.INDEX, "https://a.example/simple")),
        ("--index-url=https://a.example/simple", (Option.INDEX, "https://a.example/simple")),
        ("--extra-index-url https://a.example/simple", (Option.EXTRA_INDEX, "https://a.example/simple")),
        ("-f ./wheels", (Option.FIND_LINKS, "./wheels")),
        ("-f./wheels", (Option.FIND_LINKS, "./wheels")),
    ],
)
def test_addresses_are_taken_apart(line, expected):
    assert Requirements.from_text(line).addresses == (expected,)


@pytest.mark.parametrize(
    "line",
    [
        "-r other.txt",
        "-rother.txt",
        "-c limits.txt",
        "-e .",
        "--editable=../x",
        "--pre",
        "--no-binary :all:",
        "--index-url",
        "-",
        "--",
        "six @ https://a.example/six-1-py2.py3-none-any.whl",
        "six @ git+https://a.example/six",
        "six @ file:///srv/six",
        "git+ssh://git@a.example/six",
        ".",
        "./six",
        "../six",
        "/srv/six",
        "~/six",
        "C:\\wheels\\six",
        "wheels/six-1-py2.py3-none-any.whl",
    ],
)
def test_what_cannot_be_locked_is_refused_with_its_line_number(line):
    with pytest.raises(UsageError, match="line 2") as caught:
        Requirements.from_text(f"numpy\n{line}\n")
    assert caught.value.hint


@given(st.text())
def test_any_text_is_read_or_refused(text):
    try:
        found = Requirements.from_text(text)
    except KifabrikError:
        return
    assert not any("://" in package or package.startswith("-") for package in found.packages)
