"""Figures of merit after EN 50600-4 (ISO/IEC 30134): one function each, energies of a year in, a number out.

All are means over a year. Symbols are the standards'. Energies may be in any unit, the same for all. Clauses are
not named: the standards are sold, and their texts were not at hand. What each definition was held against stands
with it; PUE, WUE, ERF and REF are those of Delegated Regulation (EU) 2024/1364, Annex III, points (a) to (d), whose
text was (https://eur-lex.europa.eu/eli/reg_del/2024/1364/oj).
"""


def power_usage_effectiveness(total: float, it: float) -> float:
    """PUE = E_DC / E_IT (EN 50600-4-2:2016; ISO/IEC 30134-2:2016).

    Held against (EU) 2024/1364, Annex III (a), and EnEfG § 3 no. 15.

    Args:
        total: E_DC, all energy of the data centre.
        it: E_IT, what the IT takes.
    """
    return total / it if it > 0 else float("nan")


def renewable_energy_factor(renewable: float, total: float) -> float:
    """REF = E_ren / E_DC, at most 1 (EN 50600-4-3:2016; ISO/IEC 30134-3:2016).

    Held against (EU) 2024/1364, Annex III (d): E_RES-TOT / E_DC; that it is at most 1 does not stand there.

    Args:
        renewable: E_ren, renewable energy owned and controlled by the operator (guarantees of origin count).
        total: E_DC.
    """
    return min(renewable / total, 1.0) if total > 0 else float("nan")


def energy_reuse_factor(reused: float, total: float) -> float:
    """ERF = E_reuse / E_DC (EN 50600-4-6:2020; ISO/IEC 30134-6:2021).

    Held against (EU) 2024/1364, Annex III (c) and Annex II, 1 (j): heat used outside the boundary of the data
    centre, measured where it is handed off. Here that is in front of a heat pump that upgrades it.

    Args:
        reused: E_reuse, energy used outside the data centre.
        total: E_DC.
    """
    return reused / total if total > 0 else float("nan")


def cooling_efficiency_ratio(removed: float, cooling: float) -> float:
    """CER = Q_removed / E_cooling (EN 50600-4-7:2020; ISO/IEC 30134-7:2023).

    Not held against the standard's text; against what a maker of cooling writes of it, with the same symbols
    (https://www.stulz.com/en-es/newsroom/detail/cooling-efficiency-ratio-1).

    Args:
        removed: Q_removed, heat that cooling takes out.
        cooling: E_cooling, electricity of all cooling (pumps, fans, chillers).
    """
    return removed / cooling if cooling > 0 else float("nan")


def carbon_usage_effectiveness(carbon: float, it: float) -> float:
    """CUE = M_CO2 / E_IT, kg for each unit of energy (EN 50600-4-8:2022; ISO/IEC 30134-8:2022).

    Not held against the standard's text; against a glossary's account of the Green Grid's definition: carbon from
    all energy of the data centre over that of IT (https://era.org/glossary/carbon-usage-effectiveness-cue/).

    Args:
        carbon: Mass of CO₂ equivalent from the energy used, kg.
        it: E_IT.
    """
    return carbon / it if it > 0 else float("nan")


def water_usage_effectiveness(water: float, it: float) -> float:
    """WUE = W / E_IT (EN 50600-4-9:2022; ISO/IEC 30134-9:2022).

    Held against (EU) 2024/1364, Annex III (b) and Annex II, 1 (h): all water that enters the boundary, so what is
    withdrawn; m³/MWh there, which is l/kWh.

    Of a river that flows through an exchanger once, nearly all comes back: withdrawn and consumed water differ by
    orders of magnitude. Say which one a figure is of.

    Args:
        water: Volume withdrawn, or volume consumed.
        it: E_IT.
    """
    return water / it if it > 0 else float("nan")
