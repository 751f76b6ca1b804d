"""A piece of work that kills itself with SIGKILL at one of the moments when something becomes different outside.

    python dying.py

reads one task a line, `[MOMENT, HOME, WORK, WORD…]` in JSON, does each in a process of its own, and answers with
`[STATUS, MOMENTS, ERROR]`: the status -9 is a death.

Moments are counted from 1: each file opened for writing, renamed, linked or removed, each folder made, each
statement given to SQLite, each HTTP call before it is sent and after it was answered. At moment 0 nobody dies.
"""

import json
import os
import signal
import sqlite3
import sys
from contextlib import nullcontext
from http.client import HTTPConnection
from pathlib import Path

from kifabrik.customer.apply import lock_environment, prepare, submit
from kifabrik.customer.profile import enrol
from kifabrik.customer.results import pull_output
from kifabrik.customer.seal import seal_dataset
from kifabrik.customer.session import open_session
from kifabrik.errors import KifabrikError
from kifabrik.jobs.jobfile import read_job
from kifabrik.keyholder.keyholder import open_keyholder
from kifabrik.keyholder.restore import restore
from kifabrik.keyholder.setup import create_tenant
from kifabrik.keyholder.unlocking import KeyFile, Passphrase
from kifabrik.tenants.invitation import Invitation
from kifabrik.transfer.objects import silent

WORK_FACTOR = 2
_CHANGES = frozenset({"os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir", "os.truncate"})


class Moments:
    """Counts them, and ends this process at one.

    Args:
        last: The one to die at; none if 0.
    """

    def __init__(self, last: int) -> None:
        self.last, self.count = last, 0

    def watch(self) -> None:
        """Begin to count."""
        sys.addaudithook(self._audited)
        ask, hear, connect = HTTPConnection.endheaders, HTTPConnection.getresponse, sqlite3.connect

        def connected(*words, **options):
            connection = connect(*words, **options)
            connection.set_trace_callback(self.passed)
            return connection

        def asked(line, *words, **options):
            self.passed()
            return ask(line, *words, **options)

        def heard(line):
            answer = hear(line)
            self.passed()
            return answer

        HTTPConnection.endheaders, HTTPConnection.getresponse, sqlite3.connect = asked, heard, connected

    def passed(self, *_about) -> None:
        """Another moment; perhaps the last."""
        self.count += 1
        if self.count == self.last:
            os.kill(os.getpid(), signal.SIGKILL)

    def _audited(self, event, words) -> None:
        if event in _CHANGES or (event == "open" and words[2] & (os.O_WRONLY | os.O_RDWR)):
            self.passed()


def _bar(_label, _total):
    return nullcontext(silent)


def _tenant(home, url, code, passphrase):
    create_tenant(home / "keyholder", url, code, passphrase, work_factor=WORK_FACTOR)


def _login(home, invitation):
    enrol(home, Invitation.from_text(Path(invitation).read_text()))


def _seal(home, name, source):
    with open_session(home) as session:
        seal_dataset(session, name, Path(source), bar=_bar)


def _apply(home, job):
    with open_session(home) as session:
        prepared = prepare(session, read_job(Path(job)), Path(job).parent)
        submit(session, prepared, lock_environment(prepared))


def _pull(home, run, target):
    with open_session(home) as session:
        pull_output(session, run, 1, Path(target), bar=_bar)


def _erase(home, dataset, passphrase):
    unlock = KeyFile(home / "keyholder.key")
    with open_keyholder(home / "keyholder", unlock) as keyholder, keyholder.steward(passphrase) as steward:
        steward.erase(dataset)


def _backup(home, path, passphrase):
    with open_keyholder(home / "keyholder", Passphrase(passphrase)) as keyholder:
        keyholder.backup(Path(path), "backup words", work_factor=WORK_FACTOR)


def _restore(home, path, passphrase):
    restore(home / "keyholder", Path(path), "backup words", passphrase, work_factor=WORK_FACTOR)


_WORK = {
    "tenant": _tenant,
    "login": _login,
    "seal": _seal,
    "apply": _apply,
    "pull": _pull,
    "erase": _erase,
    "backup": _backup,
    "restore": _restore,
}


def _do(moment, home, work, *words):
    moments, error = Moments(moment), ""
    moments.watch()
    try:
        _WORK[work](Path(home), *words)
    except KifabrikError as refused:
        error = f"{type(refused).__name__}: {refused.message}"
    return moments.count, error


def main() -> None:
    """Do every task in a process of its own, so that nothing but the task takes time."""
    for line in sys.stdin:
        answer, told = os.pipe()
        child = os.fork()
        if not child:
            os.write(told, json.dumps(_do(*json.loads(line))).encode())
            os._exit(0)
        os.close(told)
        with os.fdopen(answer) as file:
            said = json.loads(file.read() or '[0, ""]')
        _, status = os.waitpid(child, 0)
        sys.stdout.write(json.dumps([os.waitstatus_to_exitcode(status), *said]) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
