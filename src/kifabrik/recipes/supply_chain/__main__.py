"""The study as a job of an AI factory: `python -m kifabrik.recipes.supply_chain`, see `job`."""

import sys

from kifabrik.recipes.supply_chain import portable


def main() -> int:
    """Take the simulator as it came with the code, then do the job."""
    portable.take()
    from kifabrik.recipes.supply_chain.job import main as study  # noqa: PLC0415 - imports numba

    return study()


if __name__ == "__main__":
    sys.exit(main())
