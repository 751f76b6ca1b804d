"""The network's losses as one figure, beside pandapipes, which solves pipe and water along the way."""

import math
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import pytest

LENGTH, PER_METRE, GROUND = 2500.0, 0.24, 10.0
"""m; W/(m K); °C: what the shipped site's figure of 1.2 kW/K was made of."""
HEAT = 4186.0


def leaving(entering, kilograms):
    """Temperature behind the pipe by the closed solution, °C (pandapipes' own test case)."""
    return GROUND + (entering - GROUND) * math.exp(-PER_METRE * LENGTH / (kilograms * HEAT))


@pytest.fixture(scope="module")
def solved():
    """The same by pandapipes, in a process of its own: it changes how matplotlib draws (`RendererBase.new_gc`)."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as apart:
        yield lambda entering, kilograms: apart.submit(solve, entering, kilograms).result()


def solve(entering, kilograms):
    import pandapipes as pp

    net = pp.create_empty_network(fluid="water")
    start, end = (pp.create_junction(net, pn_bar=6, tfluid_k=entering + 273.15) for _ in range(2))
    diameter = 0.2
    pp.create_pipe_from_parameters(
        net, start, end, length_km=LENGTH / 1000, diameter_m=diameter, k_mm=0.1,
        u_w_per_m2k=PER_METRE / (math.pi * diameter), text_k=GROUND + 273.15, sections=100,
    )  # fmt: skip
    pp.create_ext_grid(net, start, p_bar=6, t_k=entering + 273.15, type="pt")
    pp.create_sink(net, end, mdot_kg_per_s=kilograms)
    pp.pipeflow(net, mode="sequential", use_numba=False)
    return float(net.res_junction.t_k.iloc[-1]) - 273.15


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("flow", "kilograms"), [(75.0, 30.0), (65.0, 10.0)])
def test_one_figure_for_losses_agrees_with_pandapipes(flow, kilograms, solved):
    out = solved(flow, kilograms)
    assert out == pytest.approx(leaving(flow, kilograms), abs=0.05)
    back = 45.0
    lost = kilograms * HEAT * ((flow - out) + (back - solved(back, kilograms)))
    ours = 2 * PER_METRE * LENGTH * (0.5 * (flow + back) - GROUND)
    assert ours == pytest.approx(lost, rel=0.02)
