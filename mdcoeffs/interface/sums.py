"""Frames to sums: density and charge along z, who is in which region, displacements by layer of origin.

One accumulator (`InterfaceSums`) for `mdcoeffs.frames.stream.run_stream`: it finds z of every point once per frame,
relative to the middle of the box or to the centre of a slab, and hands it to its parts. Memory does not grow with the
run, but for the populations of the regions (8 bytes a region and sample).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cellsim.base import Array, InputError, Ints, e
from mdcoeffs.frames.reading import ANGSTROM
from mdcoeffs.frames.stream import Stream
from mdcoeffs.frames.walker import Frame
from mdcoeffs.interface.profiles import centre_of, faces, inside, update_states, wrap
from mdcoeffs.interface.settings import InterfaceSettings, Region
from mdcoeffs.statistics.blocks import BlockSums


@dataclass(frozen=True, eq=False)
class Points:
    """What is followed: centres of molecules, or atoms.

    Parameters
    ----------
    molecules : array of int (n,)
        Molecule of each point.
    sites : array of int (n,)
        Index of the atom, or of the first atom of the molecule.
    places : array of int (n,)
        Place of that atom in ``stream.molecules.atoms``.
    whole : bool
        The points are centres of molecules.
    mass : array (n,)
        Mass of each point, or 1 where masses are not known; any unit.
    """

    molecules: Ints
    sites: Ints
    places: Ints
    whole: bool
    mass: Array

    @property
    def count(self) -> int:
        """Number of points."""
        return int(self.molecules.size)

    def positions(self, frame: Frame) -> Array:
        """Where they are, unwrapped (n, 3) [m]."""
        assert frame.centres is not None and frame.relative is not None
        found: Array = frame.centres[self.molecules]
        return found if self.whole else found + frame.relative[self.places]

    def heights(self, frame: Frame, axis: int) -> Array:
        """Coordinate along an axis (n,) [m], as in the file but for multiples of this frame's box.

        Not from `positions`: where the box fluctuates, unwrapped paths do not fold back to where the points are.
        """
        assert frame.relative is not None
        found = np.asarray(frame.raw[self.sites, axis], dtype=np.float64) * ANGSTROM
        return found - frame.relative[self.places, axis] if self.whole else found


def points_of(stream: Stream, selection: str, where: str) -> Points:
    """The points of a species (its molecules) or of a selection of atoms.

    Parameters
    ----------
    stream : Stream
        The replica.
    selection : str
        Name of a species, or a selection in MDAnalysis' language.
    where : str
        Place in the file, for messages.

    Returns
    -------
    Points

    Raises
    ------
    InputError
        No such atoms, or atoms that belong to no species.
    """
    who = stream.molecules
    mass = stream.molecule_masses if stream.has_masses else np.ones(who.count)
    if selection in [one.name for one in stream.species]:
        chosen = stream.molecules_of(selection)
        return Points(chosen, who.atoms[who.first[chosen]], who.first[chosen], True, mass[chosen])
    index = stream.select(selection, where)
    place = np.full(stream.n_atoms, -1, dtype=np.int64)
    place[who.atoms] = np.arange(who.atoms.size)
    if np.any(place[index] < 0):
        raise InputError(f"{where}: selection {selection!r} holds sites that belong to no species")
    owner = stream.molecule_of(index)
    return Points(owner, index, place[index], False, mass[owner] * who.weights[place[index]])


def grid_of(stream: Stream, axis: int, width: float) -> tuple[Array, float]:
    """Edges of bins that fill the box along z, about as wide as asked, and the time between frames.

    Parameters
    ----------
    stream : Stream
        The replica; its first two frames are read.
    axis : int
        The axis, 0 to 2.
    width : float
        Width asked for [m].

    Returns
    -------
    edges : array (bins + 1,)
        From minus to plus half the length of the first frame's box [m].
    interval : float
        Time between frames [s].

    Raises
    ------
    InputError
        No box, a box that is not at right angles to the axis, one frame only, or bins wider than a quarter of the box.
    """
    times = []
    length = 0.0
    for frame in stream.frames():
        length = box_length(frame, axis)
        times.append(frame.time)
        if len(times) == 2:
            break
    if len(times) < 2:
        raise InputError(f"{stream.label}: {len(times)} frame(s) lie in the part of the run asked for; 2 are needed")
    bins = round(length / width)
    if bins < 4:
        raise InputError(f"interface: bins of {width * 1e10:g} angstrom are too wide for a box of {length * 1e10:.3g}")
    return np.linspace(-0.5 * length, 0.5 * length, bins + 1), times[1] - times[0]


def box_length(frame: Frame, axis: int) -> float:
    """Length of the box along the axis [m]; the other two vectors must be at right angles to it."""
    length = float(frame.lengths[axis])
    assert frame.box is not None
    tilt = max(abs(float(frame.box[axis, k])) + abs(float(frame.box[k, axis])) for k in range(3) if k != axis)
    if tilt > 1e-6 * length:
        raise InputError(f"frame {frame.number}: the box is not at right angles to the {'xyz'[axis]} axis")
    return length


class InterfaceSums:
    """All sums of one replica.

    Parameters
    ----------
    stream : Stream
        The replica.
    settings : InterfaceSettings
        What is asked for.
    edges : array (bins + 1,)
        Bins of the densities [m].
    charge_edges : array (charge bins + 1,)
        Bins of the charge [m].
    interval : float
        Time between frames [s].
    memory : float
        Most that the positions kept for the displacements may take [byte].
    """

    def __init__(
        self,
        stream: Stream,
        settings: InterfaceSettings,
        edges: Array,
        charge_edges: Array,
        interval: float,
        memory: float,
    ) -> None:
        self.settings, self.edges, self.charge_edges = settings, edges, charge_edges
        _check_places(settings, float(edges[-1]))
        self.points = {
            name: points_of(stream, text, f"interface.profiles.{name}") for name, text in settings.profiles.items()
        }
        self.origin = points_of(stream, settings.origin, "interface.origin") if settings.origin else None
        self.density = BlockSums(len(self.points) * (edges.size - 1))
        self.charges = _charges(stream) if settings.charge else None
        self.charge = BlockSums(charge_edges.size - 1 if settings.charge else 1)
        self.regions = [RegionCounts(one, self.points[one.points].count, stream.n_frames) for one in settings.regions]
        self.times, self.samples = np.zeros(stream.n_frames), 0
        self.layers: dict[str, Layers] = {}
        if settings.layers is not None:
            lags = [max(1, round(lag / interval)) for lag in settings.lags]
            for lag, asked in zip(lags, settings.lags, strict=True):
                if abs(lag * interval - asked) > 0.01 * asked:
                    raise InputError(
                        f"interface.variance.lag = {asked:g} s is not a multiple of the time between frames, "
                        f"{interval:g} s"
                    )
            self.layers = {
                name: Layers(self.points[name].count, np.array(settings.layers), lags, stream.n_frames, memory)
                for name in settings.layer_points
            }

    def add(self, frame: Frame) -> None:
        """Take one frame in."""
        axis, s = self.settings.axis, self.settings
        length = box_length(frame, axis)
        middle = 0.5 * length
        if self.origin is not None:
            middle = centre_of(self.origin.heights(frame, axis), self.origin.mass, length)
        z = {name: wrap(points.heights(frame, axis) - middle, length) for name, points in self.points.items()}
        settled = frame.time >= s.settled - 1e-9 * abs(s.settled)
        if self.samples == 0 or frame.time >= self.times[self.samples - 1] + s.sample * (1 - 1e-9):
            self.times[self.samples] = frame.time
            for region in self.regions:
                region.add(z[region.region.points], length, self.samples, settled)
            self.samples += 1
        if not settled:
            return
        area = frame.volume / length
        width = self.edges[1] - self.edges[0]
        self.density.add(np.concatenate([np.histogram(one, self.edges)[0] for one in z.values()]) / (area * width))
        if self.charges is not None:
            carriers, q = self.charges
            at = frame.positions[:, axis] if carriers is None else carriers.heights(frame, axis)
            here = np.histogram(wrap(at - middle, length), self.charge_edges, weights=q)[0]
            self.charge.add(here * e / area)
        for name, part in self.layers.items():
            part.add(self.points[name].positions(frame), z[name])

    def _parts(self) -> dict[str, Any]:
        parts: dict[str, Any] = {"density": self.density, "charge": self.charge}
        parts |= {f"region{k}": one for k, one in enumerate(self.regions)}
        return parts | {f"layers{k}": one for k, one in enumerate(self.layers.values())}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The whole state."""
        state = {"times": self.times, "samples": np.array(self.samples)}
        for name, part in self._parts().items():
            state |= {f"{name}/{key}": value for key, value in part.arrays().items()}
        return state

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take the state up."""
        self.times, self.samples = arrays["times"].copy(), int(arrays["samples"])
        for name, part in self._parts().items():
            part.restore({k.split("/", 1)[1]: v for k, v in arrays.items() if k.startswith(f"{name}/")})


def _check_places(settings: InterfaceSettings, half: float) -> None:
    """Refuse places outside the box."""
    ranges = {f"regions.{one.name}.between": [z for pair in one.edges for z in pair] for one in settings.regions}
    ranges["variance.layers"] = list(settings.layers or ())
    for one in settings.barriers:
        ranges[f"barriers.{one.name}"] = [one.zero, *one.well, *one.top]
    for where, places in ranges.items():
        beyond = [z for z in places if abs(z) > half * (1 + 1e-3)]
        if beyond:
            raise InputError(
                f"interface.{where}: {beyond[0] * 1e10:.4g} angstrom lies outside the box, which reaches from "
                f"{-half * 1e10:.4g} to {half * 1e10:.4g} angstrom"
            )


def _charges(stream: Stream) -> tuple[Points | None, Array]:
    """(None, charges of all atoms) where the topology has them, else (molecules, charges of their species); in e."""
    atoms, who = stream.charges, stream.molecules
    if atoms is not None and np.any(atoms):
        return None, atoms
    q = np.array([stream.species[k].z for k in who.species], dtype=np.float64)
    return Points(np.arange(who.count), who.atoms[who.first[:-1]], who.first[:-1], True, np.ones(who.count)), q


class RegionCounts:
    """Population of one region over time, and who crossed its edges.

    Parameters
    ----------
    region : Region
        Where it is.
    count : int
        Number of points that are watched.
    samples : int
        Room for the time series.
    """

    def __init__(self, region: Region, count: int, samples: int) -> None:
        self.region = region
        self.edges = np.array(region.edges)
        self.population = np.zeros(samples, dtype=np.int64)
        self.state, self.started = np.zeros(count, dtype=bool), False
        self.crossings: Ints = np.zeros((2, 2), dtype=np.int64)  # in, out by lower, upper face

    def add(self, z: Array, length: float, sample: int, settled: bool) -> None:
        """Take one sample in; crossings are counted from `settled` on."""
        now = inside(z, self.edges, length)
        self.population[sample] = np.count_nonzero(now)
        if not self.started:
            self.state = now
            self.started = settled
            return
        now = update_states(self.state, z, self.edges, length, self.region.margin)
        changed = np.flatnonzero(now != self.state)
        if changed.size:
            np.add.at(self.crossings, ((~now[changed]).astype(int), faces(z[changed], self.edges, length)), 1)
        self.state = now

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The state."""
        return {"population": self.population, "state": self.state, "crossings": self.crossings,
                "started": np.array(self.started)}  # fmt: skip

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take the state up."""
        self.population, self.state = arrays["population"].copy(), arrays["state"].copy()
        self.crossings, self.started = arrays["crossings"].copy(), bool(arrays["started"])


class Layers:
    """Displacements after given lags, sorted by the layer they began in.

    Parameters
    ----------
    count : int
        Number of points.
    edges : array (layers + 1,)
        Edges of the layers [m].
    lags : sequence of int
        Lags in frames.
    frames : int
        Frames there are, for the message.
    memory : float
        Most that the kept positions may take [byte].
    """

    def __init__(self, count: int, edges: Array, lags: list[int], frames: int, memory: float) -> None:
        self.edges, self.lags = edges, lags
        depth = max(lags) + 1
        if depth > frames:
            raise InputError(f"interface.variance.lag: {depth - 1} frames are asked for, the run has {frames}")
        if depth * count * 28 > memory:
            raise InputError(
                f"interface.variance.lag: the positions of {depth} frames take {depth * count * 28:.3g} bytes, more "
                f"than memory allows; use a larger stride or a shorter lag"
            )
        self.kept = np.zeros((depth, count, 3))
        self.layer = np.full((depth, count), -1, dtype=np.int32)
        self.used = 0
        self.sums = BlockSums(len(lags) * (edges.size - 1) * 7)

    def add(self, where: Array, z: Array) -> None:
        """Take one frame in: unwrapped positions (n, 3) and folded z (n,)."""
        depth, layers = self.kept.shape[0], self.edges.size - 1
        here = np.searchsorted(self.edges, z, side="right") - 1
        here[(here >= layers) | (z < self.edges[0])] = -1
        slot = self.used % depth
        self.kept[slot], self.layer[slot] = where, here
        self.used += 1
        row = np.zeros((len(self.lags), layers, 7))
        for k, lag in enumerate(self.lags):
            if self.used <= lag:
                continue
            before = (slot - lag) % depth
            start = self.layer[before]
            use = start >= 0
            step = where[use] - self.kept[before][use]
            columns = (np.ones((len(step), 1)), step, step**2)
            for j, column in enumerate(np.concatenate(columns, axis=1).T):
                row[k, :, j] = np.bincount(start[use], column, layers)
        if self.used > min(self.lags):
            self.sums.add(row.ravel())

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The state."""
        return {"kept": self.kept, "layer": self.layer, "used": np.array(self.used),
                **{f"sums.{k}": v for k, v in self.sums.arrays().items()}}  # fmt: skip

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take the state up."""
        self.kept, self.layer, self.used = arrays["kept"].copy(), arrays["layer"].copy(), int(arrays["used"])
        self.sums.restore({k[5:]: v for k, v in arrays.items() if k.startswith("sums.")})
