"""What compiled code reads: property functions as tables, and the numbers of a run in one flat array.

The tables are made from the set through the equations, never from a second copy of them. Nodes lie evenly in ln c;
between two nodes every property is a cubic with the values and slopes of the set's own functions at the nodes. The
number of nodes doubles until the tables agree with the functions they were made from.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Protocol

import numpy as np

from cellsim.base import Array, F
from cellsim.cell.geometry import Cell, InitialProfile
from cellsim.cell.kinetics import Kinetics
from cellsim.cell.protocol import Step
from cellsim.electrolyte.transport import TransportSet
from cellsim.model.equations import VoltageLaw
from cellsim.solvers import kernels as k

FEWEST, MOST = 512, 16384
STEP = 1e-5
"""Of the differences that give slopes, in ln c."""
W_ROW = 3
"""Place of W among the four functions."""
U_MAX = 60.0
"""Overpotentials are tabulated for |asinh(i/2 j_0)| up to this."""


@dataclass(frozen=True)
class Nodes:
    """Where a set is tabulated: first node and pitch in ln c [1], number of intervals, nodes that are corners."""

    start: float
    pitch: float
    intervals: int
    corners: tuple[int, ...]

    def halved(self) -> Nodes:
        """Twice as many intervals."""
        return Nodes(self.start, 0.5 * self.pitch, 2 * self.intervals, tuple(2 * corner for corner in self.corners))

    @property
    def x(self) -> Array:
        """The nodes in ln c [1]."""
        return np.asarray(self.start + self.pitch * np.arange(self.intervals + 1, dtype=np.float64))

    @property
    def sides(self) -> Array:
        """Next to both sides of every corner, shape (2 corners,), in ln c [1]."""
        return np.asarray((self.x[list(self.corners)] + 2 * STEP * np.array([[-1.0], [1.0]])).ravel())


@dataclass(frozen=True)
class PropertyTables:
    """Cubics for D, M, 1/kappa and W over ln c.

    Attributes
    ----------
    start, pitch : float
        First node and distance of nodes in ln(c [mol/m^3]) [1].
    cubics : ndarray, shape (4, n, 4)
        D [m^2/s], M [mol/C], 1/kappa [m/S], W [1]; in every interval a + b w + c w^2 + d w^3, w from 0 to 1.
    error : float
        Largest difference from the set's functions, relative to the value (W: absolute), between the nodes.
    mean_error : float
        The same, averaged over ln c: what is left at the corners of a piecewise table hardly counts.
    first : Nodes
        The coarsest nodes, whose intervals were halved until the tables agreed.
    """

    start: float
    pitch: float
    cubics: Array
    error: float
    mean_error: float
    first: Nodes

    @cached_property
    def diffused(self) -> Array:
        """Cubics of the integral of D dc from the first node on, shape (n, 4) [mol/(m s)]; see :mod:`.banded`."""
        nodes, weights = np.polynomial.legendre.leggauss(4)
        w = 0.5 * (nodes + 1)
        intervals = np.arange(self.cubics.shape[1])
        c = np.exp(self.start + self.pitch * (intervals[:, None] + w))
        D = self.cubics[0] @ w ** np.arange(4)[:, None]
        total = np.concatenate([[0.0], np.cumsum(0.5 * self.pitch * (D * c) @ weights)])
        edges = np.exp(self.start + self.pitch * np.arange(intervals.size + 1))
        at_edges = np.append(self.cubics[0, :, 0], self.cubics[0, -1].sum())
        return _hermite(total, at_edges * edges * self.pitch)

    def diffused_up_to(self, c: Array) -> Array:
        """The integral of D dc from the first node to `c` [mol/(m s)]; beyond the last node D is held."""
        n, (low, high) = self.cubics.shape[1], self.c_range
        inside = np.clip(c, low, high)
        u = np.clip((np.log(inside) - self.start) / self.pitch, 0, n)
        k = np.minimum(u.astype(int), n - 1)
        a, w = self.diffused[k], u - k
        ends = np.where(c > high, self.cubics[0, -1].sum(), self.cubics[0, 0, 0])
        return np.asarray(a[..., 0] + w * (a[..., 1] + w * (a[..., 2] + w * a[..., 3])) + ends * (c - inside))

    @property
    def c_range(self) -> tuple[float, float]:
        """Concentrations covered [mol/m^3]; beyond them values are held."""
        return float(np.exp(self.start)), float(np.exp(self.start + self.pitch * self.cubics.shape[1]))


_CACHE: dict[int, tuple[weakref.ref[TransportSet], dict[tuple[float, float, float], PropertyTables]]] = {}

MOST_SETS = 512
"""Sets whose tables are kept, 70 kB each: an ensemble may hold ten thousand sets, of which each is run once."""


def property_tables(transport: TransportSet, c_low: float, c_high: float, tolerance: float) -> PropertyTables:
    """Tables of a set, made once and kept while the set lives and no more than :data:`MOST_SETS` have come since.

    Parameters
    ----------
    transport : TransportSet
        Properties; evaluated clamped to their range.
    c_low, c_high : float
        Concentrations to cover [mol/m^3].
    tolerance : float
        Mean relative error that is small enough; at single corners of a piecewise table ten times that.

    Returns
    -------
    PropertyTables
    """
    key = id(transport)
    entry = _CACHE.get(key)
    if entry is None or entry[0]() is not transport:
        while len(_CACHE) >= MOST_SETS:
            _CACHE.pop(list(_CACHE)[0], None)  # noqa: RUF015 - another thread may change it while it is iterated
        entry = _CACHE[key] = (weakref.ref(transport, lambda _: _CACHE.pop(key, None)), {})
    tables = entry[1]
    span = (c_low, c_high, tolerance)
    if span not in tables:
        clamped = transport.with_extrapolation("clamp")
        tables[span] = _make(clamped, _nodes(clamped, c_low, c_high), tolerance)
    return tables[span]


def tables_alike(transport: TransportSet, tables: PropertyTables) -> PropertyTables:
    """Tables of a set on the nodes of another one's, so that what both give differs by their properties alone."""
    return _make(transport.with_extrapolation("clamp"), tables.first, -1.0, tables.cubics.shape[1])


def functions(transport: TransportSet) -> tuple[Callable[[Array], Array], ...]:
    """D, M, 1/kappa and W of a set as functions of c [mol/m^3], in the order of the tables."""
    return (
        transport.D,
        transport.migration,
        lambda c: 1 / transport.kappa(c),
        transport.potential_integral,
    )


def _make(transport: TransportSet, first: Nodes, tolerance: float, most: int = MOST) -> PropertyTables:
    nodes = first
    rows = [_row(transport, which, nodes) for which in range(4)]
    while True:
        mean_error = max(row.mean_error for row in rows)
        if mean_error <= tolerance or nodes.intervals >= most:
            cubics = np.stack([row.cubics for row in rows])
            return PropertyTables(nodes.start, nodes.pitch, cubics, max(row.error for row in rows), mean_error, first)
        nodes = nodes.halved()
        rows = [_row(transport, which, nodes, row) for which, row in enumerate(rows)]


@dataclass(frozen=True)
class _Row:
    """One of the four functions on nodes and in the middle between them.

    Attributes
    ----------
    values, slopes : ndarray, shape (n + 1,)
        At the nodes; slopes per ln c.
    between, slopes_between : ndarray, shape (n,)
        In the middles, which judge the cubics, and are nodes of the next finer ones.
    sides : ndarray, shape (2 corners,)
        Slopes next to the corners.
    cubics : ndarray, shape (n, 4)
        Through the nodes.
    error, mean_error : float
        Of the cubics in the middles.
    """

    values: Array
    slopes: Array
    between: Array
    slopes_between: Array
    sides: Array
    cubics: Array
    error: float
    mean_error: float


_ROWS: dict[tuple[Any, ...], tuple[_Row, Any]] = {}
MOST_ROWS = 64


def _row(transport: TransportSet, which: int, nodes: Nodes, coarse: _Row | None = None) -> _Row:
    """A row of a set, that of an earlier one which shares what it depends on: most steps of a fit move one property.

    With `coarse`, that on twice as wide intervals, nothing is evaluated twice at one place.
    """
    sources = transport.t_plus_source, transport.chi_source
    own: tuple[Any, ...] = ((transport.D_source,), sources[:1], (transport.kappa_source,), sources)[which]
    s = transport
    kept = *own, s.volumes  # known by identity, which no others can have as long as they are kept
    more = s.c_range, s.M_0, s.z_plus, s.nu_plus, s.nu_minus, s.solvent_motion
    key = which, *map(id, kept), more, s.t_plus_frame, s.chi_basis, s.chi_is_product, nodes
    found = _ROWS.get(key)
    if found is None:
        while len(_ROWS) >= MOST_ROWS:
            _ROWS.pop(list(_ROWS)[0], None)  # noqa: RUF015 - another thread may change it while it is iterated
        found = _ROWS[key] = _made(transport, which, nodes, coarse), kept
    return found[0]


def _made(transport: TransportSet, which: int, nodes: Nodes, coarse: _Row | None) -> _Row:
    x = nodes.x
    middles = x[:-1] + 0.5 * nodes.pitch
    if coarse is None:
        # The calls cost as much as what is computed in them: all places together.
        parts = x.size, x.size + 2 * len(nodes.corners)
        values, slopes = _evaluated(transport, which, np.concatenate([x, nodes.sides, middles]))
        (at_nodes, _, between), (slopes, sides, slopes_between) = np.split(values, parts), np.split(slopes, parts)
    else:
        at_nodes = _interleaved(coarse.values, coarse.between)
        slopes = _interleaved(coarse.slopes, coarse.slopes_between)
        sides = coarse.sides
        between, slopes_between = _evaluated(transport, which, middles)
    if which == W_ROW:
        if coarse is None:
            first, second = _risen(transport, x[:-1], middles), _risen(transport, middles, x[1:])
            end = np.log(transport.c_range[1])  # where W is 0; beyond it rises on a straight line
            if x[-1] >= end - 1e-12:
                top = (x[-1] - end) * transport.potential_slope(np.exp(x[-1:]))
            else:
                top = transport.potential_integral(np.exp(x[-1:]))
            at_nodes = top + np.concatenate([-np.cumsum((first + second)[::-1])[::-1], [0.0]])
            between = at_nodes[:-1] + first
        else:
            between = at_nodes[:-1] + _risen(transport, x[:-1], middles)
    after, before = slopes[:-1].copy(), slopes[1:].copy()  # at the beginning and the end of every interval
    for corner, left, right in zip(nodes.corners, *np.split(sides, 2), strict=True):
        if corner > 0:
            before[corner - 1] = left
        if corner < nodes.intervals:
            after[corner] = right
    cubics = _cubics(at_nodes, after * nodes.pitch, before * nodes.pitch)
    scale = np.maximum(np.abs(between), 1e-6 * np.max(np.abs(between)) + 1e-300) if which != W_ROW else 1.0
    miss = np.abs(cubics @ (0.5 ** np.arange(4)) - between) / scale
    return _Row(at_nodes, slopes, between, slopes_between, sides, cubics, float(miss.max()), float(miss.mean()))


def _nodes(transport: TransportSet, c_low: float, c_high: float) -> Nodes:
    """The coarsest nodes, among them those at which the range of the set ends.

    Beyond its range the values of a set are held: a corner, which no cubic follows. Within an interval it called for
    8192 nodes in place of 2048, and where a cell is filled to the end of the range the smallest change of concentration
    saw its smoothing. So the ends of the range are nodes, where cubics of two slopes meet.
    """
    low, high = np.log(c_low), np.log(c_high)
    begin, end = (np.log(max(c, 1e-300)) for c in transport.c_range)
    inner = max(low, begin), min(high, end)
    coarse = (high - low) / FEWEST
    if inner[1] - inner[0] < coarse / 4:  # a range narrower than that would make all intervals as narrow
        return Nodes(float(low), float(coarse), FEWEST, ())
    number = int(np.ceil((inner[1] - inner[0]) / coarse - 1e-9))
    pitch = (inner[1] - inner[0]) / number
    below, above = int(np.ceil((inner[0] - low) / pitch - 1e-9)), int((high - inner[1]) / pitch + 1e-9)
    corners = ([below] if begin >= low else []) + ([below + number] if end <= high else [])
    return Nodes(float(inner[0] - below * pitch), float(pitch), below + number + above, tuple(corners))


def _evaluated(transport: TransportSet, which: int, x: Array) -> tuple[Array, Array]:
    """One of the four functions at ln c = `x` and its slope there; of W, which is integrated, the slope alone."""
    if which == W_ROW:
        return np.zeros(x.size), transport.potential_slope(np.exp(x))
    here, below, above = functions(transport)[which](np.exp(np.concatenate([x, x - STEP, x + STEP]))).reshape(3, -1)
    return here, (above - below) / (2 * STEP)


def _risen(transport: TransportSet, low: Array, high: Array) -> Array:
    """The rise of W from ln c = `low` to `high`, half an interval, by Gauss' rule of two points: 1e-11 over a range."""
    half = 0.5 * (high - low)
    points = (low + half)[:, None] + half[:, None] * np.array([-1.0, 1.0]) / np.sqrt(3)
    return np.asarray(half * transport.potential_slope(np.exp(points)).sum(axis=1))


def _interleaved(nodes: Array, middles: Array) -> Array:
    """Values at the nodes and between them in their order along ln c, shape (2 n + 1,)."""
    merged = np.empty(nodes.size + middles.size)
    merged[::2], merged[1::2] = nodes, middles
    return merged


def _hermite(y: Array, slope: Array) -> Array:
    """Coefficients of the cubics through values and slopes (per interval) at both ends, shape (..., n, 4)."""
    return _cubics(y, slope[..., :-1], slope[..., 1:])


def _cubics(y: Array, s_0: Array, s_1: Array) -> Array:
    """The same with slopes of their own at the beginning and at the end of every interval."""
    y_0, y_1 = y[..., :-1], y[..., 1:]
    return np.stack([y_0, s_0, 3 * (y_1 - y_0) - 2 * s_0 - s_1, 2 * (y_0 - y_1) + s_0 + s_1], axis=-1)


@dataclass(frozen=True)
class KineticTables:
    """Kinetics for compiled code: the exchange current over ln c, the overpotential over asinh(i/2 j_0).

    Attributes
    ----------
    exchange : ndarray, shape (n, 4)
        Cubics of j_0 on the nodes of the property tables [A/m^2].
    overpotential : ndarray, shape (m, 4)
        Cubics of eta [V] over u = asinh(i/(2 j_0)), from -U_MAX to U_MAX.
    """

    exchange: Array
    overpotential: Array


def kinetic_tables(kinetics: Kinetics, T: float, properties: PropertyTables) -> KineticTables:
    """Tables of one electrode's kinetics at temperature `T` [K] on the nodes of `properties`."""
    return _kinetic_tables(kinetics, T, properties.start, properties.pitch, properties.cubics.shape[1])


@lru_cache(maxsize=64)
def _kinetic_tables(kinetics: Kinetics, T: float, start: float, pitch: float, intervals: int) -> KineticTables:
    x = start + pitch * np.arange(intervals + 1)
    h = 1e-5
    j_0, below, above = (np.array([kinetics.exchange_current(float(c)) for c in np.exp(x + d)]) for d in (0.0, -h, h))
    exchange = _hermite(j_0, (above - below) / (2 * h) * pitch)
    u = np.linspace(-U_MAX, U_MAX, 3 if kinetics.is_symmetric else 4097)

    def eta(u: float) -> float:
        return kinetics.overpotential_of_ratio(float(2 * np.sinh(u)), T)

    value = np.array([eta(v) for v in u])
    step = 1e-4
    slope = np.array([(eta(v + step) - eta(v - step)) / (2 * step) for v in u]) * (u[1] - u[0])
    return KineticTables(exchange, _hermite(value, slope))


@dataclass(frozen=True)
class Event:
    """A limit: its code in kernels.py, its level and the size of the quantity it watches."""

    name: str
    code: int
    level: float
    size: float
    fatal: bool


class Frame(Protocol):
    """How results in another variable than c are seen."""

    def c(self, rho: Array) -> Array:
        """The concentrations [mol/m^3] of what the grid carries."""

    def fields(self, inside: Any) -> Any:
        """Profiles in c from those of what the grid carries."""


@dataclass(frozen=True)
class Physics:
    """A cell and a set in the form compiled code reads, for any discretisation.

    Parameters
    ----------
    cell : Cell
        Geometry and electrodes.
    transport : TransportSet
        Properties.
    c0 : float
        Average concentration [mol/m^3].
    c_floor : float
        Lowest concentration that has to be told from zero [mol/m^3].
    tolerance : float
        Mean relative error allowed to the tables.
    initial : InitialProfile, optional
        What the run begins with; None: `c0` everywhere.
    frame : Frame, optional
        How results are seen, where it is not c that the grid carries.
    alike : Physics, optional
        Of a run that this one is compared with, on the nodes of whose tables its own are made.
    """

    cell: Cell
    transport: TransportSet
    c0: float
    c_floor: float
    tolerance: float
    initial: InitialProfile | None = None
    frame: Frame | None = None
    alike: Physics | None = None

    def seen(self, carried: Array) -> Array:
        """The concentrations [mol/m^3] of what the grid carries."""
        return carried if self.frame is None else self.frame.c(carried)

    def excess(self, xi: Array) -> Array:
        """Salt between x = 0 and the points `xi` = 2x/L - 1 at the start beyond that of `c0`, over half the cell's."""
        if self.initial is None:
            return np.zeros(xi.size)
        L = self.initial.thickness
        return np.asarray(2 * self.initial.salt(0.5 * L * (xi + 1)) / (self.c0 * L) - (xi + 1))

    @property
    def per_charge(self) -> float:
        """The states carry the charge passed times this [m^2/C]: as much salt, in units of half the cell's."""
        return 2 / (self.cell.separator.porosity * self.c0 * self.cell.thickness * F)

    def diffusion(self, c: Array) -> Array:
        """D of the set with the separator's factor [m^2/s]."""
        return np.asarray(self.cell.separator.transport_factor * self.transport.with_extrapolation("clamp").D(c))

    def migration(self, c: Array) -> Array:
        """M of the set [mol/C]."""
        return np.asarray(self.transport.with_extrapolation("clamp").migration(c))

    @cached_property
    def tables(self) -> PropertyTables:
        """The set's tables over every concentration that may come up."""
        if self.alike is not None:
            own, other = self.transport, self.alike
            return other.tables if own is other.transport else tables_alike(own, other.tables)
        low, high = self.transport.c_range
        moves = self.transport.solvent_motion == "volume"
        saturation = self.transport.volumes.c_saturation if moves else np.inf
        if self.transport.extrapolate == "clamp":
            high = max(high, 20 * self.c0)
        high = min(high, 0.9999 * saturation, 1e3 * self.c0)
        return property_tables(self.transport, 0.5 * min(low, self.c_floor), high, self.tolerance)

    @cached_property
    def law(self) -> VoltageLaw:
        """The voltage law with the set held at its ends."""
        return VoltageLaw(self.cell, self.transport.with_extrapolation("clamp"))

    @cached_property
    def _constant(self) -> tuple[Array, Array]:
        """What all protocol steps and grids share: the head, and the interfacial resistances that follow it."""
        tables = self.tables
        head = np.zeros(k.HEADER)
        thickness = self.cell.thickness
        head[k.C_INIT] = self.c0
        head[k.RATE] = 2 / (self.cell.separator.porosity * self.c0 * thickness)
        head[k.CHARGE] = self.per_charge
        head[k.SLOPE] = 2 * self.c0 / thickness
        head[k.FACTOR] = self.cell.separator.transport_factor
        head[k.R_SCALE] = 0.5 * thickness / self.cell.separator.transport_factor
        head[k.K_T] = self.transport.thermal_voltage
        head[k.TAB_START], head[k.TAB_PER_PITCH] = tables.start, 1 / tables.pitch
        head[k.TAB_N] = tables.cubics.shape[1]
        head[k.U_MAX] = U_MAX
        parts, end = [], head.size
        for place, electrode in ((k.R_POS, self.cell.positive), (k.R_NEG, self.cell.negative)):
            table = _with_times(electrode.resistance.time, electrode.resistance.value)
            head[place], head[place + 1] = end, electrode.resistance.value.size
            parts.append(table)
            end += table.size
        offset = tables.cubics.size
        for place, kinetics in self._kinetics():
            tabulated = kinetic_tables(kinetics, self.cell.temperature, tables)
            head[place], head[place + 1] = offset, tabulated.overpotential.shape[0]
            offset += tabulated.exchange.size + tabulated.overpotential.size
        return head, np.concatenate(parts)

    def pack(self, step: Step, t_start: float, grid: Mapping[int, float], events: tuple[Event, ...]) -> Array:
        """The numbers of one protocol step.

        Parameters
        ----------
        step : Step
            Drive.
        t_start : float
            Where it begins [s].
        grid : mapping
            Place -> number, of the discretisation.
        events : tuple of Event
            What to watch.

        Returns
        -------
        ndarray
        """
        constant, resistances = self._constant
        drive = _with_times(step.time, step.value)
        start = k.HEADER + resistances.size
        par = np.empty(start + drive.size + 3 * len(events))
        par[: k.HEADER], par[k.HEADER : start] = constant, resistances
        for place, number in grid.items():
            par[place] = number
        par[k.VOLTAGE], par[k.T_START] = step.drive == "voltage", t_start
        par[k.DRIVE], par[k.DRIVE_N] = start, step.value.size
        par[start : start + drive.size] = drive
        par[k.EVENTS], par[k.EVENTS_N] = start + drive.size, len(events)
        if events:
            par[start + drive.size :] = [number for e in events for number in (e.code, e.level, e.size)]
        return par

    def pack_tables(self) -> Array:
        """All cubics, flat; not copied where there are no kinetics."""
        tables = self.tables
        parts = [tables.cubics.ravel()]
        for _, kinetics in self._kinetics():
            tabulated = kinetic_tables(kinetics, self.cell.temperature, tables)
            parts += [tabulated.exchange.ravel(), tabulated.overpotential.ravel()]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def pack_diffused(self) -> tuple[float, Array]:
        """All cubics with those of the integral of D behind them, and where these begin."""
        tables = self.pack_tables()
        return float(tables.size), np.concatenate([tables, self.tables.diffused.ravel()])

    def _kinetics(self) -> list[tuple[int, Kinetics]]:
        both = ((k.BV_POS, self.cell.positive.kinetics), (k.BV_NEG, self.cell.negative.kinetics))
        return [(place, kinetics) for place, kinetics in both if kinetics is not None]


def _with_times(time: Array | None, values: Array) -> Array:
    """Times, one of them where nothing changes, and as many values behind."""
    return np.concatenate([np.zeros(1) if time is None else time, values])
