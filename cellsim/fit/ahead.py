"""What the instruments of a fit would add if they went on as they do: the Fisher information of times to come."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from cellsim.base import Array
from cellsim.electrolyte.mixture_set import short_sum
from cellsim.fit.experiment import Observation
from cellsim.fit.problem import Problem
from cellsim.instruments.looks import ProfileLook, SeriesLook, VelocityLook
from cellsim.instruments.measurement import ConcentrationMap, series, velocities

HOUR = 3600.0
MOST_HOURS = 48
"""How far ahead it is looked [h]."""
READINGS = 60
"""Readings of a current that stand for an hour of it, at most: the rest is no more independent."""


@dataclass(frozen=True)
class Instrument:
    """One instrument at one place going on.

    Parameters
    ----------
    what : str
        In words.
    experiment : int
        Which one it belongs to.
    observation : Observation
        Its look at the times to come, and its errors; the values do not matter.
    """

    what: str
    experiment: int
    observation: Observation


def _to_come(times: Array, now: float, end: float) -> Array:
    """When a measurement made at `times` is made again, at the same intervals; every ten minutes after a single one."""
    different = np.unique(times)
    step = float(np.median(np.diff(different))) if different.size > 1 else HOUR / 6
    return np.asarray(now + step * np.arange(1.0, int((end - now) / step) + 1))


def _ahead(o: Observation, alike: list[Observation], now: float, end: float) -> list[tuple[str, Observation]]:
    """The same measurement going on from `now` to `end` as it did: places, intervals and errors.

    `alike`: all of the same quantity, among which a beam line may have spread its scans, a file for each.
    """
    if o.time.size == 0 or end <= now:
        return []
    to_come, own = _to_come(np.concatenate([x.time for x in alike]), now, end), o.noise.own
    if isinstance(o.look, SeriesLook):
        every = max(1, int(np.ceil(to_come.size * HOUR / (READINGS * (end - now)))))
        to_come = to_come[::every]
        if not to_come.size:
            return []
        made = series(o.kind, to_come, np.zeros(to_come.size), error=float(np.median(own)))  # type: ignore[arg-type]
        return [(f"{o.kind}", Observation.of(made, o.nuisance))]
    if not to_come.size or o.position is None:
        return []
    of = f" of {short_sum(o.species)}" if o.species else ""
    if isinstance(o.look, VelocityLook):
        made_at = []
        for place in o.look.positions:
            here = [x.time[x.position == place] for x in alike if x.position is not None]
            to_come = _to_come(np.concatenate(here), now, end)
            look = VelocityLook(
                time=to_come,
                position=np.full(to_come.size, float(place)),
                quantity=o.look.quantity,
                frame=o.look.frame,
                unsigned=o.look.unsigned,
                beam_width=o.look.beam_width,
            )
            made = velocities(look, np.zeros(to_come.size), error=float(np.median(own[o.position == place])))
            made_at.append((f"velocities{of} at {1e3 * place:.3g} mm", Observation.of(made, o.nuisance)))
        return made_at
    last = o.at(float(o.time.max()))
    order = np.argsort(o.position[last])
    shape = (to_come.size, order.size)
    errors = np.broadcast_to(own[last][order], shape)
    profiles = ConcentrationMap(to_come, o.position[last][order], np.ones(shape), errors, species=o.species)
    made = profiles.measurement(0.0, beam_width=o.look.beam_width if isinstance(o.look, ProfileLook) else 0.0)
    made = replace(made, noise=replace(made.noise, length=o.noise.length))
    return [(f"profiles{of} of {order.size} points", Observation.of(made, o.nuisance, o.profiled))]


def instruments_of(problem: Problem, now: float) -> list[Instrument]:
    """Every instrument of every experiment going on, those of the same kind and place once.

    Parameters
    ----------
    problem : Problem
        What has been measured so far.
    now : float
        Until when [s].

    Returns
    -------
    list of Instrument
        To the end of the protocols, or :data:`MOST_HOURS` ahead.
    """
    found: dict[tuple[int, str], Instrument] = {}
    for k, e in enumerate(problem.experiments):
        if e.protocol is None:
            continue
        end = min(e.protocol.duration, now + MOST_HOURS * HOUR)
        several = f"{e.name}: " if len(problem.experiments) > 1 else ""
        for o in e.observations:
            alike = [x for x in e.observations if x.quantity == o.quantity]
            for what, to_come in _ahead(o, alike, now, end):
                found[k, what] = Instrument(several + what, k, to_come)
    return list(found.values())


def information_of(problem: Problem, u: Array, instruments: list[Instrument]) -> list[tuple[Array, Array]]:
    """What every instrument would add.

    Parameters
    ----------
    problem : Problem
        What has been measured so far.
    u : ndarray, shape (p,)
        Where derivatives are taken.
    instruments : list of Instrument
        As :func:`instruments_of` gives them.

    Returns
    -------
    list of (ndarray, ndarray)
        Of each the times of its points [s], shape (points,), and their whitened derivatives, shape (points, p) [1].
        Points that the run does not reach tell nothing and are left out.
    """
    wider = [
        replace(e, observations=(*e.observations, *(i.observation for i in instruments if i.experiment == k)))
        for k, e in enumerate(problem.experiments)
    ]
    whole = Problem(problem.space, problem.model, tuple(wider))
    reached, J = whole.predictions(u), whole.jacobian(u)
    place = {id(o): n for n, o in enumerate(whole.observations)}
    ends = np.cumsum([0, *(o.size for o in whole.observations)])
    rows = []
    for i in instruments:
        n = place[id(i.observation)]
        good = np.isfinite(reached[n])
        rows.append((i.observation.time[good], J[ends[n] : ends[n + 1]][good]))
    return rows
