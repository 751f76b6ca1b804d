"""Times from which a keyholder does not know which backups were made of it.

A backup is registered in the keyholder it is made of. Where that one is lost and an older backup restored, those
made in between are known to nobody; each still holds the keys of its time.
"""

import json

from kifabrik.grants.statements import Restored
from kifabrik.keyholder.settings import Setting, Settings


def restored_times(settings: Settings) -> tuple[Restored, ...]:
    """Return them, the oldest first."""
    return tuple(
        Restored(since, until) for since, until in json.loads(settings.find(Setting.RESTORED_TIMES) or "[]")
    )


def add_restored_time(settings: Settings, since: str, until: str) -> None:
    """Note one more.

    Args:
        settings: Of the keyholder that was restored.
        since: When the backup it came from was made.
        until: Now.
    """
    kept = [[one.since, one.until] for one in restored_times(settings)]
    settings.set(Setting.RESTORED_TIMES, json.dumps([*kept, [since, until]]))
