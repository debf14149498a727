"""The one runner of analyses: what a refused run leaves behind."""

import logging

import numpy as np
import pytest
from md_toys import WALK, walk_arrays, walkers

from cellsim.base import InputError
from mdcoeffs.analysis import Analysis, analyse


class Total:
    """Accumulator: the sum of all positions, and how many snapshots it has seen."""

    follow = ""

    def __init__(self):
        self.state = np.zeros(2)

    def add(self, snapshot):
        self.state += [snapshot.positions.sum(), 1]

    def arrays(self):
        return {"state": self.state}

    def restore(self, arrays):
        self.state = arrays["state"].copy()


def settings(file):
    return file.title


def result(file, title, runs):
    if title == "refused":
        raise InputError("title: refused")
    return runs[0]["total"].state.tolist()


TOTAL = Analysis(
    "total",
    settings,
    accumulators=lambda stream, title: {"total": Total()},
    result=result,
    depends_on=lambda title: None,
)


@pytest.fixture
def run(tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="mdcoeffs")
    np.savez(tmp_path / "run.npz", **walk_arrays(*walkers(60)))
    (tmp_path / "out").mkdir()

    def run(toml, **options):
        caplog.clear()
        (tmp_path / "SPECIES.toml").write_text(toml)
        return analyse(TOTAL, tmp_path / "SPECIES.toml", folder=tmp_path / "out", **options)

    return run


REFUSED = WALK.replace("made up", "refused")
PART = WALK.replace("[units]", 'stop = "20 ps"\n[units]')


def test_a_refused_run_does_not_block_the_mended_one(run, tmp_path, caplog):
    # longer than the time between checkpoints, which is none here; shorter runs leave nothing
    for _ in range(2):  # refused, and again
        with pytest.raises(InputError, match="refused"):
            run(REFUSED, checkpoint_every=0.0)
        assert [path.name for path in (tmp_path / "out").iterdir()] == ["checkpoint-total-0-refused.npz"]
    whole = run(WALK)  # mended after the pass: what was read serves
    assert "taking up the checkpoint" in caplog.text
    assert whole[1] == 60
    with pytest.raises(InputError, match="refused"):
        run(REFUSED, checkpoint_every=0.0)
    part = run(PART)  # mended before it: read anew
    assert "reading anew" in caplog.text and "taking up" not in caplog.text
    assert part[1] == 21
    assert not list((tmp_path / "out").iterdir())
    assert (run(WALK), run(PART)) == (whole, part)  # in an empty folder


def test_a_run_refused_amid_its_frames_does_not_block_the_mended_one(run, tmp_path):
    arrays = dict(np.load(tmp_path / "run.npz"))
    positions = arrays["positions"].copy()
    positions[40, 3] = np.nan
    np.savez(tmp_path / "run.npz", **(arrays | {"positions": positions}))
    with pytest.raises(InputError, match="frame 40: the position of atom 3 is NaN"):
        run(WALK, checkpoint_every=0.0)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["checkpoint-total-0-refused.npz"]
    np.savez(tmp_path / "run.npz", **arrays)
    assert run(WALK)[1] == 60
