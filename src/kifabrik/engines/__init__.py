"""Engines start launchers: each folder is one kind, behind the port `kifabrik.factory.engine`.

Invariants:
- an engine keeps what it must know across a restart of the service outside the service's memory;
- no secret is in a launcher's arguments, environment or files;
- ending the service never ends a launcher.
"""
