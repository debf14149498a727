"""Snapshots to sums: density and charge along z, who is in which region, displacements by layer of origin.

One accumulator (`InterfaceSums`): it finds z of every point once per snapshot, relative to the middle of the box or to
the centre of a slab, and hands it to its parts. Memory does not grow with the run, but for the populations of the
regions (8 bytes a region and sample).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cellsim.base import Array, InputError, Ints, e
from mdcoeffs.frames.snapshot import ANGSTROM, Snapshot, bins_over
from mdcoeffs.frames.stream import Stream
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

    def positions(self, snapshot: Snapshot) -> Array:
        """Where they are, unwrapped (n, 3) [m]."""
        centres: Array = snapshot.centres[self.molecules]
        return centres if self.whole else centres + snapshot.relative[self.places]

    def heights(self, snapshot: Snapshot, axis: int) -> Array:
        """Coordinate along an axis (n,) [m], as in the file but for multiples of this snapshot's box.

        Not from `positions`: where the box fluctuates, unwrapped paths do not fold back to where the points are.
        """
        stored = np.asarray(snapshot.raw[self.sites, axis], dtype=np.float64) * ANGSTROM
        return stored - snapshot.relative[self.places, axis] if self.whole else stored


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
    molecules = stream.molecules
    mass = stream.molecule_masses if stream.has_masses else np.ones(molecules.count)
    if selection in [species.name for species in stream.species]:
        chosen = stream.molecules_of(selection)
        first = molecules.first[chosen]
        return Points(chosen, molecules.atoms[first], first, True, mass[chosen])
    index = stream.select(selection, where)
    place, owner = stream.places_of(index), stream.molecule_of(index)
    if np.any(place < 0):
        raise InputError(f"{where}: selection {selection!r} holds sites that belong to no species")
    return Points(owner, index, place, False, mass[owner] * molecules.weights[place])


def grid_of(stream: Stream, axis: int, width: float) -> tuple[Array, float]:
    """Edges of bins that fill the box along z, about as wide as asked, and the time between frames.

    Parameters
    ----------
    stream : Stream
        The replica; its first two snapshots are read.
    axis : int
        The axis, 0 to 2.
    width : float
        Width asked for [m].

    Returns
    -------
    edges : array (bins + 1,)
        From minus to plus half the length of the first box [m].
    interval : float
        Time between snapshots [s].

    Raises
    ------
    InputError
        No box, a box that is not at right angles to the axis, one frame only, or bins wider than a quarter of the box.
    """
    two = [(box_length(snapshot, axis), snapshot.time) for snapshot in itertools.islice(stream.snapshots(), 2)]
    if len(two) < 2:
        raise InputError(f"{stream.label}: {len(two)} frame(s) lie in the part of the run asked for; 2 are needed")
    (length, start), (_, next_time) = two
    bins = bins_over(length, width, "interface")
    if bins < 4:
        raise InputError(f"interface: bins of {width * 1e10:g} angstrom are too wide for a box of {length * 1e10:.3g}")
    return np.linspace(-0.5 * length, 0.5 * length, bins + 1), next_time - start


def box_length(snapshot: Snapshot, axis: int) -> float:
    """Length of the box along the axis [m]; the other two vectors must be at right angles to it."""
    box, length = snapshot.cell, float(snapshot.lengths[axis])
    tilt = max(abs(float(box[axis, k])) + abs(float(box[k, axis])) for k in range(3) if k != axis)
    if tilt > 1e-6 * length:
        raise InputError(f"frame {snapshot.number}: the box is not at right angles to the {'xyz'[axis]} axis")
    return length


@dataclass(frozen=True, eq=False)
class InterfaceGrid:
    """What is asked for, and what the first box of the first replica decides for all.

    Parameters
    ----------
    settings : InterfaceSettings
        What is asked for.
    edges : array (bins + 1,)
        Bins of the densities [m].
    charge_edges : array (charge bins + 1,)
        Bins of the charge [m].
    interval : float
        Time between snapshots [s].
    """

    settings: InterfaceSettings
    edges: Array
    charge_edges: Array
    interval: float

    @property
    def lags(self) -> list[int]:
        """Lags of the displacement variances, in snapshots."""
        return [max(1, round(lag / self.interval)) for lag in self.settings.lags]


class InterfaceSums:
    """All sums of one replica.

    Parameters
    ----------
    stream : Stream
        The replica.
    grid : InterfaceGrid
        What is asked for, and the bins.
    """

    follow = "unwrap"

    def __init__(self, stream: Stream, grid: InterfaceGrid) -> None:
        settings, frames = grid.settings, stream.n_frames
        self.settings, self.edges, self.charge_edges = settings, grid.edges, grid.charge_edges
        _check_places(settings, float(self.edges[-1]))
        selections = settings.profiles.items()
        self.points = {name: points_of(stream, text, f"interface.profiles.{name}") for name, text in selections}
        self.masses = {name: float(points.mass.mean()) for name, points in self.points.items() if stream.has_masses}
        counts = zip(stream.species, stream.molecules.counts, strict=True)
        charge = float(sum(species.z * n for species, n in counts))
        if abs(charge - settings.net_charge) > 1e-6 * max(1.0, abs(charge)):
            raise InputError(
                f"{stream.file.path}: the species carry a net charge of {charge:+g} e; check charges and selections, "
                f"or, where electrodes carry the opposite charge, say interface.net_charge = {charge:g}"
            )
        self.origin = points_of(stream, settings.origin, "interface.origin") if settings.origin else None
        self.density = BlockSums(len(self.points) * (self.edges.size - 1))
        self.charges = _charges(stream) if settings.charge else None
        self.charge = BlockSums(self.charge_edges.size - 1 if settings.charge else 1)
        self.regions = [RegionCounts(region, self.points[region.points].count, frames) for region in settings.regions]
        self.charge_numbers = {species.name: species.z for species in stream.species}
        self.times, self.samples = np.zeros(frames), 0
        self.area = 0.0  # sum over the frames of the density
        self.layers: dict[str, Layers] = {}
        if settings.layers is not None:
            for lag, asked in zip(grid.lags, settings.lags, strict=True):
                if abs(lag * grid.interval - asked) > 0.01 * asked:
                    raise InputError(
                        f"interface.variance.lag = {asked:g} s is not a multiple of the time between frames, "
                        f"{grid.interval:g} s"
                    )
            edges, memory = np.array(settings.layers), stream.file.memory
            for name in settings.layer_points:
                self.layers[name] = Layers(self.points[name].count, edges, grid.lags, frames, memory)

    def add(self, snapshot: Snapshot) -> None:
        """Take one snapshot in."""
        axis, s = self.settings.axis, self.settings
        length = box_length(snapshot, axis)
        middle = 0.5 * length
        if self.origin is not None:
            middle = centre_of(self.origin.heights(snapshot, axis), self.origin.mass, length)
        z = {name: wrap(points.heights(snapshot, axis) - middle, length) for name, points in self.points.items()}
        settled = snapshot.time >= s.settled - 1e-9 * abs(s.settled)
        if self.samples == 0 or snapshot.time >= self.times[self.samples - 1] + s.sample * (1 - 1e-9):
            self.times[self.samples] = snapshot.time
            for region in self.regions:
                region.add(z[region.region.points], length, self.samples, settled)
            self.samples += 1
        if not settled:
            return
        area = snapshot.volume / length
        self.area += area
        width = self.edges[1] - self.edges[0]
        counts = [np.histogram(heights, self.edges)[0] for heights in z.values()]
        self.density.add(np.concatenate(counts) / (area * width))
        if self.charges is not None:
            carriers, q = self.charges
            at = snapshot.positions[:, axis] if carriers is None else carriers.heights(snapshot, axis)
            charge = np.histogram(wrap(at - middle, length), self.charge_edges, weights=q)[0]
            self.charge.add(charge * e / area)
        for name, layers in self.layers.items():
            layers.add(self.points[name].positions(snapshot), z[name])

    def _parts(self) -> dict[str, Any]:
        parts: dict[str, Any] = {"density": self.density, "charge": self.charge}
        parts |= {f"region{k}": region for k, region in enumerate(self.regions)}
        return parts | {f"layers{k}": layers for k, layers in enumerate(self.layers.values())}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The whole state."""
        state = {"times": self.times, "samples": np.array(self.samples), "area": np.array(self.area)}
        for name, part in self._parts().items():
            state |= {f"{name}/{key}": value for key, value in part.arrays().items()}
        return state

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take the state up."""
        self.times, self.samples = arrays["times"].copy(), int(arrays["samples"])
        self.area = float(arrays["area"])
        for name, part in self._parts().items():
            part.restore({k.split("/", 1)[1]: v for k, v in arrays.items() if k.startswith(f"{name}/")})


def _check_places(settings: InterfaceSettings, half: float) -> None:
    """Refuse places outside the box."""
    ranges = {
        f"regions.{region.name}.between": [z for pair in region.edges for z in pair] for region in settings.regions
    }
    ranges["variance.layers"] = list(settings.layers or ())
    for barrier in settings.barriers:
        ranges[f"barriers.{barrier.name}"] = [barrier.zero, *barrier.well, *barrier.top]
    for where, places in ranges.items():
        beyond = [z for z in places if abs(z) > half * (1 + 1e-3)]
        if beyond:
            raise InputError(
                f"interface.{where}: {beyond[0] * 1e10:.4g} angstrom lies outside the box, which reaches from "
                f"{-half * 1e10:.4g} to {half * 1e10:.4g} angstrom"
            )


def _charges(stream: Stream) -> tuple[Points | None, Array]:
    """(None, charges of all atoms) where the topology has them, else (molecules, charges of their species); in e."""
    atoms, molecules = stream.charges, stream.molecules
    if atoms is not None and np.any(atoms):
        return None, atoms
    q = np.array([stream.species[k].z for k in molecules.species], dtype=np.float64)
    count, first = molecules.count, molecules.first[:-1]
    return Points(np.arange(count), molecules.atoms[first], first, True, np.ones(count)), q


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
        self.counted = np.zeros(samples, dtype=bool)  # crossings until the next sample count towards the rates
        self.state, self.started = np.zeros(count, dtype=bool), False
        self.crossings: Ints = np.zeros((2, 2), dtype=np.int64)  # in, out by lower, upper face
        self.jumps: Ints = np.zeros(2, dtype=np.int64)  # in, out from samples that are counted

    def add(self, z: Array, length: float, sample: int, settled: bool) -> None:
        """Take one sample in; crossings are counted from `settled` on."""
        now = inside(z, self.edges, length)
        self.population[sample] = np.count_nonzero(now)
        if not self.started:
            self.state = now
            self.started = settled
            self._gate(sample)
            return
        now = update_states(self.state, z, self.edges, length, self.region.margin)
        changed = np.flatnonzero(now != self.state)
        if changed.size:
            np.add.at(self.crossings, ((~now[changed]).astype(int), faces(z[changed], self.edges, length)), 1)
            if self.counted[sample - 1]:
                entered = int(np.count_nonzero(now[changed]))
                self.jumps += (entered, changed.size - entered)
        self.state = now
        self._gate(sample)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The state."""
        kept = {"population": self.population, "state": self.state, "crossings": self.crossings}
        return kept | {"counted": self.counted, "jumps": self.jumps, "started": np.array(self.started)}

    def _gate(self, sample: int) -> None:
        """Whether what happens until the next sample counts: decided before it happens, so that it favours no way."""
        least, excess = self.region.rates_from, np.count_nonzero(self.state) - self.region.stoichiometric
        self.counted[sample] = self.started and (least is None or excess >= least)

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take the state up."""
        self.population, self.state = arrays["population"].copy(), arrays["state"].copy()
        self.crossings, self.started = arrays["crossings"].copy(), bool(arrays["started"])
        self.counted, self.jumps = arrays["counted"].copy(), arrays["jumps"].copy()


class Layers:
    """Displacements after given lags, sorted by the layer they began in.

    Parameters
    ----------
    count : int
        Number of points.
    edges : array (layers + 1,)
        Edges of the layers [m].
    lags : sequence of int
        Lags in snapshots.
    frames : int
        Snapshots there are, for the message.
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
        self.past = np.zeros((depth, count, 3))
        self.layer = np.full((depth, count), -1, dtype=np.int32)
        self.used = 0
        self.sums = BlockSums(len(lags) * (edges.size - 1) * 7)

    def add(self, where: Array, z: Array) -> None:
        """Take one snapshot in: unwrapped positions (n, 3) and folded z (n,)."""
        depth, layers = self.past.shape[0], self.edges.size - 1
        layer = np.searchsorted(self.edges, z, side="right") - 1
        layer[(layer >= layers) | (z < self.edges[0])] = -1
        slot = self.used % depth
        self.past[slot], self.layer[slot] = where, layer
        self.used += 1
        row = np.zeros((len(self.lags), layers, 7))
        for k, lag in enumerate(self.lags):
            if self.used <= lag:
                continue
            before = (slot - lag) % depth
            start = self.layer[before]
            use = start >= 0
            step = where[use] - self.past[before][use]
            columns = (np.ones((len(step), 1)), step, step**2)
            for j, column in enumerate(np.concatenate(columns, axis=1).T):
                row[k, :, j] = np.bincount(start[use], column, layers)
        if self.used > min(self.lags):
            self.sums.add(row.ravel())

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The state."""
        sums = {f"sums.{name}": array for name, array in self.sums.arrays().items()}
        return {"past": self.past, "layer": self.layer, "used": np.array(self.used), **sums}

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take the state up."""
        self.past, self.layer, self.used = arrays["past"].copy(), arrays["layer"].copy(), int(arrays["used"])
        self.sums.restore({k[5:]: v for k, v in arrays.items() if k.startswith("sums.")})
