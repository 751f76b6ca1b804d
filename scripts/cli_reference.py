"""Write the command part of docs/cli.md from the commands themselves: `make reference`.

What stands above the mark is written by hand. A test compares the rest, so a changed option cannot be forgotten.
"""

import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from kifabrik.cli.main import cli

PAGE: Final = Path(__file__).parents[1] / "docs" / "cli.md"
MARK: Final = "<!-- From here on written by `make reference`. -->\n"
_COMMON: Final = frozenset({"home", "as_json", "help"})

SECTIONS: Final = (
    (
        "A member's work",
        (
            *("login", "open", "dataset", "apply", "ps", "logs", "results", "retry", "stop", "why"),
            *("model", "ledger", "env", "footprint", "statement", "recipe", "sap", "doctor"),
        ),
    ),
    ("The steward and the keyholder", ("tenant", "keyholder")),
    ("The factory", ("up", "node", "admin")),
    ("Work that runs alone", ("maintenance", "supply-chain", "pharma", "plant")),
    ("The shell", ("completion",)),
)


def reference() -> str:
    """Return the reference of every command as Markdown.

    Raises:
        KeyError: A command belongs to no section.
    """
    placed = {name for _, names in SECTIONS for name in names}
    context = click.Context(cli, info_name="kifabrik")
    missing = set(cli.list_commands(context)) - placed
    if missing:
        raise KeyError(f"commands without a section: {', '.join(sorted(missing))}")
    return "\n".join(
        "\n".join([f"## {title}\n", *(text for name in names for text in _commands(name, context))])
        for title, names in SECTIONS
    )


def page() -> str:
    """Return the whole page: what is written by hand, then the reference."""
    by_hand, _, _ = PAGE.read_text(encoding="utf-8").partition(MARK)
    return f"{by_hand}{MARK}\n{reference()}"


def _commands(name: str, context: click.Context) -> Iterator[str]:
    group = context.command
    if not isinstance(group, click.Group):
        raise TypeError(name)
    command = group.get_command(context, name)
    if command is None:
        raise KeyError(name)
    inner = click.Context(command, info_name=name, parent=context)
    if isinstance(command, click.Group):
        for each in command.list_commands(inner):
            yield from _commands(each, inner)
    else:
        yield _command(command, inner)


def _command(command: click.Command, context: click.Context) -> str:
    arguments = " ".join(each.make_metavar(context) for each in command.params if isinstance(each, click.Argument))
    lines = [f"### `{' '.join(filter(None, (context.command_path, arguments)))}`", "", _prose(command.help or "")]
    rows = [
        f"| {_spelling(each, context)} | {_meaning(each, context)} |"
        for each in command.params
        if isinstance(each, click.Option) and each.name not in _COMMON and not each.hidden
    ]
    if rows:
        lines += ["", "| option | |", "|---|---|", *rows]
    if command.epilog:
        lines += ["", "```console", *(f"$ {line}" for line in _examples(command.epilog)), "```"]
    return "\n".join([*lines, ""])


def _prose(text: str) -> str:
    """Paragraphs as they are; a block kept as it is becomes code."""
    paragraphs = inspect.cleandoc(text).split("\n\n")
    return "\n\n".join(
        f"```\n{one.removeprefix(chr(8)).strip(chr(10))}\n```" if one.startswith("\b") else " ".join(one.split())
        for one in paragraphs
    )


def _spelling(option: click.Option, context: click.Context) -> str:
    names = ", ".join(f"`{name}`" for name in sorted(option.opts, key=len, reverse=True))
    if option.is_flag:
        return names
    return f"{names} `{option.make_metavar(context)}`".replace("|", r"\|")


def _meaning(option: click.Option, context: click.Context) -> str:
    extra = option.get_help_extra(context)
    words = [option.help or ""]
    if "default" in extra:
        words.append(f"Default {extra['default']}.")
    if extra.get("required"):
        words.append("Required.")
    return " ".join(filter(None, words)).replace("|", r"\|")


def _examples(epilog: str) -> list[str]:
    lines = [line.strip() for line in inspect.cleandoc(epilog.replace("\b", "")).splitlines()]
    return [re.sub(r" {3,}", "   # ", line) for line in lines if line.startswith(("kifabrik ", "eval "))]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"{PAGE.name} is written\n")
