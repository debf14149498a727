"""While the scan runs: a fit that takes in files as they appear, and says what the next hours would add.

A fit's file names its data by patterns (``files = "*.csv"``); whatever matches in a folder is read, again whenever a
file is new or has grown, and the search begins where the last one ended. What the next hours would add is the Fisher
information of the same instruments going on as they do: the same places, intervals and errors, to the end of the
protocol.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from cellsim.base import Array, CellsimError, InputError, to_si
from cellsim.drawing import figstyle, page
from cellsim.files.folder import result_folder
from cellsim.files.schema import read_toml
from cellsim.files.writing import write_json, write_text
from cellsim.fit.ahead import HOUR, information_of, instruments_of
from cellsim.fit.descent import inverse
from cellsim.fit.estimate import Estimate, estimate
from cellsim.fit.experiment import NothingMeasured
from cellsim.fit.parameters import Parameter, Space
from cellsim.fit.recipe import Arriving, Recipe, read_recipe

logger = logging.getLogger(__name__)
EVERY = 2.0
"""Between two looks at the folder [s]; a file is read once it has kept its size for one of them."""
Files = tuple[tuple[str, ...], dict[str, str]]
"""Names of the files used, and of those that could not be, with the reason."""
NUMBERS, FIGURE, REPORT = "watch.json", "watch.png", "watch.html"


@dataclass(frozen=True)
class Target:
    """A standard error that is wanted.

    Parameters
    ----------
    name : str
        The parameter.
    error : float
        Standard error in the parameter's own terms: relative for a positive one, else in its unit.
    """

    name: str
    error: float


@dataclass(frozen=True)
class Gain:
    """What one instrument at one place would add within the next hour.

    Parameters
    ----------
    what : str
        In words: "current", "profiles (xam.toml)", "velocities at 0.65 mm".
    points : int
        How many points it would measure.
    error : mapping
        Parameter -> standard error afterwards, in its own terms.
    """

    what: str
    points: int
    error: Mapping[str, float]


@dataclass(frozen=True)
class State:
    """What is known at one moment, a :class:`.Result` like any other.

    Parameters
    ----------
    title : str
        Of the fit.
    clock : float
        Time of the latest datum, from the start of the run [s].
    files : tuple of str
        Files used.
    refused : mapping
        Files that could not be used, and why.
    values, error : mapping
        Parameter -> value [SI], standard error in its own terms; empty while there is too little to fit.
    interval : mapping
        Parameter -> 95 % interval by the curvature [SI].
    chi2, points : float, int
        Of all data.
    targets : tuple of Target
        What is wanted.
    reached : mapping
        Parameter with a target -> when it is expected to be met, from the start of the run [s]: the clock where it is
        met already, infinite where not before the end of the protocol.
    gains : tuple of Gain
        What the next hour would add, the most for the first target (or parameter) first.
    waiting : str
        Why there is no fit yet; "" where there is one.
    parameters : tuple of Parameter
        In their order.
    history : tuple of dict
        Clock, number of files, values and errors of the updates so far, this one last.
    """

    title: str
    clock: float
    files: tuple[str, ...]
    refused: Mapping[str, str]
    values: Mapping[str, float] = field(default_factory=dict)
    error: Mapping[str, float] = field(default_factory=dict)
    interval: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    chi2: float = float("nan")
    points: int = 0
    targets: tuple[Target, ...] = ()
    reached: Mapping[str, float] = field(default_factory=dict)
    gains: tuple[Gain, ...] = ()
    waiting: str = ""
    parameters: tuple[Parameter, ...] = ()
    history: tuple[Mapping[str, Any], ...] = ()

    @property
    def met(self) -> bool:
        """Whether every target is met."""
        return bool(self.targets) and all(self.reached.get(t.name, np.inf) <= self.clock for t in self.targets)

    def lines(self) -> list[str]:
        """What the terminal shows of an update."""
        lines = [f"{self.title}: {_counted(self.files)}, data until {self.clock / 60:.4g} min"]
        lines += [f"  not used: {name}: {why}" for name, why in self.refused.items()]
        if self.waiting:
            return [*lines, f"  waiting: {self.waiting}"]
        for p in self.parameters:
            low, high = self.interval[p.name]
            text = f"  {p.name} = {self.values[p.name]:.4g} {p.unit}".rstrip()
            lines.append(f"{text} ± {_error(p, self.error[p.name])} (95 %: {low:.4g} to {high:.4g}){self._target(p)}")
        lines.append(f"  chi2 {self.chi2:.4g} of {self.points} points")
        if self.gains:
            first = self.gains[0]
            name = self.goal
            p = next(p for p in self.parameters if p.name == name)
            lines.append(
                f"  the next hour: {name} to ± {_error(p, first.error[name])} by {first.what}"
                + (f", to ± {_error(p, self.gains[-1].error[name])} by {self.gains[-1].what}" if self.gains[1:] else "")
            )
        return lines

    @property
    def goal(self) -> str:
        """The parameter by which gains are ordered: the first target that is not met, else the least certain one."""
        open_ = [t.name for t in self.targets if self.reached.get(t.name, np.inf) > self.clock]
        return (open_ or [t.name for t in self.targets] or [max(self.error, key=lambda name: self.error[name])])[0]

    def _target(self, p: Parameter) -> str:
        target = next((t for t in self.targets if t.name == p.name), None)
        if target is None:
            return ""
        when = self.reached[p.name]
        said = (
            "met"
            if when <= self.clock
            else f"expected at {when / 60:.4g} min"
            if np.isfinite(when)
            else "not before the end of the protocol"
        )
        return f"; target ± {_error(p, target.error)}: {said}"

    def numbers(self) -> dict[str, Any]:
        """What watch.json holds [SI; errors in the parameters' own terms]."""
        return {
            "title": self.title,
            "clock": self.clock,
            "files": list(self.files),
            "refused": dict(self.refused),
            "waiting": self.waiting,
            "values": dict(self.values),
            "standard_errors": dict(self.error),
            "intervals": {name: list(ends) for name, ends in self.interval.items()},
            "chi2": self.chi2,
            "points": self.points,
            "targets": {t.name: t.error for t in self.targets},
            "reached": dict(self.reached),
            "met": self.met,
            "next_hour": [{"what": g.what, "points": g.points, "standard_errors": dict(g.error)} for g in self.gains],
            "history": list(self.history),
        }

    def draw(self, path: str | Path) -> Path:
        """Each parameter with its 95 % interval against the time until which data were at hand."""
        known = [row for row in self.history if row["values"]]
        count = len(self.parameters)
        columns = 1 if count < 4 else 2
        rows = -(-count // columns)
        size = {"width": figstyle.COLUMN if columns == 1 else figstyle.TWO_COLUMNS, "height": 1.5}
        with figstyle.drawing(path, rows, columns, title=self.title, sharex=True, **size) as (_, axes):
            x = np.array([row["clock"] / 60 for row in known])
            for panel in axes[count:]:
                panel.set_axis_off()
            for panel, p in zip(axes, self.parameters, strict=False):
                value = np.array([row["values"][p.name] for row in known])
                ends = np.array([row["intervals"][p.name] for row in known]).reshape(-1, 2)
                figstyle.points(panel, x, value, np.abs(ends.T - value), color=figstyle.COLOURS[0])
                # an interval that spans decades at the beginning must not hide the last ones
                reach = 6 * float(np.ptp(ends[-1]))
                low, high = panel.get_ylim()
                panel.set_ylim(max(low, value[-1] - reach), min(high, value[-1] + reach))
                panel.set_ylabel(figstyle.label(p.name, p.unit or "1"))
            for panel in axes[max(0, count - columns) : count]:
                panel.tick_params(labelbottom=True)
                panel.set_xlabel(figstyle.label("data until", "min"))
        return Path(path)

    def page(self, drawn: tuple[Path, ...]) -> str:
        """The page, which loads itself again every few seconds."""
        rows = [
            [
                p.name,
                f"{self.values[p.name]:.4g} {p.unit}".rstrip(),
                f"± {_error(p, self.error[p.name])}",
                "{:.4g} to {:.4g}".format(*self.interval[p.name]),
                self._target(p).removeprefix("; target "),
            ]
            for p in self.parameters
            if p.name in self.values
        ]
        names = [p for p in self.parameters if p.name in self.values]
        gains = [[g.what, str(g.points), *(f"± {_error(p, g.error[p.name])}" for p in names)] for g in self.gains]
        parts = [page.paragraph(f"{_counted(self.files)}, data until {self.clock / 60:.4g} min of the run.")]
        if self.waiting:
            parts.append(page.warning(f"Waiting: {self.waiting}"))
        else:
            parts += [
                page.table(("parameter", "value", "standard error", "95 % interval", "target"), rows, numeric=(1, 2)),
                page.paragraph(f"χ² {self.chi2:.4g} of {self.points} points. Intervals by the curvature of χ²."),
                page.heading("What the next hour would add"),
                page.table(("with", "points", *(p.name for p in names)), gains, numeric=range(1, 2 + len(names))),
            ]
        parts += [page.heading("Files"), page.bullets(self.files)]
        refused = [f"{name}: {why}" for name, why in self.refused.items()]
        text = page.report(self.title, *parts, warnings=refused, drawn=drawn)
        return text.replace("<title>", '<meta http-equiv="refresh" content="5"><title>', 1)


def _counted(files: tuple[str, ...]) -> str:
    return "1 file" if len(files) == 1 else f"{len(files)} files"


def _error(p: Parameter, error: float) -> str:
    """A standard error in words, in the parameter's own terms."""
    return f"{100 * error:.2g} %" if p.logarithmic else f"{error:.2g} {p.unit}".rstrip()


# ---- one update -----------------------------------------------------------------------------------------------------


def read_targets(path: Path, given: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Targets of the [watch] table of a fit's file, and of a command line, as (name, text).

    Raises
    ------
    InputError
        A target that is not name = error.
    """
    table = read_toml(path).table("watch", {})
    table.only("targets")
    wanted = {key: str(value) for key, value in table.table("targets", {}).data.items()}
    for text in given:
        name, sign, error = (part.strip() for part in text.partition("="))
        if not sign or not name or not error:
            raise InputError(f"--target {text}: write a parameter and its standard error, such as t_plus=0.05")
        wanted[name] = error
    return tuple(wanted.items())


def _targets(space: Space, wanted: tuple[tuple[str, str], ...]) -> tuple[Target, ...]:
    made = []
    for name, text in wanted:
        p = space.parameters[space.index(name)]
        unit = "" if p.logarithmic else p.unit
        error = to_si(text, unit, field=f"target of {name}")
        if not (np.isfinite(error) and error > 0):
            raise InputError(f"target of {name} = {text} must be positive")
        made.append(Target(name, error))
    return tuple(made)


def _own_terms(p: Parameter, sd: float) -> float:
    """Of u to the parameter's own terms: relative for a positive one, else in its unit."""
    return sd if p.logarithmic else sd * p.typical


def update(
    path: Path, folder: Path, wanted: tuple[tuple[str, str], ...], last: State | None, u: Array | None
) -> tuple[State, Array | None]:
    """Read what is there, fit, and look ahead.

    Parameters
    ----------
    path : Path
        The fit's file.
    folder : Path
        Where files appear.
    wanted : tuple of (str, str)
        As :func:`read_targets` gives them.
    last : State, optional
        Of the update before.
    u : ndarray, shape (p,), optional
        Where the search begins; default the starts of the file.

    Returns
    -------
    state : State
    u : ndarray or None
        The best point.

    Raises
    ------
    InputError
        A fit's file that is wrong whatever files come.
    """
    arriving = Arriving(folder)
    history = () if last is None else last.history
    before = 0.0 if last is None else last.clock
    try:
        recipe = read_recipe(path, arriving=arriving)
    except NothingMeasured as error:
        # a wrong target must not end the watch at the first file, hours later
        targets = () if arriving.space is None else _targets(arriving.space, wanted)
        told = (tuple(arriving.taken), dict(arriving.refused))
        why = _nothing_yet(arriving, error)
        return State(path.stem, before, *told, waiting=why, targets=targets, history=history), u
    targets = _targets(recipe.problem.space, wanted)
    problem, told = recipe.problem, (tuple(arriving.taken), dict(arriving.refused))
    clock = max((float(o.time.max()) for o in problem.observations if o.time.size), default=0.0)
    free = problem.space.size - problem.space.prior_residuals(problem.space.start).size
    if problem.size <= free:
        why = f"{problem.size} points cannot fix {free} parameters"
        return State(recipe.title, clock, *told, waiting=why, targets=targets, history=history), u
    try:
        fit = estimate(problem, starts=1 if u is not None else 3, at=u)
    except CellsimError as error:
        return State(recipe.title, clock, *told, waiting=str(error), targets=targets, history=history), u
    state = _judged(recipe, fit, clock, told, targets)
    row = {
        "clock": clock,
        "files": len(state.files),
        "values": dict(state.values),
        "intervals": {name: list(ends) for name, ends in state.interval.items()},
    }
    return replace(state, history=(*history, row)), fit.u


def _nothing_yet(arriving: Arriving, error: NothingMeasured) -> str:
    """Why there is no fit yet, to somebody who waits for more files and not for another fit's file."""
    if arriving.taken:
        return f"{error.lack} so far"
    wanted = ", ".join(dict.fromkeys(arriving.patterns))
    if arriving.refused:
        return f"none of the files that match {wanted} can be used yet"
    return f"no file in {arriving.folder} matches {wanted} yet"


def _judged(
    recipe: Recipe,
    fit: Estimate,
    clock: float,
    told: tuple[tuple[str, ...], dict[str, str]],
    targets: tuple[Target, ...],
) -> State:
    """A fit with what the next hours would add."""
    parameters = fit.space.parameters
    now = fit.problem.information(fit.jacobian)

    def errors(information: Array) -> dict[str, float]:
        sd = np.sqrt(np.maximum(np.diag(inverse(information)), 0.0))
        return {p.name: _own_terms(p, float(s)) for p, s in zip(parameters, sd, strict=True)}

    instruments = instruments_of(fit.problem, clock)
    rows = information_of(fit.problem, fit.u, instruments) if instruments else []
    gains = []
    for one, (when, J) in zip(instruments, rows, strict=True):
        inside = when <= clock + HOUR
        gains.append(Gain(one.what, int(inside.sum()), errors(now + J[inside].T @ J[inside])))
    reached = {t.name: clock if errors(now)[t.name] <= t.error else np.inf for t in targets}
    hours = int(np.ceil(max((float(when.max()) - clock for when, _ in rows if when.size), default=0.0) / HOUR))
    for n in range(1, hours + 1):
        total = now.copy()
        for when, J in rows:
            inside = when <= clock + n * HOUR
            total += J[inside].T @ J[inside]
        later = errors(total)
        for t in targets:
            if later[t.name] <= t.error and not np.isfinite(reached[t.name]):
                reached[t.name] = clock + n * HOUR
    state = State(
        *(recipe.title, clock, *told),
        values=fit.values,
        error=errors(now),
        interval={name: fit.interval(name) for name in fit.space.names},
        chi2=fit.chi2_data,
        points=fit.problem.size,
        targets=targets,
        reached=reached,
        parameters=parameters,
    )
    goal = replace(state, gains=()).goal
    return replace(state, gains=tuple(sorted(gains, key=lambda g: g.error[goal])))


# ---- the loop -------------------------------------------------------------------------------------------------------


def _seen(folder: Path, directory: Path) -> dict[str, tuple[int, int]]:
    """Size and time of every file in a folder and below, but for what is written into `directory`.

    A page that is written into the watched folder would otherwise set off the next fit, without end.
    """
    found = {}
    own = {directory.resolve() / name for name in (NUMBERS, FIGURE, REPORT)}
    half = f".{directory.name}-"
    for path in folder.resolve().rglob("*"):
        if path in own or any(name.startswith(half) for name in path.parts):
            continue
        try:
            about = path.stat()
        except OSError:  # gone between two looks
            continue
        if path.is_file():
            found[str(path)] = (about.st_size, about.st_mtime_ns)
    return found


def watch(
    path: str | Path,
    folder: str | Path,
    directory: str | Path,
    *,
    targets: tuple[str, ...] = (),
    every: float = EVERY,
    lasting: float = np.inf,
    until_met: bool = False,
    told: Callable[[State], None] | None = None,
) -> State:
    """Update whenever the folder has changed and is at rest, until the time is over.

    Parameters
    ----------
    path : str or Path
        The fit's file.
    folder : str or Path
        Where files appear.
    directory : str or Path
        Where watch.html, watch.json and watch.png are kept up to date.
    targets : tuple of str
        ``"t_plus=0.05"``, beside those of the file.
    every : float
        Between two looks at the folder [s].
    lasting : float
        How long to watch [s]; 0: once.
    until_met : bool
        End when every target is met.
    told : callable, optional
        Called with every new state.

    Returns
    -------
    State
        The last one.

    Raises
    ------
    InputError
        No such folder, a fit's file that is wrong.
    """
    path, folder = Path(path), Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    if not lasting >= 0:
        raise InputError(f"a time to watch of {lasting:g} s must not be negative; 0 s looks once")
    wanted = read_targets(path, targets)
    began, state, u = time.monotonic(), None, None
    known: dict[str, tuple[int, int]] | None = None
    before = _seen(folder, Path(directory))
    while True:
        now = _seen(folder, Path(directory))
        over = time.monotonic() - began >= lasting
        if now != known and (now == before or over):
            state, u = update(path, folder, wanted, state, u)
            known = now
            write_state(state, directory)
            if told is not None:
                told(state)
        if over or (until_met and state is not None and state.met):
            assert state is not None
            return state
        before = now
        time.sleep(min(every, max(0.0, lasting - (time.monotonic() - began))))


def write_state(state: State, directory: str | Path) -> list[Path]:
    """Write watch.png, watch.json and watch.html, all or nothing.

    Parameters
    ----------
    state : State
        What is known.
    directory : str or Path
        Made if it is not there.

    Returns
    -------
    list of Path
        The page last.
    """
    with result_folder(directory, last=NUMBERS, stale=(FIGURE, REPORT)) as fresh:
        drawn = (state.draw(fresh / FIGURE),) if state.values else ()
        written = [*drawn, write_json(fresh / NUMBERS, state.numbers())]
        written.append(write_text(fresh / REPORT, state.page(drawn)))
    return [Path(directory) / path.name for path in written]
