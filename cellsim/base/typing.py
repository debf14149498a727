"""Names for the types that signatures use again and again."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
"""Real numbers."""
Ints = NDArray[np.int64]
"""Whole numbers, and places in other arrays."""
Bools = NDArray[np.bool_]
"""Which members of another array are meant."""
Progress = Callable[[int, int], None]
"""Called with how much is done and how much there is in all."""
