"""Names people give to datasets, models and jobs."""

import re
from typing import Final

from kifabrik.errors import UsageError

LONGEST_NAME: Final = 64
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]*")


def is_name(text: str) -> bool:
    """Whether `text` may name a dataset, a model or a job."""
    return len(text) <= LONGEST_NAME and _NAME.fullmatch(text) is not None


def check_name(text: str, what: str = "dataset") -> str:
    """Return `text` if it may name a `what`.

    Raises:
        UsageError: It has other characters than lower-case letters, digits, `-`, `_` and `.`, starts with
            punctuation, is empty or longer than 64.
    """
    if not is_name(text):
        raise UsageError(
            f"not a {what} name: {text!r}",
            hint="Use 1 to 64 lower-case letters, digits, '-', '_' and '.', starting with a letter or digit.",
        )
    return text
