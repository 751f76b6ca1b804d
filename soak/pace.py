"""How busy this machine is: where many share it, what takes longer is waited for longer, and harmed less often.

Else a command that takes a minute there would be killed each time before it ends, and the play would prove nothing.
"""

import os

ALONE = 4.0
"""Processes that wait for each core while a play has a machine to itself."""


def slowness():
    """How many times longer things take here at present than where a play is alone; never below 1."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1) / ALONE)


def in_time(seconds):
    """How long to wait here for what may take so many seconds where a play is alone."""
    return seconds * slowness()
