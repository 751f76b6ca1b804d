"""Times functions of kifabrik; the code that is measured knows nothing of it.

`watch` wraps the functions that `POINTS` names as soon as their modules are imported. Each call appends a line
to a file: begin and end (`time.perf_counter`, one clock for all processes of a machine), process, name.
A program is watched from its start if this folder is in its `PYTHONPATH` and `KIFABRIK_SPANS` names the file.
"""

import functools
import importlib.machinery
import os
import sys
import time

POINTS = {
    "kifabrik.customer.apply": ("prepare_all",),
    "kifabrik.customer.bundle": ("CodeBundle.seal",),
    "kifabrik.orders.order": ("sign_order",),
    "kifabrik.client.runs": ("Runs.order",),
    "kifabrik.factory.admit": ("Admission.admit",),
    "kifabrik.factory.queue": ("Queue._reserve",),
    "kifabrik.factory.handover": ("Handover._enter",),
    "kifabrik.engines.local.engine": ("LocalEngine.submit",),
    "kifabrik.engines.local.forge": ("Forge.start",),
    "kifabrik.engines.slurm.engine": ("SlurmEngine.submit", "SlurmEngine.holds"),
    "kifabrik.nodes.claiming": ("claim_attempt",),
    "kifabrik.client.attempts": ("Attempts.work",),
    "kifabrik.launcher.work": ("verify_work",),
    "kifabrik.launcher.building": ("build_environment",),
    "kifabrik.client.leases": ("Leases.request",),
    "kifabrik.keyholder.log_watch": ("LogWatch.follow",),
    "kifabrik.keyholder.desk": ("Desk.decide",),
    "kifabrik.keyholder.delivery": ("Delivery.send_statements", "Delivery.send_headers"),
    "kifabrik.launcher.journal": ("Journal.open", "Journal._add", "Journal._send"),
    "kifabrik.launcher.staging": ("Stager.stage",),
    "kifabrik.sandbox.launch": ("start",),
    "kifabrik.customer.leasing": ("ask_for_results", "AskedLease.answer"),
    "kifabrik.customer.follow": ("AttemptLog.lines",),
}


def timed(function, name, sheet):
    """Wrap a function so that each call writes a line."""

    @functools.wraps(function)
    def wrapper(*args, **more):
        begin = time.perf_counter()
        try:
            return function(*args, **more)
        finally:
            line = f"{begin:.6f} {time.perf_counter():.6f} {os.getpid()} {name}\n"
            os.write(sheet, line.encode())

    return wrapper


class Watcher:
    """Finds modules as usual, and wraps their functions once they are loaded."""

    def __init__(self, sheet):
        self.sheet = sheet

    def find_spec(self, name, path, target=None):
        if name not in POINTS:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        load = spec.loader.exec_module

        def load_and_wrap(module):
            load(module)
            for point in POINTS[name]:
                *within, last = point.split(".")
                owner = functools.reduce(getattr, within, module)
                found = owner.__dict__[last]  # fails where a point is gone: then this list must be mended
                if isinstance(found, classmethod):
                    setattr(owner, last, classmethod(timed(found.__func__, point, self.sheet)))
                else:
                    setattr(owner, last, timed(found, point, self.sheet))

        spec.loader.exec_module = load_and_wrap
        return spec


def watch(path):
    """Begin to write to a file."""
    sheet = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.set_inheritable(sheet, False)
    sys.meta_path.insert(0, Watcher(sheet))
