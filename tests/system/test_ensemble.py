"""Ensembles: order, isolation of failures, a killed worker, resuming, and a dask cluster."""

from __future__ import annotations

import functools
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cellsim.base import InputError
from cellsim.cell.geometry import Cell
from cellsim.cell.protocol import Protocol, StopConditions, hold_current, hold_voltage, rest
from cellsim.electrolyte.transport import TransportSet
from cellsim.run.ensemble import Member, simulate_many
from cellsim.solvers import packing
from cellsim.solvers.solution import Solution
from cellsim.workers import Workers

TIMES = np.array([1.0, 10.0, 100.0])


def member(k: int, **changes) -> Member:
    """A small run whose current tells which one it was."""
    transport = TransportSet.constant(kappa=0.1 * (k + 1), D=1e-10, t_plus=0.3)
    values = {
        "cell": Cell(1e-4, 298.15),
        "transport": transport,
        "protocol": Protocol((hold_voltage(0.01, 100.0),)),
        "c0": 1000.0,
        "times": TIMES,
        "solver": "sundials",
        "label": f"kappa {k}",
    }
    return Member(**(values | changes))


def first_current(s: Solution) -> float:
    return float(s["i"][0])


def kill_once(flag: str, s: Solution) -> float:
    """Take the worker down the first time it meets the third member."""
    if s["i"][0] == pytest.approx(30.0) and not Path(flag).exists():
        Path(flag).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return first_current(s)


def kill_always(s: Solution) -> float:
    if s["i"][0] == pytest.approx(30.0):
        os.kill(os.getpid(), signal.SIGKILL)
    return first_current(s)


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    with Workers(2) as pool:
        yield pool


def currents(outcomes) -> list[float]:
    return [outcome.value for outcome in outcomes]


def test_order_failures_and_progress(workers: Workers) -> None:
    """Results in the order of the members; one of bad input is reported in its place and stops nobody."""
    members = [member(k) for k in range(6)]
    members[2] = member(2, c0=-1.0)
    seen = []
    outcomes = simulate_many(members, workers=workers, keep=first_current, progress=lambda d, n: seen.append((d, n)))
    assert [o.index for o in outcomes] == list(range(6))
    assert [o.label for o in outcomes] == [m.label for m in members]
    assert not outcomes[2].succeeded
    assert "InputError" in outcomes[2].error
    expected = [10.0 * (k + 1) for k in range(6)]
    for k in (0, 1, 3, 4, 5):
        assert outcomes[k].value == pytest.approx(expected[k], rel=1e-12)
    assert seen[-1] == (6, 6)
    assert len(seen) == 6


def test_here_and_in_workers_are_the_same(workers: Workers) -> None:
    """Whole solutions come back complete, equal to those made in this process."""
    members = [member(k) for k in range(2)]
    here = simulate_many(members, workers=1)
    there = simulate_many(members, workers=workers)
    for a, b in zip(here, there, strict=True):
        assert b.value.status == "done"
        for name in a.value.arrays:
            assert np.array_equal(a.value[name], b.value[name], equal_nan=True)


def test_a_killed_worker_loses_nothing(workers: Workers, tmp_path: Path) -> None:
    members = [member(k) for k in range(8)]
    keep = functools.partial(kill_once, str(tmp_path / "flag"))
    outcomes = simulate_many(members, workers=workers, keep=keep)
    assert (tmp_path / "flag").exists()
    assert currents(outcomes) == pytest.approx([10.0 * (k + 1) for k in range(8)], rel=1e-12)


def test_a_member_that_always_kills_is_given_up(workers: Workers) -> None:
    outcomes = simulate_many([member(k) for k in range(5)], workers=workers, keep=kill_always, chunk=2)
    assert [o.succeeded for o in outcomes] == [True, True, False, True, True]
    assert "died" in outcomes[2].error


@pytest.mark.parametrize("keep", [None, first_current])
def test_resumes_from_the_folder(tmp_path: Path, keep) -> None:
    """A second call reads what the first left; a member that changed is run again."""
    members = [member(k) for k in range(3)]
    first = simulate_many(members[:2], workers=1, keep=keep, folder=tmp_path)
    assert not any(o.resumed for o in first)
    again = simulate_many(members, workers=1, keep=keep, folder=tmp_path)
    assert [o.resumed for o in again] == [True, True, False]
    changed = [member(0, c0=999.0), *members[1:]]
    assert [o.resumed for o in simulate_many(changed, workers=1, keep=keep, folder=tmp_path)] == [False, True, True]
    for a, b in zip(first, again, strict=False):
        value = (lambda o: o.value["i"]) if keep is None else (lambda o: o.value)
        assert np.array_equal(value(a), value(b))


def test_one_of_workers_and_scheduler() -> None:
    with pytest.raises(InputError, match="not both"):
        simulate_many([member(0)], workers=2, scheduler="tcp://localhost:1")


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore:.*:UserWarning")
def test_dask_scheduler(tmp_path: Path) -> None:
    """The same by the address of a dask scheduler; a worker killed there loses nothing either."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, processes=True, silence_logs=50
    ) as cluster:
        members = [member(k) for k in range(4)]
        keep = functools.partial(kill_once, str(tmp_path / "flag"))
        outcomes = simulate_many(members, scheduler=cluster.scheduler_address, keep=keep)
    assert (tmp_path / "flag").exists()
    assert currents(outcomes) == pytest.approx([10.0 * (k + 1) for k in range(4)], rel=1e-12)


def various(k: int) -> Member:
    """Runs of the compiled solver that take all its ways: refined, ended early, of several steps, of several sets."""
    own = TransportSet.constant(kappa=0.1 + 0.01 * k, D=1e-10, t_plus=0.3)
    steps = {
        0: (hold_voltage(0.01 + 0.001 * k, 300.0),),
        1: (hold_voltage(0.02 + 0.001 * k, 300.0), rest(200.0), hold_current(-0.5, 100.0)),
        2: (hold_current(15.0 + 0.1 * k, 4000.0, StopConditions(voltage_above=0.0145)), rest(100.0)),  # ends early
        3: (hold_voltage(5.0, 2000.0),),  # the salt runs out
        4: (hold_voltage(0.3, 0.5),),  # a layer that is thin at first: refined
    }[k % 5]
    chosen = own if k % 3 else SHARED
    return member(k, transport=chosen, protocol=Protocol(steps), times=None, solver="compiled", label=str(k))


SHARED = TransportSet.constant(kappa=0.2, D=2e-10, t_plus=0.4, chi=1.2)


def everything(s: Solution) -> dict[str, object]:
    c = s["c_face"]
    numbers = {name: s[name] for name in ("time", "i", "V", "step")}
    return (
        numbers
        | {"walls": c[:, [0, -1]], "status": s.status, "message": s.message, "log": s.log}
        | {name: s.attributes[name] for name in ("unknowns", "spatial_doubt", "time_steps")}
    )


@pytest.mark.parametrize("workers", [1, 2])
def test_many_give_what_each_gives_by_itself_to_the_last_bit(workers: int) -> None:
    """In one compiled call with others, in one thread or two; the ways of `various` were all taken."""
    members = [various(k) for k in range(15)]
    alone = [everything(m.run()) for m in members]
    assert {str(a["status"]) for a in alone} >= {"done", "depleted"}
    assert len({a["unknowns"] for a in alone}) > 1
    assert any(entry["ended_by"] == "voltage_above" for a in alone for entry in a["log"])
    for a, outcome in zip(alone, simulate_many(members, workers=workers, keep=everything), strict=True):
        assert outcome.error == ""
        for name, value in a.items():
            if isinstance(value, np.ndarray):
                np.testing.assert_array_equal(outcome.value[name], value)
            else:
                assert outcome.value[name] == value


def test_together_failures_and_progress() -> None:
    """Bad input, a set that raises while it is run, and a `keep` that raises: each in its place; all are counted."""

    def breaks(c, m, r):
        raise RuntimeError("no such electrolyte")

    members = [member(k, solver="compiled") for k in range(20)]
    members[3] = member(3, solver="compiled", c0=-1.0)
    members[4] = member(4, solver="compiled", times=[-1.0])
    members[5] = member(5, solver="compiled", transport=replace(member(5).transport, D_source=breaks))

    def keep(s: Solution) -> float:
        if s["i"][0] == pytest.approx(70.0):
            raise ValueError("not this one")
        return first_current(s)

    seen: list[tuple[int, int]] = []
    outcomes = simulate_many(members, workers=2, keep=keep, progress=lambda d, n: seen.append((d, n)))
    assert seen == [(k + 1, 20) for k in range(20)]
    assert {o.index: o.error.partition(":")[0] for o in outcomes if not o.succeeded} == {
        3: "InputError",
        4: "InputError",
        5: "RuntimeError",
        6: "ValueError",
    }
    for k in set(range(20)) - {3, 4, 5, 6}:
        assert outcomes[k].value == pytest.approx(10.0 * (k + 1), rel=1e-12)
    assert simulate_many([], keep=keep) == []


def test_an_interrupt_ends_all_members() -> None:
    """Ctrl-C while a thread works: no member is taken for one that failed."""
    members = [member(k, solver="compiled") for k in range(40)]

    def interrupt(done: int, _count: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    for workers in (1, 2):
        with pytest.raises(KeyboardInterrupt):
            simulate_many(members, workers=workers, keep=first_current, progress=interrupt)


def test_tables_of_many_sets_are_not_all_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten thousand sets in one call would hold 700 MB."""
    monkeypatch.setattr(packing, "MOST_SETS", 10)
    packing._CACHE.clear()
    members = [member(k, solver="compiled") for k in range(30)]
    assert all(o.succeeded for o in simulate_many(members, workers=1, keep=first_current))
    assert len(packing._CACHE) <= 10
