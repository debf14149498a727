"""Real data: LiTFSI in a polymer, against the results published with it (tests/data/htp_md, MIT)."""

import json
from pathlib import Path

import numpy as np
import pytest

from cellsim.base import F, InputError, R
from mdcoeffs.frames.stream import feed, open_stream
from mdcoeffs.inputs.species import Replica, Species, SpeciesFile
from mdcoeffs.onsager.estimate import estimate_onsager
from mdcoeffs.onsager.motion import motion_accumulators, motion_of

DATA = Path(__file__).parents[1] / "data" / "htp_md"
TFSI = "type 91 92 93 94 95"
SPECIES = (
    Species("Li", 1, "cation", "type 90"),
    Species("TFSI", -1, "anion", TFSI, centre="type 93"),
    Species("polymer", 0, "solvent", f"not type 90 and not {TFSI}"),
)
PUBLISHED = json.loads((DATA / "published.json").read_text())


def read(scratch, **options):
    replica = Replica(topology=DATA / "relaxed.lmp.bz2", trajectory=(DATA / "traj.lammpstrj.bz2",))
    file = SpeciesFile(Path(), PUBLISHED["temperature"], SPECIES, (replica,), timestep=2e-15, **options)
    stream = open_stream(file, scratch=scratch)
    gathered = motion_accumulators(stream, "ions")
    feed(stream, gathered)
    return motion_of(stream, gathered), gathered["paths"].stores


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    return read(tmp_path_factory.mktemp("htp"))


@pytest.fixture(scope="module")
def reading(pair):
    return pair[0]


def diffusion(pair):
    """Their recipe: drift removed, first to last frame, D = <|dr|^2> / 6 t [m^2/s]."""
    motion, stores = pair
    found = []
    for kind in ("0", "1"):
        paths = stores[kind].block(0, stores[kind].particles, 7) - motion.drift
        square = np.sum((paths[:, -1] - paths[:, 0]) ** 2, axis=1)
        found.append(float(square.mean()) / (6 * motion.displacements.duration))
    return found


def test_published_diffusion_coefficients(pair):
    D_plus, D_minus = diffusion(pair)
    # Theirs uses standard atomic masses for the drift, ours those of the force field; measured 1e-8 and 4e-7.
    assert D_plus * 1e4 == pytest.approx(PUBLISHED["li_diffusivity"], rel=1e-6)
    assert D_minus * 1e4 == pytest.approx(PUBLISHED["tfsi_diffusivity"], rel=1e-6)


def test_published_nernst_einstein_values(pair):
    D_plus, D_minus = diffusion(pair)
    got = pair[0].displacements
    c_plus, c_minus, _ = got.concentrations
    conductivity = F**2 / (R * got.temperature) * (c_plus * D_plus + c_minus * D_minus)
    # Their constants (e, k_B of CODATA 2014) move it by 4e-7; measured deviations 7e-7 and 3e-7.
    assert conductivity / 100 == pytest.approx(PUBLISHED["conductivity_ne"], rel=1e-6)
    assert D_plus / (D_plus + D_minus) == pytest.approx(PUBLISHED["transference_number_ne"], rel=1e-6)


def test_what_the_file_holds(reading):
    got = reading.displacements
    assert got.counts == (50, 50, 12)
    assert got.time == pytest.approx(2e-12 * np.arange(7), rel=1e-12, abs=0)
    assert got.volume == pytest.approx((40.7353350495137e-10) ** 3, rel=1e-7)
    assert np.linalg.norm(reading.drift[-1]) == pytest.approx(0.918e-14, rel=0.01)


def test_image_flags_and_unwrapping_agree(reading, tmp_path):
    unwrapped, _ = read(tmp_path, coordinates="wrapped")
    # Single-precision positions: 12 chains of 300 atoms, 1e-6 angstrom each.
    assert np.abs(unwrapped.displacements.R - reading.displacements.R).max() < 1e-19
    assert 0 < unwrapped.longest_step < 0.1


def test_seven_frames_give_no_onsager_coefficients(reading):
    with pytest.raises(InputError, match="7 frames hold at most 6 independent origins, at least 50"):
        estimate_onsager(reading.displacements)
