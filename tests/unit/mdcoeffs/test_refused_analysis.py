"""What an analysis leaves behind when it is refused, and when it is not."""

import numpy as np
import pytest
from md_toys import WALK, walk_arrays, walkers

from cellsim.base import InputError
from mdcoeffs.analysis import analyse_into
from mdcoeffs.inputs.species import read_species
from mdcoeffs.onsager import ANALYSIS


@pytest.fixture(scope="module")
def arrays():
    return walk_arrays(*walkers(60))


def write(folder, arrays):
    folder.mkdir(exist_ok=True)
    np.savez(folder / "run.npz", **arrays)
    (folder / "SPECIES.toml").write_text(WALK)
    return read_species(folder / "SPECIES.toml")


def test_a_frame_that_is_refused_late_leaves_nothing(tmp_path, arrays):
    positions = arrays["positions"].copy()
    positions[12, 3] = np.nan
    file = write(tmp_path / "in", arrays | {"positions": positions})
    with pytest.raises(InputError, match="frame 12: the position of atom 3 is NaN"):
        analyse_into(ANALYSIS, file, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_checkpoint_of_an_earlier_call_is_left_alone(tmp_path, arrays):
    file = write(tmp_path / "in", arrays)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "checkpoint-onsager-0.npz").write_bytes(b"of another run")
    with pytest.raises(InputError, match="is not a checkpoint"):
        analyse_into(ANALYSIS, file, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["checkpoint-onsager-0.npz"]
