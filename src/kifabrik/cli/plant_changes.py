"""`--set KEY=VALUE`: a site with changes."""

from collections.abc import Sequence

import click

from kifabrik.cli.options import F
from kifabrik.errors import UsageError


def changes_option(command: F) -> F:
    """Add `--set` as the argument `changes`."""
    return click.option(
        "--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change the site, as river.year=2003."
    )(command)


def changes_of(texts: Sequence[str]) -> dict[str, object]:
    """Changes by their keys.

    Raises:
        UsageError: One is not KEY=VALUE.
    """
    import yaml  # noqa: PLC0415 - slow to import

    found = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not (key and equals):
            raise UsageError(f"'{text}' is not KEY=VALUE.", hint="For example river.year=2003")
        found[key] = yaml.safe_load(value)
    return found
