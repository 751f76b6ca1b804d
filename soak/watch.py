"""Looking at all runs of a tenant all the time, through the SDK, while services come and go."""

import threading
import time

from kifabrik.customer.session import open_session
from kifabrik.errors import KifabrikError
from kifabrik.runs.states import is_end

EVERY_S = 1.5
MOST = 500


class Watch:
    """Knows every run of a tenant as the factory shows it to one of its members.

    Args:
        party: Who looks.
        journal: Learns of states that go backwards.
    """

    def __init__(self, party, journal):
        self._party = party
        self._journal = journal
        self._views = {}
        self._news = threading.Condition()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name=f"watch-{party.name}", daemon=True)
        self._thread.start()

    def views(self):
        """The newest view of each run."""
        with self._news:
            return dict(self._views)

    def view(self, run):
        """The newest view of a run, or None."""
        with self._news:
            return self._views.get(run)

    def wait(self, run, holds, patience_s):
        """Wait until the view of a run fulfils a condition or the run has ended; the view, or None."""
        with self._news:
            self._news.wait_for(
                lambda: run in self._views and (holds(self._views[run]) or is_end(self._views[run].state)),
                patience_s,
            )
            return self._views.get(run)

    def end(self, run, patience_s):
        """Wait until a run has ended; its view, or None if it has not."""
        view = self.wait(run, lambda _view: False, patience_s)
        return view if view is not None and is_end(view.state) else None

    def close(self):
        """Stop looking."""
        self._over.set()
        self._thread.join(60)

    def _look(self):
        while not self._over.is_set():
            try:
                with open_session(self._party.home) as session:
                    while not self._over.is_set():
                        self._take(self._with_tasks(session.runs, session.runs.all(limit=MOST)))
                        self._over.wait(EVERY_S)
            except KifabrikError:
                time.sleep(1.0)  # the service is away

    def _with_tasks(self, runs, views):
        """Views of runs, of sweeps, and of the tasks of those that go on or were not seen to their end."""
        known = self.views()
        for view in views:
            yield view
            before = known.get(view.run)
            if view.tasks and not (before and is_end(before.state)):
                yield from runs.all_tasks(view.run)

    def _take(self, views):
        views = list(views)  # before the lock: asking takes time
        with self._news:
            for view in views:
                known = self._views.get(view.run)
                if known is not None and is_end(known.state) and known.state is not view.state:
                    self._journal.mistake(f"{view.run} had ended as {known.state} and is {view.state} now")
                if known is not None and view.revision < known.revision:
                    self._journal.mistake(f"{view.run} went back from revision {known.revision} to {view.revision}")
                self._views[view.run] = view
            self._news.notify_all()
