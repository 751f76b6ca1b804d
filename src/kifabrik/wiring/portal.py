"""What the pages know of a factory beside its use cases, from its settings."""

from pathlib import Path

from kifabrik.plant.governor.permit_file import standing_permit
from kifabrik.portal.premises import Premises
from kifabrik.wiring.factory_config import FactoryConfig
from kifabrik.wiring.runs import read_prices


def premises_of(home: Path, config: FactoryConfig) -> Premises:
    """Say it.

    Args:
        home: The factory's folder.
        config: Its settings.

    Raises:
        UsageError: The price list is malformed.
    """
    return Premises(
        prices=read_prices(home / config.prices).prices,
        examples=not (home / config.prices).exists(),
        secure=config.secure,
        address=config.public_url.rstrip("/"),
        quota=config.quota,
        home=home,
        meters=home / config.meters if config.meters else None,
        permit=lambda now: standing_permit(home, now),
    )
