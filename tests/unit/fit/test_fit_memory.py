"""A search that is begun again after a kill goes through the points it had reached, and none is predicted twice."""

import numpy as np
import pytest
from fit_toys import toy

from cellsim.fit import memory
from cellsim.fit.estimate import estimate
from cellsim.fit.parameters import Parameter

X = np.linspace(0, 3, 40)
PARAMETERS = (Parameter("amplitude", 1.0), Parameter("rate", 0.5, "1", True))


class Decay:
    """a exp(-k x), predicted at most so many times before the process is killed."""

    def __init__(self, most=10**9, scale=1.0):
        self.count, self.most, self.scale = 0, most, scale

    def __call__(self, values):
        if self.count == self.most:
            raise KeyboardInterrupt
        self.count += 1
        return self.scale * values["amplitude"] * np.exp(-values["rate"] * X)


def problem(decay):
    noise = np.random.default_rng(1).normal(size=X.size)
    return toy(decay, 3 * np.exp(-1.7 * X) + 0.05 * noise, PARAMETERS)


@pytest.fixture
def killed(tmp_path, monkeypatch):
    """A file of a search that was killed after a dozen points."""
    monkeypatch.setattr(memory, "EVERY", -1.0)
    file = tmp_path / "out" / "search.npz"
    with pytest.raises(KeyboardInterrupt):
        searched(Decay(12), file)
    return file


def searched(decay, file):
    made = problem(decay)
    with made.remembering(file):
        return estimate(made, starts=2)


def test_a_search_begun_again_ends_as_if_it_had_not_been_killed(killed, tmp_path):
    alone, again = Decay(), Decay()
    whole = searched(alone, tmp_path / "other.npz")
    found = searched(again, killed)
    assert np.array_equal(found.u, whole.u) and np.array_equal(found.jacobian, whole.jacobian)
    assert again.count == alone.count - 12 + 2  # the first and the last point that the file holds are tried again
    third = Decay()
    assert np.array_equal(searched(third, killed).u, whole.u)
    assert third.count == 2 + 1  # and the run at the best point is looked at for an early end


@pytest.mark.parametrize("damage", ["another fit", "another count", "cut"])
def test_points_of_another_fit_and_a_damaged_file_are_not_used(damage, killed, tmp_path):
    decay = Decay(scale=1.1 if damage == "another fit" else 1.0)
    if damage == "cut":
        killed.write_bytes(killed.read_bytes()[:-100])
    if damage == "another count":
        arrays = dict(np.load(killed))
        np.savez(killed, **arrays | {"points": arrays["points"][:, :1]})
    plain = searched(Decay(scale=decay.scale), tmp_path / "other.npz")
    found = searched(decay, killed)
    assert np.array_equal(found.u, plain.u)
    again = Decay(scale=decay.scale)
    assert np.array_equal(searched(again, killed).u, plain.u) and again.count == 3
