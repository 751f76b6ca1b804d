"""The kernel on a GPU, or on numba's simulator of one: each scenario is a thread.

Invariants:
    - There is no second kernel: a thread runs `simulate_block` on a block that is one scenario wide, a view of the
      state's column. Neighbouring threads read neighbouring numbers.
"""

from typing import Any, Final

from numba import cuda

from kifabrik.errors import UsageError
from kifabrik.recipes.supply_chain.kernel import layout as lay
from kifabrik.recipes.supply_chain.kernel.block import simulate_block

_THREADS: Final = 64
"""Threads that start together; few, because each needs many registers."""


def check() -> None:
    """See to it that there is a GPU.

    Raises:
        UsageError: If there is none that CUDA can use.
    """
    if not cuda.is_available():  # type: ignore[no-untyped-call]
        raise UsageError(
            "There is no GPU here that CUDA can use.",
            hint="Simulate on the processor (device='cpu'), or see what nvidia-smi says.",
        )


def simulate_on_gpu(plan: lay.Plan, state: lay.State, courses: Any, *numbers: Any) -> None:
    """What `simulate_block` does, with the state copied there and back.

    Args:
        plan: The network.
        state: State of all scenarios; changed.
        courses: Courses of the first scenarios; changed.
        numbers: `first`, `begin`, `end`, `span`, `every`, `stockpyl`, `any_transit`, `zero`, `watched`, `prices`.

    Raises:
        UsageError: If there is no GPU.
    """
    check()
    there = [lay.Plan(*map(cuda.to_device, plan)), lay.State(*map(cuda.to_device, state)), cuda.to_device(courses)]
    *rest, watched, prices = numbers
    blocks = -(-state.level.shape[1] // _THREADS)
    _play[blocks, _THREADS](*there, *rest, cuda.to_device(watched), cuda.to_device(prices))
    for here, copied in zip((*state, courses), (*there[1], there[2]), strict=True):
        if here.size:
            copied.copy_to_host(here)


@cuda.jit  # type: ignore[untyped-decorator]
def _play(
    plan: Any, st: Any, courses: Any, first: int, begin: int, end: int, span: Any, every: int, stockpyl: bool,
    any_transit: bool, zero: Any, watched: Any, prices: Any,
) -> None:  # fmt: skip
    s = cuda.grid(1)  # type: ignore[attr-defined]
    if s < st.level.shape[1]:
        one = lay.State(
            st.level[:, s : s + 1], st.position[:, s : s + 1], st.asked[:, s : s + 1],
            st.outside[:, s : s + 1], st.order[:, s : s + 1], st.owed_out[:, s : s + 1],
            st.orders[:, s : s + 1], st.ring[:, s : s + 1], st.making[:, s : s + 1], st.owed[:, s : s + 1],
            st.raw[:, s : s + 1], st.coming[:, s : s + 1], st.aside[:, s : s + 1], st.waiting[:, s : s + 1],
            st.held[:, s : s + 1], st.moving[:, s : s + 1], st.arrival[:, s : s + 1],
            st.trouble[:, s : s + 1], st.happens[:, s : s + 1], st.shared[:, s : s + 1], st.dice[:, s : s + 1],
            st.scratch[:, s : s + 1], st.part[:, s : s + 1], st.total[:, s : s + 1],
            st.lane_part[:, s : s + 1], st.lane_total[:, s : s + 1],
        )  # fmt: skip
        kept = s if s < courses.shape[2] else courses.shape[2]  # noqa: FURB136 - no min there
        simulate_block(
            plan, one, first + s, begin, end, span, every, stockpyl, any_transit, zero, None, None,
            courses[:, :, kept : s + 1], watched, prices, None,
        )  # fmt: skip
