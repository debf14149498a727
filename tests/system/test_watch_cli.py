"""`cellsim watch`: files that arrive while it looks, as an instrument writes them."""

from __future__ import annotations

import json
import shutil
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from cellsim.base import InputError
from cellsim.cli import main
from cellsim.fit.estimate import estimate
from cellsim.fit.recipe import Arriving, read_recipe
from cellsim.fit.watch import State, watch

EXAMPLE = Path(__file__).parents[2] / "cases" / "fit_example"
TRUTH = 0.2


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The fit's file with patterns, and an empty folder `in`."""
    shutil.copy(EXAMPLE / "cell.toml", tmp_path)
    (tmp_path / "in").mkdir()
    text = (EXAMPLE / "fit.toml").read_text()
    text = text.replace('file = "current.csv"', 'files = "current*.csv"').replace(
        'file = "profiles.csv"', 'files = "p*.csv"'
    )
    (tmp_path / "fit.toml").write_text(text + "\n[watch]\ntargets = { t_plus = 0.03 }\n")
    return tmp_path


def rows(name: str) -> tuple[str, list[str]]:
    lines = (EXAMPLE / name).read_text().splitlines()[1:]
    return lines[0], lines[1:]


def write(folder: Path, until: float, since: float = 0.0) -> None:
    """What the instruments have written by a time [s]: one growing table of currents, a file for every profile."""
    head, current = rows("current.csv")
    (folder / "current.csv").write_text("\n".join([head, *(r for r in current if float(r.split(",")[0]) <= until)]))
    head, points = rows("profiles.csv")
    for t in sorted({r.split(",")[0] for r in points}, key=float):
        if since < float(t) <= until:
            (folder / f"p{float(t):08.0f}.csv").write_text("\n".join([head, *(r for r in points if r.startswith(t))]))


@pytest.mark.slow
def test_files_that_arrive_are_taken_in(place):
    seen: list[State] = []
    wrote: list[float] = []

    def feed() -> None:
        for since, until in ((0.0, 3000.0), (3000.0, 9000.0), (9000.0, 20000.0)):
            write(place / "in", until, since)
            wrote.append(time.monotonic())
            while len(seen) < len(wrote) + 1 and time.monotonic() - wrote[-1] < 60:
                time.sleep(0.05)

    feeder = threading.Thread(target=feed)

    def told(state: State) -> None:
        seen.append(state)
        if len(seen) == 1:
            feeder.start()  # the first look: an empty folder

    last = watch(*(place / "fit.toml", place / "in", place / "out"), every=0.2, lasting=120, until_met=True, told=told)
    feeder.join()
    assert "matches current*.csv, p*.csv yet" in seen[0].waiting and str(place / "in") in seen[0].waiting
    states = seen[1:]
    assert [len(state.files) for state in states] == [2, 4, 8][: len(states)] and len(states) >= 2  # until met
    assert last.met and last.error["t_plus"] <= 0.03
    assert abs(last.values["t_plus"] - TRUTH) < 4 * last.error["t_plus"]
    # each state holds more than the one before, and what was promised came true
    errors = [state.error["t_plus"] for state in states]
    assert errors == sorted(errors, reverse=True)
    first = states[0]
    assert first.clock < first.reached["t_plus"] <= first.clock + 3 * 3600
    assert {g.what.split()[0] for g in first.gains} == {"profiles", "current"}
    page = (place / "out" / "watch.html").read_text()
    assert 'http-equiv="refresh"' in page and "What the next hour would add" in page
    found = json.loads((place / "out" / "watch.json").read_text())
    assert found["met"] and len(found["history"]) == len(states)


def test_the_end_is_that_of_a_fit(place, tmp_path):
    write(place / "in", 20000.0)
    done = CliRunner().invoke(
        main, ["watch", str(place / "fit.toml"), str(place / "in"), "-o", str(place / "out"), "--for", "0 s"]
    )
    assert done.exit_code == 0, done.output
    found = json.loads((place / "out" / "watch.json").read_text())
    for path in (place / "in").iterdir():
        shutil.copy(path, place)
    whole = estimate(read_recipe(place / "fit.toml").problem, starts=3)
    for name, value in whole.values.items():
        assert found["values"][name] == pytest.approx(value, rel=2e-3)
        k = whole.space.index(name)
        assert found["standard_errors"][name] == pytest.approx(whole.sd[k], rel=0.02)


def promised_points() -> int:
    """Points of a profile of the example."""
    times = [r.split(",")[0] for r in rows("profiles.csv")[1]]
    return times.count(times[0])


def test_what_the_next_hour_adds_is_what_it_adds(place):
    """Twice the profiles at the same errors: the promised error against that of the data when they have come."""
    write(place / "in", 20000.0)
    before = watch(place / "fit.toml", place / "in", place / "out", lasting=0.0)
    promised = next(g for g in before.gains if g.what.startswith("profiles"))
    assert promised.points == promised_points()  # one profile, as they come every 2667 s
    write(place / "in", 22000.0, 20000.0)
    head, current = rows("current.csv")
    (place / "in" / "current.csv").write_text(
        "\n".join([head, *(r for r in current if float(r.split(",")[0]) <= 20000)])
    )
    after = watch(place / "fit.toml", place / "in", place / "out", lasting=0.0)
    for name in ("t_plus", "D.k0"):
        # the point at which the information is taken has moved a little, and the profile comes 667 s earlier
        assert promised.error[name] < before.error[name]
        assert after.error[name] == pytest.approx(promised.error[name], rel=0.1)


def test_a_file_that_cannot_be_read_is_said_and_the_others_are_used(place):
    write(place / "in", 9000.0)
    (place / "in" / "p_bad.csv").write_text("time (s),position (mm),c (mol/L),error (mol/L)\n1,2\n")
    (place / "in" / "p_late.csv").write_text("time (s),position (mm),c (mol/L),error (mol/L)\n9e9,0.5,1,0.1\n")
    state = watch(place / "fit.toml", place / "in", place / "out", lasting=0.0)
    assert len(state.refused) == 2 and "p_bad.csv" in state.refused and state.values
    assert any("not used: p_bad.csv" in line for line in state.lines())


def test_a_file_that_was_copied_is_used_once(place):
    """A copy, and one with another comment, make no second measurement."""
    write(place / "in", 9000.0)
    alone = Arriving(place / "in")
    once = read_recipe(place / "fit.toml", arriving=alone).problem
    profile = sorted((place / "in").glob("p*.csv"))[-1]
    shutil.copy(profile, profile.with_name("p_copy.csv"))
    profile.with_name("p_again.csv").write_text("# taken over from the other computer\n" + profile.read_text())
    found = Arriving(place / "in")
    assert read_recipe(place / "fit.toml", arriving=found).problem.size == once.size
    assert found.taken == alone.taken and not alone.refused
    said = f"it repeats {profile.name}; the measurement is used once"
    assert found.refused == {"p_again.csv": said, "p_copy.csv": said}
    for path in (place / "in").iterdir():
        shutil.copy(path, place)
    (experiment,) = read_recipe(place / "fit.toml").problem.experiments
    assert experiment.size == once.size
    assert experiment.notes == (f"p_again.csv: {said}", f"p_copy.csv: {said}")


def test_a_file_that_two_patterns_find_is_used_once_unless_they_use_other_times(place):
    write(place / "in", 9000.0)
    for path in (place / "in").iterdir():
        shutil.copy(path, place)
    text = (place / "fit.toml").read_text()
    once = read_recipe(place / "fit.toml").problem
    both = '    { files = "p*0*.csv" },\n]'
    (place / "fit.toml").write_text(text.replace("\n]\n", f"\n{both}\n", 1))
    (experiment,) = read_recipe(place / "fit.toml").problem.experiments
    assert experiment.size == once.size and "another pattern finds it too" in experiment.notes[0]
    later = both.replace(" }", ', to = "10 h" }')
    (place / "fit.toml").write_text(text.replace("\n]\n", f"\n{later}\n", 1))
    assert read_recipe(place / "fit.toml").problem.size > once.size


@pytest.mark.parametrize("bad", [True, False])
def test_an_empty_folder_is_waited_for_in_a_plain_sentence(place, bad):
    if bad:
        (place / "in" / "p1.csv").write_text("time (s),position (mm),c (mol/L),error (mol/L)\n1,2\n")
    state = watch(place / "fit.toml", place / "in", place / "out", lasting=0.0)
    wanted = "can be used yet" if bad else f"no file in {place / 'in'} matches current*.csv, p*.csv yet"
    assert wanted in state.waiting and f"  waiting: {state.waiting}" in state.lines()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--target", "t_plus"], "write a parameter and its standard error"),
        (["--target", "u=0.1"], "is no parameter of this fit"),
        (["--target", "t_plus=-1"], "must be positive"),
        (["--target", "t_plus=1 V"], "target of t_plus"),
        (["--every", "0 s"], "must be positive"),
        (["--every", "1 m"], "--every"),
        (["--for", "soon"], "--for"),
        (["--for", "-1 s"], "must not be negative"),
    ],
)
def test_wrong_options_are_one_sentence(place, arguments, told):
    write(place / "in", 3000.0)
    command = [
        "watch",
        str(place / "fit.toml"),
        str(place / "in"),
        "-o",
        str(place / "out"),
        "--for",
        "0 s",
        *arguments,
    ]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 2 and told in done.output and "Traceback" not in done.output


def test_wrong_folders_and_patterns_are_one_sentence(place):
    with pytest.raises(InputError, match="no such folder"):
        watch(place / "fit.toml", place / "nowhere", place / "out", lasting=0.0)
    text = (place / "fit.toml").read_text()
    for new, told in (
        (text.replace('files = "p*.csv"', 'files = "../p*.csv"'), "pattern inside the folder"),
        (text.replace('files = "p*.csv"', 'files = "p*.csv", file = "x"'), "files"),
        *((text.replace('files = "p*.csv"', 'files = "p**.csv"'), "is no pattern"),) * (sys.version_info < (3, 13)),
        (text.replace("targets", "target"), "target"),
        (text.replace("[fit.D]", "[fit.DD]"), "DD"),
    ):
        (place / "wrong.toml").write_text(new)
        with pytest.raises(InputError, match=told):
            watch(place / "wrong.toml", place / "in", place / "out", lasting=0.0)
    with pytest.raises(InputError, match="matches no file"):
        read_recipe(place / "fit.toml")


def test_no_parameter_is_fitted_by_fewer_points(place):
    head, current = rows("current.csv")
    (place / "in" / "current.csv").write_text("\n".join([head, *current[1:4]]))
    state = watch(place / "fit.toml", place / "in", place / "out", lasting=0.0)
    assert "3 points cannot fix" in state.waiting and not state.values
    assert np.isnan(state.chi2)


@pytest.mark.parametrize(("target", "told"), [("u=0.1", "is no parameter"), ("t_plus=1 V", "target of t_plus")])
def test_a_wrong_target_is_refused_before_the_first_file_comes(place, target, told):
    with pytest.raises(InputError, match=told):
        watch(place / "fit.toml", place / "in", place / "out", targets=(target,), lasting=0.0)


@pytest.mark.parametrize("out", ["in", "in/out"])
def test_a_page_written_into_the_watched_folder_sets_off_no_further_fit(place, out):
    head, current = rows("current.csv")
    (place / "in" / "current.csv").write_text("\n".join([head, *current[1:4]]))
    seen: list[State] = []
    watch(place / "fit.toml", place / "in", place / out, every=0.05, lasting=3.0, told=seen.append)
    assert len(seen) == 1 and "1 file," in seen[0].lines()[0]
    assert (place / out / "watch.html").is_file()
