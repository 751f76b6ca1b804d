"""The documentation: every link leads somewhere, every command exists and has the options it is shown with."""

import re
import shlex
from collections import Counter
from pathlib import Path

import click
import pytest

from kifabrik.cli.main import cli

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
FENCE = re.compile(r"^ *```(\w*)")
LINK = re.compile(r"\]\(([^)\s]+)\)")
PROMPT = re.compile(r"^[a-z]*[$#] (?:kifabrik|/\S*/bin/kifabrik) (.*)")
UNPROMPTED = re.compile(r"^\s*kifabrik ([a-z].*)$")
INLINE = re.compile(r"`kifabrik ([^`]+)`")
ENDS = {"|", ">", ">>", "&&", ";", "#", "…", "kifabrik"}


def prose(page):
    """Lines outside fenced blocks, with their numbers."""
    inside = False
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if FENCE.match(line):
            inside = not inside
        elif not inside:
            yield number, line


def anchors(page):
    """The anchors of a page's headings, as GitHub makes them."""
    seen = Counter()
    for _, line in prose(page):
        if heading := re.match(r"#{1,6} (.*)", line):
            text = LINK.sub("", heading[1].replace("[", "")).replace("`", "").strip().lower()
            slug = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
            yield f"{slug}-{seen[slug]}" if seen[slug] else slug
            seen[slug] += 1


def commands(page):
    """What follows `kifabrik` in fenced blocks, with a prompt or without, and in code within text, by line."""
    inside, begun = False, ""
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if FENCE.match(line):
            inside, begun = not inside, ""
        elif not inside:
            yield from ((number, text) for text in INLINE.findall(line))
        elif begun or (said := PROMPT.match(line) or UNPROMPTED.match(line)):
            text = f"{begun} {line.strip()}" if begun else said[1]
            begun = text[:-1] if text.endswith("\\") else ""
            if not begun:
                yield number, text


def words(text):
    """A command line up to its first pipe, comment or remark."""
    try:
        found = shlex.split(re.split(r"\s{3,}", text)[0], comments=True)
    except ValueError:
        found = text.split()
    for word in found:
        if word in ENDS or word.startswith("(") or re.fullmatch(r"[A-Z]+|[a-z]+(\|[a-z]+)+", word):
            return
        yield word.rstrip(";,")


def test_every_link_leads_somewhere():
    lost = []
    for page in PAGES:
        for number, line in prose(page):
            for target in LINK.findall(line):
                file, _, anchor = target.partition("#")
                where = (page.parent / file).resolve() if file else page
                if re.match(r"[a-z]+:", target):
                    continue
                if not where.exists():
                    lost.append(f"{page.relative_to(ROOT)}:{number}: no file {target}")
                elif anchor and anchor not in set(anchors(where)):
                    lost.append(f"{page.relative_to(ROOT)}:{number}: no heading {target}")
    assert not lost, "\n".join(lost)


def test_every_page_can_be_reached_from_the_index():
    index = ROOT / "docs" / "README.md"
    listed = {index.resolve()}
    for page in (index, index.parent / "formats" / "README.md", index.parent / "adr" / "README.md"):
        targets = LINK.findall(page.read_text(encoding="utf-8"))
        listed |= {(page.parent / target.partition("#")[0]).resolve() for target in targets}
    assert not [page for page in index.parent.glob("**/*.md") if page.resolve() not in listed]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_that_is_shown_exists_with_its_options(page):
    wrong = []
    for number, text in commands(page):
        command, context = cli, click.Context(cli)
        for word in words(text):
            if isinstance(command, click.Group) and not word.startswith("-"):
                inner = command.get_command(context, word) if word in command.list_commands(context) else None
                if inner is None:
                    wrong.append(f"{page.name}:{number}: no command {word!r} in {text!r}")
                    break
                command, context = inner, click.Context(inner, parent=context)
            elif word.startswith("--") and word != "--":
                known = {name for one in command.get_params(context) for name in (*one.opts, *one.secondary_opts)}
                if word.partition("=")[0] not in known:
                    wrong.append(f"{page.name}:{number}: no option {word} in {text!r}")
    assert not wrong, "\n".join(wrong)
