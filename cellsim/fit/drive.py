"""A followed current or voltage with few points: each point is a kink at which a solver starts afresh."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cellsim.base import Array, InputError
from cellsim.cell.protocol import Step


def thinned_step(step: Step, tolerance: float, *, beyond: float = 0.0) -> Step:
    """A followed table by straight lines between few of its points, no point farther off than a tolerance.

    Parameters
    ----------
    step : Step
        That follows a table.
    tolerance : float
        Largest deviation, as a fraction of the table's largest magnitude [1].
    beyond : float
        For how long the last value is kept after the end [s], for clocks that do not agree.

    Returns
    -------
    Step

    Raises
    ------
    InputError
        A step without a table, or a tolerance that is not positive.
    """
    if step.time is None or not tolerance > 0:
        raise InputError("only a followed table can be thinned, to a tolerance above 0")
    t, y = step.time, step.value
    keep, stack, allowed = {0, t.size - 1}, [(0, t.size - 1)], tolerance * float(np.abs(y).max())
    while stack:
        a, b = stack.pop()
        off = np.abs(y[a : b + 1] - np.interp(t[a : b + 1], t[[a, b]], y[[a, b]]))
        k = a + int(off.argmax())
        if off.max() > allowed and a < k < b:
            keep.add(k)
            stack += [(a, k), (k, b)]
    some = np.array(sorted(keep))
    time, value = t[some], y[some]
    if beyond > 0:
        time, value = np.append(time, max(t[-1], step.duration) + beyond), np.append(value, y[-1])
    return replace(step, time=time, value=value, duration=step.duration + beyond, measured_other=None)


def passed(step: Step, times: Array) -> Array:
    """Integral of a followed table from the start of the step to each of `times`, shape (n,)."""
    t = np.array([0.0, step.duration]) if step.time is None else step.time
    y = np.repeat(step.value, 2) if step.time is None else step.value
    total = np.concatenate([[0.0], np.cumsum(0.5 * np.diff(t) * (y[1:] + y[:-1]))])
    k = np.clip(np.searchsorted(t, times, side="right") - 1, 0, t.size - 2)
    within = np.clip(times, t[0], t[-1]) - t[k]
    slope = np.diff(y)[k] / np.diff(t)[k]
    return np.asarray(total[k] + within * (y[k] + 0.5 * slope * within))
