"""What customers want: heat by the hour after the standard load profiles of BDEW, from demandlib."""

from collections.abc import Sequence
from datetime import date

import numpy as np

from kifabrik.errors import UsageError
from kifabrik.plant.load import Floats
from kifabrik.plant.site import Customer
from kifabrik.plant.spans import Span


def heat_demand(
    customers: Sequence[Customer], celsius: Floats, span: Span, holidays: Sequence[date] = ()
) -> Floats:
    """Power that customers want, hour by hour; each customer's year adds up to its annual need.

    The profile is that of the guideline of BDEW, VKU and GEODE for gas, as demandlib has it: a sigmoid of the
    outdoor temperature, days of the week, hours of the day; hot water included.

    Args:
        customers: Who.
        celsius: Outdoor temperature by the hour; shape (hours,).
        span: The year.
        holidays: Count as Sundays.

    Returns:
        W; shape (hours,).

    Raises:
        UsageError: A profile and its class do not go together.
    """
    total = np.zeros(span.hours)
    if not customers:
        return total
    import pandas as pd  # noqa: PLC0415 - slow to import
    from demandlib.bdew import HeatBuilding  # noqa: PLC0415

    index = pd.date_range(f"{span.year}-01-01", periods=span.hours, freq="h")
    temperature = pd.Series(np.clip(celsius, -20, 40), index=index)
    for customer in customers:
        if (customer.profile in {"EFH", "MFH"}) != (customer.building_class > 0):
            message = (
                f"{customer.name}: the profile {customer.profile} does not go with class {customer.building_class}."
            )
            raise UsageError(message, hint="EFH and MFH have a building_class from 1 to 11, all others none.")
        profile = HeatBuilding(
            index,
            holidays=dict.fromkeys(holidays, "holiday"),
            temperature=temperature,
            shlp_type=customer.profile,
            building_class=customer.building_class,
            wind_class=0,
            annual_heat_demand=1.0,
            name=customer.name,
        ).get_bdew_profile()
        shares = np.asarray(profile, dtype=np.float64)
        total += shares / shares.sum() * customer.annual / 3600.0
    return total
