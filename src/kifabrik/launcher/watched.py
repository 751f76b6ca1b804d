"""The environment of a run, watched from its check to the end of its job.

The tree lies in the node's cache, where all runs of a tenant share it: a copy in memory for each run would
cost gigabytes. So it is checked against its digest once, and what the file system notes about it must be
the same right before the job starts and after it has ended. A job whose environment was exchanged in
between has put out nothing: no output is sealed, no metric published.

Invariants:
- what was noted is noted before the digest is computed, so nothing changes unseen between the two.
"""

from kifabrik.environments.build import BuiltEnvironment
from kifabrik.environments.tree import tree_digest, tree_stamp
from kifabrik.errors import IntegrityError


class WatchedEnvironment:
    """A built environment that must stay as it was checked.

    Args:
        built: From the cache, or fresh.
    """

    def __init__(self, built: BuiltEnvironment) -> None:
        self.built = built
        self._stamp = tree_stamp(built.path)

    def is_as_built(self) -> bool:
        """Whether the tree has the digest it had when it was built; reads every file."""
        return tree_digest(self.built.path) == self.built.tree_digest

    def require_unchanged(self) -> None:
        """Check that nothing below the tree was touched since.

        Raises:
            IntegrityError: Something was.
        """
        if self._now() != self._stamp:
            raise IntegrityError(
                "the environment was changed on the node after it was checked",
                hint="Nothing of this run is kept. Ask the factory's operator; then apply the job again.",
            )

    def _now(self) -> str:
        try:
            return tree_stamp(self.built.path)
        except OSError:
            return ""  # gone, or in the middle of being exchanged
