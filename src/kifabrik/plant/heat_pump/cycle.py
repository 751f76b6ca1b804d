"""A two-stage ammonia heat pump in TESPy: designed once, then asked how it does at other conditions.

The cycle: evaporator, compressor, intercooler, compressor, condenser, valve. One solve away from the design takes a
tenth of a second, so nothing calls this in a simulation; `kifabrik.plant.heat_pump.making` writes maps with it.

Sources:
    - Equations and characteristic lines: F. Witte, I. Tuschy, "TESPy: Thermal Engineering Systems in Python", JOSS
      5(49), 2178, 2020.
    - The machine to compare with: the heat pump of TESPy's own comparison with Ebsilon (`EBSILON`, `EBSILON_COP`).
"""

import math
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

import numpy as np

_HALVINGS: Final = 2
"""Solves until the intermediate pressure is the geometric mean of the others, which needs the least work."""


class Control(Enum):
    """What holds the pressures away from the design."""

    FLOATING = "floating"
    """Exchangers and temperatures decide, as with speed control and a level-controlled valve."""
    HELD = "held"
    """Evaporation, intermediate and condensation pressure stay as designed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """Conditions a machine is designed for; temperatures in °C, pressures in bar.

    Attributes:
        source: Of the source water coming in.
        source_flow: Of that water, kg/s.
        evaporating: Of the ammonia, saturated.
        superheat: Of the ammonia before the first compressor, K.
        intermediate_pressure: Between the compressors.
        condensing_pressure: Behind the second.
        intercooled: Of the ammonia behind the intercooler.
        intercooler_water: Coming in.
        intercooler_flow: Of that water, kg/s.
        intercooler_useful: Whether its heat is delivered too.
        subcooling: Behind the condenser, K.
        back: Of the water coming back from the network.
        flow: Of the water to the network.
        efficiency: Isentropic, of both compressors.
        efficiency_line: What of that remains: pairs of flow (share of the design's) and factor. Empty: TESPy's.
        control: Away from the design.
    """

    source: float
    source_flow: float
    evaporating: float
    superheat: float
    intermediate_pressure: float
    condensing_pressure: float
    intercooled: float
    intercooler_water: float
    intercooler_flow: float
    intercooler_useful: bool
    subcooling: float
    back: float
    flow: float
    efficiency: float
    efficiency_line: tuple[tuple[float, float], ...] = ()
    control: Control


EBSILON: Final = Design(
    source=12,
    source_flow=20,
    evaporating=5,
    superheat=5,
    intermediate_pressure=15,
    condensing_pressure=60,
    intercooled=40,
    intercooler_water=20,
    intercooler_flow=5,
    intercooler_useful=False,
    subcooling=5,
    back=60,
    flow=105,
    efficiency=0.8,
    efficiency_line=((0.0, 0.5), (0.4, 0.9), (1.0, 1.0), (1.2, 1.1)),
    control=Control.HELD,
)
"""The machine of TESPy's comparison with Ebsilon (`tests/test_models/test_heat_pump_model.py` of TESPy, MIT)."""

WASTE_HEAT: Final = Design(
    source=33,
    source_flow=100,
    evaporating=24,
    superheat=5,
    intermediate_pressure=18,
    condensing_pressure=34,
    intercooled=55,
    intercooler_water=45,
    intercooler_flow=5,
    intercooler_useful=True,
    subcooling=5,
    back=45,
    flow=70,
    efficiency=0.78,
    control=Control.FLOATING,
)
"""A machine for the heat of a cooling loop: 33 °C in, 70 °C to the network, 45 °C back (all assumed)."""

EBSILON_COP: Final = {
    105: ((23, 2.436), (22, 2.414), (20, 2.368), (18, 2.338), (16, 2.287)),
    100: ((27, 2.591), (24, 2.523), (20, 2.448), (16, 2.355), (12, 2.216)),
    90: ((31, 2.777), (25, 2.635), (20, 2.557), (15, 2.442), (10, 2.243)),
    80: ((33, 2.866), (26, 2.711), (20, 2.629), (15, 2.528), (10, 2.351)),
}
"""What Ebsilon gives for that machine: flow temperature (°C) to pairs of source water (kg/s) and COP."""


class Machine:
    """A heat pump as designed.

    Args:
        design: What for.

    Raises:
        RuntimeError: If TESPy finds no such machine.
    """

    def __init__(self, design: Design) -> None:
        self.design = design
        self._build()
        self._solve("design")
        self._saved: dict[str, Any] = self._network.save(as_dict=True)
        self._rated_condenser = -self._condenser.Q.val_SI
        if design.control is Control.FLOATING:
            self._suction.set_attr(p=None)
            self._delivery.set_attr(p=None)
            self._condensate.set_attr(td_bubble=design.subcooling, design=[])

    def heat(self) -> float:
        """Heat it delivers as last solved, W."""
        useful = -self._condenser.Q.val_SI
        return float(useful - (self._intercooler.Q.val_SI if self.design.intercooler_useful else 0.0))

    def power(self) -> float:
        """Power of its compressors as last solved, W."""
        return float(self._low.P.val_SI + self._high.P.val_SI)

    def held(self, flow: float, source_flow: float) -> float:
        """COP at held pressures.

        Args:
            flow: Temperature to the network, °C.
            source_flow: Of the source water, kg/s.

        Raises:
            RuntimeError: If TESPy finds no such state.
        """
        self._flow.set_attr(T=flow)
        self._source.set_attr(m=source_flow)
        self._solve("offdesign")
        return self.heat() / self.power()

    def floating(self, source: float, flow: float, load: float) -> float:
        """COP at pressures that float.

        Args:
            source: Temperature of the source water coming in, °C.
            flow: Temperature to the network, °C.
            load: Heat of the condenser as a share of the design's.

        Raises:
            RuntimeError: If TESPy finds no such state.
        """
        self._source.set_attr(T=source)
        self._flow.set_attr(T=flow)
        self._condenser.set_attr(Q=-load * self._rated_condenser)
        for _ in range(_HALVINGS):
            self._solve("offdesign")
            low, high = self._suction.p.val, self._delivery.p.val
            self._middle.set_attr(p=math.sqrt(low * high))
        self._solve("offdesign")
        return self.heat() / self.power()

    def _solve(self, mode: str) -> None:
        if mode == "design":
            self._network.solve("design", print_results=False)
        else:
            self._network.solve("offdesign", design_path=self._saved, print_results=False)
        if not self._network.converged:
            message = f"TESPy found no state of the heat pump ({mode})."
            raise RuntimeError(message)

    def _build(self) -> None:
        from tespy.components import Compressor, CycleCloser, HeatExchanger, Sink, Source, Valve  # noqa: PLC0415
        from tespy.connections import Connection  # noqa: PLC0415
        from tespy.networks import Network  # noqa: PLC0415
        from tespy.tools.characteristics import CharLine  # noqa: PLC0415

        design = self.design
        network = self._network = Network(iterinfo=False)
        network.units.set_defaults(temperature="degC", pressure="bar", enthalpy="kJ/kg", mass_flow="kg/s")
        closer, valve = CycleCloser("closer"), Valve("valve")
        evaporator = HeatExchanger("evaporator")
        self._low, self._high = Compressor("low"), Compressor("high")
        self._intercooler, self._condenser = HeatExchanger("intercooler"), HeatExchanger("condenser")
        self._suction = Connection(evaporator, "out2", self._low, "in1", label="suction")
        self._middle = Connection(self._low, "out1", self._intercooler, "in1", label="middle")
        cooled = Connection(self._intercooler, "out1", self._high, "in1", label="cooled")
        self._delivery = Connection(self._high, "out1", closer, "in1", label="delivery")
        closed = Connection(closer, "out1", self._condenser, "in1", label="closed")
        self._condensate = Connection(self._condenser, "out1", valve, "in1", label="condensate")
        wet = Connection(valve, "out1", evaporator, "in2", label="wet")
        self._source = Connection(Source("river"), "out1", evaporator, "in1", label="source")
        spent = Connection(evaporator, "out1", Sink("spent"), "in1", label="spent")
        self._back = Connection(Source("back"), "out1", self._condenser, "in2", label="back")
        self._flow = Connection(self._condenser, "out2", Sink("flow"), "in1", label="flow")
        cold = Connection(Source("cold"), "out1", self._intercooler, "in2", label="cold")
        warm = Connection(self._intercooler, "out2", Sink("warm"), "in1", label="warm")
        network.add_conns(
            self._suction, self._middle, cooled, self._delivery, closed, self._condensate, wet,
            self._source, spent, self._back, self._flow, cold, warm,
        )  # fmt: skip
        for machine in (self._low, self._high):
            machine.set_attr(eta_s=design.efficiency, design=["eta_s"], offdesign=["eta_s_char"])
            if design.efficiency_line:
                line = CharLine(*np.transpose(design.efficiency_line))
                machine.set_attr(eta_s_char={"char_func": line, "param": "m"})
        for exchanger in (evaporator, self._intercooler, self._condenser):
            exchanger.set_attr(pr1=0.999, pr2=0.999, offdesign=["UA_char"])
        shares = np.linspace(0, 3, 31)
        turbulent = {"char_func": CharLine(shares, np.maximum(shares, 1e-3) ** 0.8), "param": "m"}
        evaporator.set_attr(UA_char1=turbulent)
        self._intercooler.set_attr(UA_char2=turbulent)
        self._condenser.set_attr(UA_char2=turbulent)
        self._source.set_attr(T=design.source, m=design.source_flow, p=2, fluid={"water": 1})
        self._back.set_attr(T=design.back, p=10, fluid={"water": 1})
        self._flow.set_attr(T=design.flow)
        cold.set_attr(T=design.intercooler_water, m=design.intercooler_flow, p=10, fluid={"water": 1})
        cooled.set_attr(T=design.intercooled, design=["T"])
        import CoolProp.CoolProp  # noqa: PLC0415

        evaporation = CoolProp.CoolProp.PropsSI("P", "T", design.evaporating + 273.15, "Q", 1, "NH3") / 1e5
        self._suction.set_attr(p=evaporation, td_dew=design.superheat)
        self._middle.set_attr(p=design.intermediate_pressure)
        closed.set_attr(fluid={"NH3": 1})
        self._delivery.set_attr(p=design.condensing_pressure)
        self._condensate.set_attr(td_bubble=design.subcooling, design=["td_bubble"])
        # the evaporator decides how much ammonia: 5 K between the water going out and the ammonia coming in
        evaporator.set_attr(ttd_l=5, design=["ttd_l"])
