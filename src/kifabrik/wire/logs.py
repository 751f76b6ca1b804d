"""The log, as far as it is not served as plain tiles and notes."""

from kifabrik.wire.body import Binary, Body, Text


class News(Body):
    """A log as it is now: the newest signed tree head, the entries asked for, the statements these name."""

    checkpoint: str
    entries: list[Binary]
    statements: list[Text]
