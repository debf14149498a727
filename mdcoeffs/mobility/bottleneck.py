"""The window that a cation jumps through: the triangle of three atoms of its cage, and whether it is open then.

A jump leads from A (mean position before) to B (mean position after). Its *window* is the triangle of three corner
atoms that the straight line from A to B pierces; where several are pierced, the one whose longest edge is shortest, as
a face that two coordination polyhedra share. Its area is

    S = |(r_2 - r_1) x (r_3 - r_1)|/2,

at every moment of the run, and the opening is that area around the time of the jump, above the average of the same
triangle over the run (:mod:`mdcoeffs.mobility.paddlewheel` has the averages and their errors).

References
----------
Siegel et al., Trends Chem. 3, 807 (2021), doi:10.1016/j.trechm.2021.06.004, Fig. 3f and g, after Zhang et al., Matter
2, 1667 (2020), doi:10.1016/j.matt.2020.04.027.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cellsim.base import Array, Ints
from mdcoeffs.frames.paths import ParticleStore
from mdcoeffs.mobility.paddlewheel import Events, Response, nearest
from mdcoeffs.statistics.lagged import LaggedEstimate

CANDIDATES = 12
"""Corner atoms around the middle of a jump that are tried, nearest first: 220 triangles."""


@dataclass(frozen=True, eq=False)
class Windows:
    """Windows that jumps lead through.

    Parameters
    ----------
    corners : array of int (windows, 3)
        Corner atoms of each window, increasing.
    image : array (windows, 3, 3)
        What is added to the unwrapped paths of the three, so that they lie side by side [m].
    of_event : array of int (events,)
        Window of each jump; -1 where the line from A to B pierces no triangle.
    """

    corners: Ints
    image: Array
    of_event: Ints


@dataclass(frozen=True, eq=False)
class Opening:
    """Areas of windows around the times of jumps.

    Parameters
    ----------
    response : Response
        Area above the average of the same triangle, against the time after the jump [m^2].
    jumps : int
        Jumps found.
    windows : int
        Different triangles they lead through.
    """

    response: Response
    jumps: int
    windows: int

    @property
    def relative(self) -> LaggedEstimate:
        """Opening at the time of the jump over the average area [1].

        The delay is 0 and not that of the largest opening, which would be chosen among many and so be too large.
        """
        at_jump, area = self.response.at_jump, self.response.baseline
        cells = tuple(cell / area for cell in at_jump.cells)
        return LaggedEstimate(at_jump.value / area, at_jump.error / area, at_jump.freedom, at_jump.common, cells)

    def summary(self) -> dict[str, Any]:
        """For ``summary.json``."""
        r = self.response
        return {
            "jumps": self.jumps,
            "jumps_counted": r.events,
            "windows": self.windows,
            "area": r.baseline,
            "opening": r.at_jump.numbers(),
            "relative_opening": self.relative.numbers(),
            "coupled": r.coupled,
            "chance": r.chance,
            "widest_delay": r.delay[int(np.argmax(r.excess))],
            "lead": r.lead.numbers(),
        }


def area(corners: ArrayLike) -> Array:
    """Areas of triangles.

    Parameters
    ----------
    corners : array (..., 3, 3)
        Their three corners [m].

    Returns
    -------
    array (...)
        [m^2]
    """
    r = np.asarray(corners, dtype=np.float64)
    return np.asarray(0.5 * np.linalg.norm(np.cross(r[..., 1, :] - r[..., 0, :], r[..., 2, :] - r[..., 0, :]), axis=-1))


def pierced(start: Array, end: Array, corners: Array) -> Array:
    """Which triangles the straight line from `start` to `end` passes through.

    Parameters
    ----------
    start, end : array (3,)
        Ends of the line [m].
    corners : array (triangles, 3, 3)
        Corners [m].

    Returns
    -------
    array of bool (triangles,)
        Edges count as inside; a line that lies in the plane of a triangle pierces nothing.
    """
    # start + s (end - start) = corner_0 + u edge_1 + v edge_2, three equations for s, u and v of each triangle
    edges = corners[:, 1:] - corners[:, :1]
    line = np.broadcast_to(start - end, (len(corners), 3))
    matrix = np.stack([line, edges[:, 0], edges[:, 1]], axis=-1)
    scale = np.linalg.norm(matrix, axis=1).prod(axis=-1)
    flat = np.abs(np.linalg.det(matrix)) <= 1e-9 * scale
    matrix[flat] = np.eye(3)
    s, u, v = np.linalg.solve(matrix, (start - corners[:, 0])[..., None])[..., 0].T
    return np.asarray(~flat & (s >= 0) & (s <= 1) & (u >= 0) & (v >= 0) & (u + v <= 1))


def windows_of(events: Events, corners: Array, boxes: Array | None, *, cutoff: float) -> Windows:
    """The window of every jump.

    Parameters
    ----------
    events : Events
        The jumps.
    corners : array (events, atoms, 3)
        Unwrapped positions of the corner atoms at each jump [m].
    boxes : array (events, 3, 3), optional
        Box vectors as rows; no periodic images when left out [m].
    cutoff : float
        No corner is farther from the middle of the jump than this [m].

    Returns
    -------
    Windows
    """
    middle = 0.5 * (events.before + events.after)
    near = nearest(middle, corners, boxes, count=CANDIDATES, cutoff=cutoff)
    number: dict[tuple[int, ...], int] = {}
    images: list[Array] = []
    of_event = np.full(events.count, -1, dtype=np.int64)
    for k, around in enumerate(near):
        atoms = around[around >= 0]
        if atoms.size < 3:
            continue
        found = corners[k, atoms]
        box = np.eye(3) if boxes is None else boxes[k]
        count = np.zeros_like(found) if boxes is None else -np.rint((found - middle[k]) @ np.linalg.inv(box))
        shift = count @ box
        triples = np.array(list(combinations(range(atoms.size), 3)))
        triangles = (found + shift)[triples]
        inside = np.flatnonzero(pierced(events.before[k], events.after[k], triangles))
        if not inside.size:
            continue
        edges = np.linalg.norm(triangles[inside] - np.roll(triangles[inside], 1, axis=1), axis=-1)
        chosen = triples[inside[int(np.argmin(edges.max(axis=1)))]]
        order = chosen[np.argsort(atoms[chosen])]
        # in a small box the same three atoms make other triangles with images of one another
        apart = np.rint(count[order] - count[order[0]]).astype(np.int64)
        key = (*atoms[order].tolist(), *apart.ravel().tolist())
        if key not in number:
            number[key] = len(images)
            images.append(shift[order])
        of_event[k] = number[key]
    atoms_of = np.array([key[:3] for key in number], dtype=np.int64).reshape(-1, 3)
    return Windows(atoms_of, np.array(images).reshape(-1, 3, 3), of_event)


def areas(windows: Windows, store: ParticleStore, frames: int) -> Iterator[tuple[int, Array]]:
    """Area of every window over the run, window after window.

    Parameters
    ----------
    windows : Windows
        The windows.
    store : ParticleStore
        Unwrapped paths of the corner atoms.
    frames : int
        Snapshots.

    Yields
    ------
    int, array (1, frames)
        Number of the window and its areas [m^2].
    """
    for k, (atoms, image) in enumerate(zip(windows.corners, windows.image, strict=True)):
        paths = [
            store.block(int(atom), int(atom) + 1, frames)[0] + shift for atom, shift in zip(atoms, image, strict=True)
        ]
        yield k, area(np.stack(paths, axis=1))[None]
