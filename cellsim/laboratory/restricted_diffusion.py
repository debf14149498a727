"""Restricted diffusion: D from the decay of the open-circuit voltage after a current has been switched off."""

from __future__ import annotations

import numpy as np

from cellsim.base import Array, InputError
from cellsim.cell.protocol import Protocol, hold_current, rest
from cellsim.laboratory import figures
from cellsim.laboratory.bench import AnyBench, one_mode
from cellsim.laboratory.reading import Check, Reading, Record

REFERENCE = "Newman & Chapman, AIChE J. 19 (1973) 343; Harned & French, Ann. N. Y. Acad. Sci. 46 (1945) 267"


def decay(t: Array, U: Array, window: tuple[float, float], noise: float = 0.0) -> tuple[float, float, Array]:
    """Rate of the exponential decay of a voltage, the straight line of ln|U| within a window.

    Parameters
    ----------
    t, U : ndarray, shape (n,)
        Time since the current stopped [s] and voltage [V].
    window : tuple of float
        |U| between which the line is drawn, as parts of the first one, larger first [1].
    noise : float
        Standard deviation of U [V].

    Returns
    -------
    rate : float
        [1/s]
    error : float
        Its standard error from the noise [1/s].
    line : ndarray, shape (n,)
        exp of the line, the sign of the first U kept [V].

    Raises
    ------
    InputError
        If fewer than five readings lie in the window.
    """
    high, low = window
    fraction = U / U[0]
    start = int(np.argmax(fraction <= high))
    below = np.flatnonzero(fraction[start:] < low)
    end = start + int(below[0]) if below.size else U.size
    if not fraction[start] <= high or end - start < 5:
        raise InputError(
            f"restricted diffusion: fewer than five readings between {high:.3g} and {low:.3g} of the first"
        )
    time, y = t[start:end], fraction[start:end]
    columns = np.stack([np.ones_like(time), -time], axis=1)
    coefficients = np.linalg.lstsq(columns * y[:, None], np.log(y) * y, rcond=None)[0]
    for _ in range(5):  # Gauss-Newton on U itself: the logarithm of a noisy U is biased
        model = np.exp(columns @ coefficients)
        jacobian = columns * model[:, None]
        coefficients = coefficients + np.linalg.lstsq(jacobian, y - model, rcond=None)[0]
    covariance = np.linalg.inv(jacobian.T @ jacobian) * (noise / U[0]) ** 2
    return (
        float(coefficients[1]),
        float(np.sqrt(covariance[1, 1])),
        np.asarray(U[0] * np.exp(coefficients[0] - coefficients[1] * t)),
    )


def restricted_diffusion(
    bench: AnyBench,
    *,
    voltage: float = 0.01,
    pulse: float = 0.5,
    window: tuple[float, float] = (0.4, 0.05),
    offset: float = 0.0,
) -> Record:
    """A current for a while, then open circuit: D = rate L^2/pi^2 from the slope of ln U.

    Parameters
    ----------
    bench : Bench or MixtureBench
        The cell.
    voltage : float
        Voltage the current would reach at steady state [V].
    pulse : float
        How long the current flows, in L^2/D [1].
    window : tuple of float
        Part of the decay that is read, as fractions of the first open-circuit voltage, larger first [1].
    offset : float
        Bias of the two electrodes, which an instrument adds to every reading and the analysis does not know [V].

    Returns
    -------
    Record
    """
    layer, scale = bench.layer, bench.diffusion_time
    i = voltage / bench.total_resistance
    on, off = pulse * scale, 1.0 * scale
    since = np.linspace(0.0, off, 401)[1:]
    solution = bench.run(
        Protocol((hold_current(i, on), rest(off))), np.concatenate([np.linspace(0, on, 60), on + since])
    )
    t, V = solution["time"], solution["V"]
    after = t > on * (1 + 1e-9)
    time = t[after] - on
    U = V[after] + offset + bench.noise.voltage * bench.noise.draw(2, int(after.sum()))
    noise = bench.noise.voltage
    rate, error, line = decay(time, U, window, noise)
    scale_D = bench.thickness**2 / np.pi**2
    begun = float(time[int(np.argmax(U / U[0] <= window[0]))])
    read = (U / U[0] <= window[0]) & (U / U[0] >= window[1])
    misfit = float(np.sqrt(np.mean((line[read] / U[read] - 1) ** 2)))
    checks = (
        *one_mode(bench, since=begun, pulse=on),
        Check("misfit of the line to ln U", max(misfit - 1.5 * noise / abs(U[0] * window[1]), 0.0), 0.01),
        *bench.swing(solution),
        Check("second mode per first where the line begins", float(np.exp(-8 * rate * begun) / 9), 0.01),
        Check(
            "readings' bias and noise per voltage at the end of the line",
            (abs(offset) + noise) / abs(U[0] * window[1]),
            0.5,
        ),
    )
    return Record(
        bench,
        "restricted_diffusion",
        "Restricted diffusion",
        "one exponential is left, of the mean concentration's D",
        REFERENCE,
        (Reading("D", "m^2/s", layer.D, rate * scale_D, error * scale_D, "slope of ln U, rate L^2/pi^2", checks),),
        {"time": time, "U": U, "line": line, "window": U[0] * np.array(window)},
        {"current": i, "pulse": on, "offset": offset},
        panels=(figures.decay,),
    )
