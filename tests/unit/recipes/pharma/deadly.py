"""Work that ends its process at one number; imports nothing, so that processes begin quickly."""

import os
import signal

DEADLY = 7


def square_all(numbers):
    """Square numbers, or die."""
    if DEADLY in numbers:
        os.kill(os.getpid(), signal.SIGKILL)
    return [number * number for number in numbers]


def halves(numbers):
    """Two parts of a list; none of a single number."""
    middle = len(numbers) // 2
    return (numbers[:middle], numbers[middle:]) if middle else ()
