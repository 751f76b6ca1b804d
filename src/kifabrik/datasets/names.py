"""Names people give to datasets, models and jobs.

Invariants:
- a name has no letter that can be taken for another one, or not be seen;
- no name is an id, so whoever uses an id is not led to something else that somebody calls by it.
"""

import re
from typing import Final

from kifabrik.errors import UsageError

LONGEST_NAME: Final = 64
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]*")
_ID: Final = re.compile(r"[a-z]-[a-z2-7]{16,32}(?:-[0-9]{1,5})?")
"""What `kifabrik.values` calls ids, of any kind, and the runs of tasks."""


def is_name(text: str) -> bool:
    """Whether `text` may name a dataset, a model or a job."""
    return len(text) <= LONGEST_NAME and _NAME.fullmatch(text) is not None and _ID.fullmatch(text) is None


def check_name(text: str, what: str = "dataset") -> str:
    """Return `text` if it may name a `what`.

    Raises:
        UsageError: It has other characters than lower-case letters, digits, `-`, `_` and `.`, starts with
            punctuation, is empty or longer than 64, or looks like an id.
    """
    if not is_name(text):
        raise UsageError(
            f"not a {what} name: {text!r}",
            hint="Use 1 to 64 of a-z, 0-9, '-', '_' and '.', starting with a letter or digit, and not an id.",
        )
    return text
