"""What everything stands on: errors, physical constants, units, array types. No file is read or written here."""

from typing import TYPE_CHECKING, Any

from cellsim.base.errors import CellsimError, ConvergenceError, InputError, RangeError, interrupted, shortened, shown
from cellsim.base.units import N_A, V_LITHIUM, F, R, e, factor_to_si, is_unit, k_B, to_si

if TYPE_CHECKING:
    from cellsim.base.typing import Array, Bools, Ints, Progress

__version__ = "1.2.0"

__all__ = [
    "N_A",
    "V_LITHIUM",
    "Array",
    "Bools",
    "CellsimError",
    "ConvergenceError",
    "F",
    "InputError",
    "Ints",
    "Progress",
    "R",
    "RangeError",
    "__version__",
    "e",
    "factor_to_si",
    "interrupted",
    "is_unit",
    "k_B",
    "shortened",
    "shown",
    "to_si",
]


def __getattr__(name: str) -> Any:
    """Array types when first asked for: they bring numpy, and ``cellsim --help`` does without."""
    if name not in ("Array", "Bools", "Ints", "Progress"):
        raise AttributeError(f"module 'cellsim.base' has no attribute {name!r}")
    from cellsim.base import typing

    return getattr(typing, name)
