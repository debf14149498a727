"""Radial distribution functions with errors, first shells, running Kirkwood-Buff integrals.

With n(r) the mean number of pairs i, j (of different molecules) per frame at distances r to r + dr,

    g(r) = n(r) <V> / (N_i N_j 4 pi r^2 dr),        N(R) = (N_j/<V>) int_0^R g 4 pi r^2 dr,

where N_i, N_j count particles, also where i and j are the same species. In a closed box g then tends to a value that
is off by the order of 1/N; `closed_box` takes that away (Ganguly & van der Vegt), and the running integral

    G(L) = int_0^L [g(r) - 1] w(r) dr,   w = 4 pi r^2 (1 - 23 x^3/8 + 3 x^4/4 + 9 x^5/8),   x = r/L,

extrapolates from the finite volume of linear size L (Krüger & Vlugt); ``w = 4 pi r^2`` is the plain truncation.

References
----------
Ganguly & van der Vegt, J. Chem. Theory Comput. 9, 1347 (2013), doi:10.1021/ct301017q, Eq. 19;
Krüger & Vlugt, Phys. Rev. E 97, 051301 (2018), doi:10.1103/PhysRevE.97.051301.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cellsim.base import Array, InputError, Ints
from mdcoeffs.frames.neighbours import dimensions, histogram
from mdcoeffs.frames.snapshot import ANGSTROM, Snapshot
from mdcoeffs.statistics.blocks import Averaged, BlockSums, jackknife

SMOOTH = 0.1e-10
"""Standard deviation of the Gaussian that g(r) is smoothed with to find a shell [m]."""
PROMINENCE = 0.15
"""Least height of a first peak above its surroundings [1]; and 4 standard errors at least."""
RISE = 0.05
"""Least rise of g(r) behind a minimum [1]."""
WITHIN = 5e-10
"""Farthest end of a first shell of atoms [m]."""


@dataclass(frozen=True, eq=False)
class Pair:
    """Two groups of points whose distances are counted.

    Parameters
    ----------
    name : str
        For output, ``"Li-TFSI"``.
    a, b : array of int (n,), (m,)
        Atoms; molecules where `centres` is true.
    without : pair of array of int
        Rows of `a` and `b` that belong to the same molecule and make no pair.
    centres : bool
        Centres of mass of molecules instead of atoms.
    """

    name: str
    a: Ints
    b: Ints
    without: tuple[Ints, Ints]
    centres: bool = False


def make_pair(name: str, a: Ints, b: Ints, molecule_a: Ints, molecule_b: Ints, *, centres: bool = False) -> Pair:
    """A pair of groups, with the pairs inside a molecule left out.

    Parameters
    ----------
    name : str
        For output.
    a, b : array of int (n,), (m,)
        Atoms, or molecules.
    molecule_a, molecule_b : array of int (n,), (m,)
        Molecule of each.
    centres : bool
        `a` and `b` are molecules.

    Returns
    -------
    Pair
    """
    order = np.argsort(molecule_b, kind="stable")
    low, high = (np.searchsorted(molecule_b[order], molecule_a, side) for side in ("left", "right"))
    count = high - low
    rows = np.repeat(np.arange(a.size), count)
    start = np.repeat(low - np.concatenate([[0], np.cumsum(count)[:-1]]), count)
    columns = order[start + np.arange(rows.size)]
    return Pair(name, a, b, (rows, columns.astype(np.int64)), centres)


class RadialSums:
    """Accumulator: numbers of pairs by distance, and the volume.

    Parameters
    ----------
    pairs : sequence of Pair
        What is counted.
    edges : array (bins + 1,)
        Edges of equal bins from zero [m].
    """

    def __init__(self, pairs: Sequence[Pair], edges: Array) -> None:
        self.pairs, self.edges = tuple(pairs), edges
        self.sums = BlockSums(len(self.pairs) * (edges.size - 1) + 2)
        self.follow = "whole" if any(pair.centres for pair in self.pairs) else ""

    def add(self, snapshot: Snapshot) -> None:
        """Count the pairs of one snapshot.

        Raises
        ------
        InputError
            No box, or bins that reach beyond half the shortest height of the box.
        """
        half = 0.5 * snapshot.heights.min()
        if self.edges[-1] > half * (1 + 1e-6):
            raise InputError(
                f"frame {snapshot.number}: r_max = {self.edges[-1] / ANGSTROM:.4g} angstrom reaches beyond half the "
                f"box ({half / ANGSTROM:.4g} angstrom); choose a smaller r_max"
            )
        box, edges = dimensions(snapshot), self.edges / ANGSTROM
        counts = []
        for pair in self.pairs:
            points = snapshot.centres / ANGSTROM if pair.centres else snapshot.raw
            counts.append(histogram(points[pair.a], points[pair.b], edges, box, pair.without))
        self.sums.add(np.concatenate([*counts, [snapshot.volume, 1.0]]))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The state."""
        return self.sums.arrays()

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take the state up."""
        self.sums.restore(arrays)


@dataclass(frozen=True, eq=False)
class Radial:
    """A radial distribution function, and what follows from it.

    Parameters
    ----------
    name : str
        Which pair.
    r : array (bins,)
        Middles of the bins [m].
    width : float
        Width of a bin [m].
    g : Averaged (bins,)
        g(r) [1].
    numbers : tuple of int
        N_i and N_j.
    same : bool
        i and j are the same particles.
    blocks : list of array (blocks, bins + 2)
        Per replica: pairs by distance, volume [m^3] and frames, summed over blocks; what a joint jackknife needs.
    lengths : list of array (blocks,)
        Frames in each block.
    """

    name: str
    r: Array
    width: float
    g: Averaged
    numbers: tuple[int, int]
    same: bool
    blocks: list[Array]
    lengths: list[Array]

    def g_of(self, total: Array) -> Array:
        """g(r) (bins,) [1] from sums over blocks (bins + 2,)."""
        return total[:-2] * total[-2] / total[-1] ** 2 / (self.numbers[0] * self.numbers[1] * self.shells)

    @property
    def shells(self) -> Array:
        """Volume of each bin (bins,) [m^3]."""
        low, high = self.r - 0.5 * self.width, self.r + 0.5 * self.width
        return 4.0 / 3.0 * np.pi * (high**3 - low**3)

    @property
    def volume(self) -> float:
        """Mean volume of the box [m^3]."""
        total = self._total()
        return float(total[-2] / total[-1])

    def coordination(self, reach: float) -> Averaged:
        """Mean number of j within `reach` [m] of an i, from the counts."""
        inside = np.clip((reach - (self.r - 0.5 * self.width)) / self.width, 0.0, 1.0)
        return self._function(lambda total: inside @ total[:-2] / total[-1] / self.numbers[0])

    def running_coordination(self) -> Averaged:
        """The same at the upper edge of every bin, (bins,) [1]."""
        return self._function(lambda total: np.cumsum(total[:-2]) / total[-1] / self.numbers[0])

    def closed_box(self, total: Array | None = None) -> Array:
        """g(r) (bins,) [1] freed from the 1/N offset of a closed box, Ganguly & van der Vegt Eq. 19.

        Parameters
        ----------
        total : array (bins + 2,), optional
            Sums over blocks; all of them when left out.

        Returns
        -------
        array (bins,)
        """
        total = self._total() if total is None else total
        g = self.g_of(total)
        volume, number = total[-2] / total[-1], self.numbers[1]
        edge = 4.0 / 3.0 * np.pi * (self.r + 0.5 * self.width) ** 3
        excess = np.cumsum((g - 1.0) * self.shells) * number / volume
        # The sum runs to the upper edge of a bin, g is meant at its middle: half of its own share too much.
        excess -= 0.5 * (g - 1.0) * self.shells * number / volume
        rest = number * (1.0 - (edge - 0.5 * self.shells) / volume)
        return np.asarray(g * rest / (rest - excess - (1.0 if self.same else 0.0)))

    def running_integral(self, *, extrapolate: bool = True, closed: bool = True) -> Averaged:
        """Running Kirkwood-Buff integral G(L) at the upper edge of every bin, (bins,) [m^3].

        Parameters
        ----------
        extrapolate : bool
            Weight of Krüger & Vlugt; else plain truncation at L.
        closed : bool
            Take the offset of a closed box away first.

        Returns
        -------
        Averaged (bins,)
        """
        matrix = integral_weights(self.r, self.width, extrapolate=extrapolate)

        def integral(total: Array) -> Array:
            return matrix @ ((self.closed_box(total) if closed else self.g_of(total)) - 1.0)

        return self._function(integral)

    def _total(self) -> Array:
        return np.asarray(sum(blocks.sum(axis=0) for blocks in self.blocks))

    def _function(self, function: Any) -> Averaged:
        return jackknife(self.blocks, function, weights=self.lengths)


def integral_weights(r: Array, width: float, *, extrapolate: bool = True) -> Array:
    """Matrix that takes g - 1 in bins to running integrals at the upper edge of every bin.

    Parameters
    ----------
    r : array (bins,)
        Middles of the bins [m].
    width : float
        Width of a bin [m].
    extrapolate : bool
        Weight of Krüger & Vlugt; else plain truncation.

    Returns
    -------
    array (bins, bins)
        Lower triangular [m^3].
    """
    edges = np.concatenate([r - 0.5 * width, r[-1:] + 0.5 * width])
    size = edges[1:, None]
    x = np.minimum(edges[None, :] / size, 1.0)
    if not extrapolate:
        primitive = x**3 / 3.0
    else:
        primitive = x**3 / 3.0 - 23.0 / 48.0 * x**6 + 3.0 / 28.0 * x**7 + 9.0 / 64.0 * x**8
    return 4.0 * np.pi * size**3 * np.diff(primitive, axis=1)


def radial_of(sums: Sequence[RadialSums]) -> list[Radial]:
    """Radial distribution functions from the accumulators of all replicas.

    Parameters
    ----------
    sums : sequence of RadialSums
        One per replica, of the same pairs.

    Returns
    -------
    list of Radial
        In the order of the pairs.
    """
    edges = sums[0].edges
    bins, r, width = edges.size - 1, 0.5 * (edges[1:] + edges[:-1]), float(edges[1] - edges[0])
    lengths = [each.sums.lengths for each in sums]
    functions = []
    for k, pair in enumerate(sums[0].pairs):
        blocks = [np.c_[each.sums.sums[:, k * bins : (k + 1) * bins], each.sums.sums[:, -2:]] for each in sums]
        numbers = (pair.a.size, pair.b.size)
        same = pair.a.size == pair.b.size and bool(np.all(pair.a == pair.b))
        unknown = Averaged(r, r, r, r > 0)
        radial = Radial(pair.name, r, width, unknown, numbers, same, blocks, lengths)
        functions.append(replace(radial, g=jackknife(blocks, radial.g_of, weights=lengths)))
    return functions


def first_shell(r: Array, g: Array, error: Array | None = None, *, within: float = WITHIN, name: str = "") -> float:
    """Where the first shell ends: the first minimum of g(r) after its first peak.

    g is smoothed; a peak counts where it stands `PROMINENCE` (and four standard errors) above what surrounds it. The
    minimum must lie below the peak by as much, and g must rise behind it. Of a flat minimum the middle is taken.

    Parameters
    ----------
    r : array (bins,)
        Middles of equal bins [m].
    g : array (bins,)
        g(r) [1].
    error : array (bins,), optional
        Its standard errors [1].
    within : float
        The minimum must lie nearer than this; farther out it is the structure of whole molecules [m].
    name : str
        For messages.

    Returns
    -------
    float
        Cutoff [m].

    Raises
    ------
    InputError
        No first shell: no peak, no minimum behind it, or one that is too far out.
    """
    from scipy.ndimage import gaussian_filter1d
    from scipy.signal import find_peaks  # a third of a second, which stated cut-offs need not wait for

    width = float(r[1] - r[0])
    spread = max(SMOOTH / width, 1e-3)
    smooth = gaussian_filter1d(g, spread)
    noise = np.zeros(r.size) if error is None else np.nan_to_num(error)
    noise = np.sqrt(gaussian_filter1d(noise**2, spread) / max(2.0 * np.sqrt(np.pi) * spread, 1.0))
    advice = 'look at g(r) and give the cutoff itself, [structure.cutoffs] NAME = "3 angstrom"'
    peaks, about = find_peaks(smooth, prominence=PROMINENCE)
    peaks = peaks[about["prominences"] > 4.0 * noise[peaks]]
    if not peaks.size:
        raise InputError(f"g(r) of {name} has no clear first peak, so there is no shell: {advice}")
    first = int(peaks[0])
    valleys = first + find_peaks(-smooth[first:], prominence=RISE)[0]
    deep = [v for v in valleys if smooth[first] - smooth[v] > max(PROMINENCE, 4.0 * (noise[v] + noise[first]))]
    if not deep:
        raise InputError(f"g(r) of {name} has a first peak but no minimum behind it: {advice}")
    low = int(deep[0])
    # Between a shell and the next g(r) may be zero, or noise, over a whole range: it is cut in the middle.
    floor = smooth[low] + max(2.0 * noise[low], 0.005 * (smooth[first] - smooth[low]))
    left = low - int(np.argmax(smooth[low:first:-1] > floor)) if np.any(smooth[first:low] > floor) else low
    beyond = smooth[low:] > floor
    right = low + int(np.argmax(beyond)) if beyond.any() else low
    end = float(0.5 * (r[left] + r[right]))
    if end > within:
        raise InputError(
            f"the first minimum of g(r) of {name} lies at {end / ANGSTROM:.3g} angstrom, beyond "
            f"{within / ANGSTROM:.3g}, so it ends no shell of neighbours: {advice}"
        )
    return end
