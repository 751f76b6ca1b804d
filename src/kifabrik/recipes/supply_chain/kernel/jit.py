"""How the kernel is compiled.

Invariants:
    - Nothing in the kernel makes an array. So numba need not count references to arrays: with its counting, which
      is atomic, a node costs 2.2 microseconds before any arithmetic; without, a tenth of a microsecond.
    - What every node does in every period is copied into the loop over nodes (`inlined`): handing all arrays to a
      function takes longer than a short loop. LLVM copies, not numba: the machine code is as fast, and there is
      less of it for numba to type. The rest is called (`called`).
    - Each time an element is read, numba asks some fifty templates, of strings, lists and dictionaries, before that
      of arrays. `_ArraysFirst` has arrays asked first; the answer is the same.
    - Only the outermost function is kept on disk (`block`), with everything it calls. Its key holds the text of all
      modules of the kernel, because numba by itself looks at one file only.
"""

import operator
from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

import numba
from numba.core.typing import arraydecl, templates

F = TypeVar("F", bound=Callable[..., Any])
_OPTIONS: Final[dict[str, Any]] = {"nogil": True, "error_model": "numpy", "boundscheck": False, "_nrt": False}
_CALLED: Final[dict[str, Any]] = _OPTIONS | {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
_KEPT: Final[dict[str, Any]] = _OPTIONS | {"cache": True, "no_cfunc_wrapper": True}


_arraydecl: Any = arraydecl  # numba's stubs leave them untyped
_templates: Any = templates


@_templates.infer_global(operator.getitem)
class _ArraysFirst(_arraydecl.GetItemBuffer):  # type: ignore[misc]
    """numba's own template of arrays, as one for processors: those come before the ones for any target."""

    metadata: Final = {"target": "cpu"}


def inlined(function: F) -> F:
    """Compile as part of what calls it."""
    return cast("F", numba.njit(forceinline=True, **_CALLED)(function))


def called(function: F) -> F:
    """Compile with what calls it, for no other caller."""
    return cast("F", numba.njit(**_CALLED)(function))


def kept(function: F) -> F:
    """Compile, or read from disk: beside the module or, where that is read-only, in the user's cache."""
    try:
        return cast("F", numba.njit(**_KEPT)(function))
    except RuntimeError:  # neither can be written: a read-only installation, and a user without a home
        return cast("F", numba.njit(**(_KEPT | {"cache": False}))(function))


@inlined
def larger(one: Any, other: Any) -> Any:
    """The larger of two; numba's own `max` cannot be compiled for GPUs."""
    return one if one > other else other  # noqa: FURB136


@inlined
def smaller(one: Any, other: Any) -> Any:
    """The smaller of two."""
    return one if one < other else other  # noqa: FURB136
