"""Figures of merit after EN 50600-4 (ISO/IEC 30134): one function each, energies of a year in, a number out.

All are means over a year. Symbols are the standards'. Energies may be in any unit, the same for all. Clauses are
not named: the standards are sold, and their texts were not at hand. The definitions were held against what is
published of them (the scopes of EN 50600-4-2 and -4-6, ISO's abstract of 30134-6, an excerpt of EN 50600-4-3);
docs/plant.md says which are not.
"""


def power_usage_effectiveness(total: float, it: float) -> float:
    """PUE = E_DC / E_IT (EN 50600-4-2:2016; ISO/IEC 30134-2:2016).

    Args:
        total: E_DC, all energy of the data centre.
        it: E_IT, what the IT takes.
    """
    return total / it if it > 0 else float("nan")


def renewable_energy_factor(renewable: float, total: float) -> float:
    """REF = E_ren / E_DC, at most 1 (EN 50600-4-3:2016; ISO/IEC 30134-3:2016).

    Args:
        renewable: E_ren, renewable energy owned and controlled by the operator (guarantees of origin count).
        total: E_DC.
    """
    return min(renewable / total, 1.0) if total > 0 else float("nan")


def energy_reuse_factor(reused: float, total: float) -> float:
    """ERF = E_reuse / E_DC (EN 50600-4-6:2020; ISO/IEC 30134-6:2021).

    Reused heat is measured where it leaves the data centre, in front of a heat pump that upgrades it.

    Args:
        reused: E_reuse, energy used outside the data centre.
        total: E_DC.
    """
    return reused / total if total > 0 else float("nan")


def cooling_efficiency_ratio(removed: float, cooling: float) -> float:
    """CER = Q_removed / E_cooling (EN 50600-4-7:2020; ISO/IEC 30134-7:2023).

    Args:
        removed: Q_removed, heat that cooling takes out.
        cooling: E_cooling, electricity of all cooling (pumps, fans, chillers).
    """
    return removed / cooling if cooling > 0 else float("nan")


def carbon_usage_effectiveness(carbon: float, it: float) -> float:
    """CUE = M_CO2 / E_IT, kg for each unit of energy (EN 50600-4-8:2022; ISO/IEC 30134-8:2022).

    Args:
        carbon: Mass of CO₂ equivalent from the energy used, kg.
        it: E_IT.
    """
    return carbon / it if it > 0 else float("nan")


def water_usage_effectiveness(water: float, it: float) -> float:
    """WUE = W / E_IT (EN 50600-4-9:2022; ISO/IEC 30134-9:2022).

    Of a river that flows through an exchanger once, nearly all comes back: withdrawn and consumed water differ by
    orders of magnitude. Say which one a figure is of.

    Args:
        water: Volume withdrawn, or volume consumed.
        it: E_IT.
    """
    return water / it if it > 0 else float("nan")
