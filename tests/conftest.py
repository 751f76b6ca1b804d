"""Puts this folder on the import path, so that test modules share the writers of test material in it.

No example of a property test has a deadline: how long it takes says something of the machine, not of what it tests.
"""

from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
