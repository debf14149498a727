"""What the data cannot tell: the weak directions of the Fisher information, in words.

F = J^T J of the whitened data, in coordinates where 1 means a relative change of e, or one typical unit. An eigenvector
of small eigenvalue is a change of several parameters at once that the data do not see.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cellsim.fit.parameters import Parameter, Space

Array = NDArray[np.float64]

WEAK = 0.7
"""Standard error along a direction beyond which it counts as not identified [u]."""
_SHARE = 0.2


@dataclass(frozen=True)
class Direction:
    """One eigen-direction of the information.

    Parameters
    ----------
    sd : float
        Standard error along it, in u [1]; infinite where the data do not see it at all.
    weights : dict
        Parameter name -> component of the unit vector [1].
    text : str
        The same for people.
    """

    sd: float
    weights: dict[str, float]
    text: str

    @property
    def weak(self) -> bool:
        """Whether it counts as not identified."""
        return self.sd > WEAK


def directions(information: Array, space: Space) -> tuple[Direction, ...]:
    """Eigen-directions, the weakest first.

    Parameters
    ----------
    information : ndarray, shape (p, p)
        Fisher information in u; of the data alone, to learn what they alone hold.
    space : Space
        The parameters.

    Returns
    -------
    tuple of Direction
    """
    weight, vectors = np.linalg.eigh(0.5 * (information + information.T))
    floor = 1e-10 * max(float(weight[-1]), 1e-300)
    found = []
    for w, v in zip(weight, vectors.T, strict=True):
        sd = float(1 / np.sqrt(w)) if w > floor else np.inf
        v = v * np.sign(v[int(np.argmax(np.abs(v)))])
        weights = dict(zip(space.names, (float(x) for x in v), strict=True))
        found.append(Direction(sd, weights, _words(sd, v, space)))
    return tuple(found)


def _words(sd: float, v: Array, space: Space) -> str:
    order = np.argsort(-np.abs(v))
    main = [int(k) for k in order if abs(v[k]) >= _SHARE * abs(v[order[0]])]
    names = [space.names[k] for k in main]
    size = "the data do not see it" if not np.isfinite(sd) else f"standard error along it {_size(sd)}"
    if len(main) == 1:
        return f"{names[0]} by itself: {size if sd > WEAK else f'held to {_size(sd)}'}"
    together = " and ".join([", ".join(names[:-1]), names[-1]])
    scale = 0.1 / abs(v[main[0]])
    moves = ", ".join(_move(space.parameters[k], float(v[k]) * scale) for k in main)
    if sd > WEAK:
        return f"{together} trade off: {moves} changes little that is measured; {size}"
    return f"{together} together ({moves}): held to {_size(sd)}"


def _move(p: Parameter, du: float) -> str:
    if p.logarithmic:
        return f"{p.name} {100 * np.expm1(du):+.2g} %"
    unit = f" {p.unit}" if p.unit else ""
    return f"{p.name} {du * p.typical:+.2g}{unit}"


def _size(sd: float) -> str:
    if sd > 3:
        return f"{sd:.2g}, many times its value"
    return f"{100 * sd:.2g} %" if sd < 0.3 else f"{sd:.2g}"
