"""Is this interface equilibrated, and how long would it take? An answer in words, from counted transitions.

Asked of a region: that ions crossed its edge at all, both ways about equally often, and often enough for the
coefficient EC to pass one half (lambda crossings in all); of its population, that both halves of the run agree and that
it has forgotten its start. What is missing is turned into a time: the run in which EC is expected to pass one half, at
the temperature of the run and, with a predicted rate, at others.
"""

from __future__ import annotations

from dataclasses import dataclass

from scipy.stats import binomtest

from mdcoeffs.rates import Estimate, equilibration_coefficient, jump_rate, time_to_coefficient

EQUILIBRATED = 0.5
"""EC from which a region is called equilibrated; Kozdra 2025 calls 0.6 well and 0.3 not fully equilibrated."""
ALPHA = 0.01
"""Level at which a difference between the two directions, or between two halves of the run, is believed."""


@dataclass(frozen=True)
class Verdict:
    """What can be said of one region.

    Parameters
    ----------
    state : {"equilibrated", "exchanging", "wandering", "drifting", "one-way", "frozen"}
        exchanging: both ways alike but too rarely; wandering: often enough, but the population is correlated over the
        length of the run; drifting: one way prevails, or the two halves differ; one-way: all crossings in one
        direction; frozen: none.
    coefficient : float
        EC [1].
    entry : Estimate
        Rate at which one ion outside enters [1/s].
    needed : float
        Run in which EC is expected to reach one half at this temperature [s]; a lower bound if frozen.
    sentence : str
        The answer in words.
    """

    state: str
    coefficient: float
    entry: Estimate
    needed: float
    sentence: str

    @property
    def equilibrated(self) -> bool:
        """Whether averages over this run are those of equilibrium, as far as crossings tell."""
        return self.state == "equilibrated"


def judge(
    name: str,
    entered: int,
    left: int,
    *,
    donors: float,
    time: float,
    scale: float = 10.0,
    drift: float | None = None,
    settled: bool = True,
) -> Verdict:
    """Judge one region.

    Parameters
    ----------
    name : str
        What to call it.
    entered, left : int
        Ions that went in and out [1].
    donors : float
        Mean number of ions that could enter [1].
    time : float
        Length of the run [s].
    scale : float
        lambda of EC [1].
    drift : float, optional
        Probability of a difference between the two halves of the population as large as seen, were there none [1].
    settled : bool
        False where the population is still correlated over the longest blocks of the run.

    Returns
    -------
    Verdict
    """
    total = entered + left
    coefficient = float(equilibration_coefficient(entered, left, scale=scale))
    rate = jump_rate(entered, donors * time)
    if total:
        each_way = time_to_coefficient(0.5 * total / time, 1.0, coefficient=EQUILIBRATED, scale=scale)
    else:
        each_way = time_to_coefficient(rate.high, donors, coefficient=EQUILIBRATED, scale=scale)
    needed = float(each_way)
    run = duration(time)
    counted = f"{name}: {entered} in, {left} out in {run}, EC = {coefficient:.2f}"
    one_way = binomtest(entered, total).pvalue < ALPHA if total else False
    if total == 0:
        state = "frozen"
        text = (
            f"not equilibrated, no ion crossed: the rate of one ion is below {rate.high:.2g} /s (95 %), and to see "
            f"{scale / 2:g} crossings each way takes more than {duration(needed)}"
        )
    elif coefficient == 0.0:
        state = "one-way"
        text = (
            f"not equilibrated, all crossings go one way: the population is still "
            f"{'growing' if entered else 'shrinking'}, and about {duration(needed)} would be needed at this rate"
        )
    elif one_way:
        state = "drifting"
        text = f"not equilibrated, {'entering' if entered > left else 'leaving'} prevails: the population still changes"
    elif drift is not None and drift < ALPHA:
        state = "drifting"
        text = "not equilibrated, the population of the first half of the run differs from that of the second"
    elif coefficient < EQUILIBRATED:
        state = "exchanging"
        text = (
            f"not shown to be equilibrated: ions go both ways, but too few; {duration(needed)} would be needed "
            f"at this rate"
        )
    elif not settled:
        state = "wandering"
        text = (
            "not shown to be equilibrated: ions cross often enough, but the population is correlated over the length "
            "of the run, so its mean is not yet known"
        )
    else:
        state = "equilibrated"
        text = "equilibrated, as far as crossings tell: many go both ways, as many in as out"
    return Verdict(state, coefficient, rate, needed, f"{counted}: {text}")


def duration(time: float) -> str:
    """``"3.8e-07 s"`` as ``"380 ns"``, with three digits."""
    for factor, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"), (1e-12, "ps")):
        if time >= factor * 0.9995 or unit == "ps":
            return f"{time / factor:.3g} {unit}" if time < 1e5 else f"{time:.2g} s"
    raise AssertionError("unreachable")
