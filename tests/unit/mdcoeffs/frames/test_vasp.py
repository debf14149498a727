"""XDATCAR files: the motion that was written, boxes that change, and what is refused."""

import gzip

import numpy as np
import pytest

from cellsim.base import InputError
from mdcoeffs.frames.stream import open_stream
from mdcoeffs.inputs.species import read_species
from mdcoeffs.onsager.motion import motion_of_replica

SPECIES = """temperature = "300 K"
topology = "XDATCAR"
trajectory = "XDATCAR"
frame_interval = "10 fs"
[species.Li]
selection = "element Li"
charge = 1
role = "cation"
molecule = "atom"
[species.Cl]
selection = "name Cl"
charge = -1
role = "anion"
molecule = "atom"
"""
BOX = np.array([[9.0, 0, 0], [2.0, 8.0, 0], [1.0, -1.0, 10.0]])
N, FRAMES = 10, 60


def path_of(seed=1):
    """Fractions of a walk that leaves the box (frames, atoms, 3)."""
    rng = np.random.default_rng(seed)
    start = rng.random((1, 2 * N, 3))
    return start + np.concatenate([np.zeros((1, 2 * N, 3)), 0.04 * rng.normal(size=(FRAMES - 1, 2 * N, 3)).cumsum(0)])


def written(folder, fractions, boxes=None, scale="1.0", kinds="Li Cl", name="XDATCAR"):
    def head(box):
        rows = "".join(" ".join(f"{v:.10f}" for v in row) + "\n" for row in box)
        return f"LiCl melt\n {scale}\n{rows} {kinds}\n {N} {N}\n"

    text = head(BOX) if boxes is None else ""
    for t, frame in enumerate(fractions):
        text += ("" if boxes is None else head(boxes[t])) + f"Direct configuration={t + 1:6d}\n"
        text += "".join(f"  {x:.8f}  {y:.8f}  {z:.8f}\n" for x, y, z in frame - np.floor(frame))
    opener = gzip.open if name.endswith(".gz") else open
    with opener(folder / name, "wt") as stream:
        stream.write(text)
    (folder / "SPECIES.toml").write_text(SPECIES.replace('"XDATCAR"', f'"{name}"'))
    return read_species(folder / "SPECIES.toml")


@pytest.mark.parametrize("name", ["XDATCAR", "XDATCAR_1", "run.XDATCAR", "XDATCAR.gz"])
def test_the_motion_is_the_one_that_was_written(tmp_path, name):
    fractions = path_of()
    motion = motion_of_replica(written(tmp_path, fractions, name=name))
    moved = (fractions - fractions[0]) @ BOX * 1e-10
    assert motion.displacements.time[1] == pytest.approx(1e-14)
    for k, atoms in enumerate((slice(0, N), slice(N, 2 * N))):
        assert np.abs(motion.displacements.R[:, k] - moved[:, atoms].sum(axis=1)).max() < 1e-15
    assert motion.displacements.volume == pytest.approx(720e-30)
    masses = np.array(motion.displacements.masses)
    assert masses[1] / masses[0] == pytest.approx(35.45 / 6.94, rel=1e-3)


def test_boxes_that_change_and_their_scale(tmp_path):
    boxes = [BOX * (1 + 0.001 * t) for t in range(FRAMES)]
    fractions = path_of()
    for scale, factor in (("1.0", 1.0), ("1.5", 1.5)):
        seen = list(open_stream(written(tmp_path, fractions, boxes, scale)).snapshots())
        assert len(seen) == FRAMES
        assert np.array([s.box for s in seen]) == pytest.approx(np.array(boxes) * factor * 1e-10, rel=1e-9)
    # a negative scale is the volume
    volumes = [s.volume for s in open_stream(written(tmp_path, fractions, boxes, "-800.0")).snapshots()]
    assert volumes == pytest.approx([800e-30] * FRAMES)


def test_every_second_frame(tmp_path):
    file = written(tmp_path, path_of())
    text = (tmp_path / "SPECIES.toml").read_text()
    (tmp_path / "SPECIES.toml").write_text("stride = 2\n" + text)
    every = [s.raw.copy() for s in open_stream(file).snapshots()]
    second = [s.raw.copy() for s in open_stream(read_species(tmp_path / "SPECIES.toml")).snapshots()]
    assert np.array_equal(np.array(every)[::2], np.array(second))


def changed(old, new, count=1):
    return lambda text: text.replace(old, new, count)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text[:-40], "cut short"),
        (lambda text: "\n".join(text.split("\n")[:-4]) + "\n", "the last frame is cut short"),
        (lambda text: text[:-1], "cut short .19 of 20 whole lines"),
        (changed("configuration=    17", "configuration=    18"), "configuration 18 follows configuration 16"),
        (changed("LiCl melt", "LiCl melt\n"), "its head is"),
        (changed(" 10 10", " 10"), "its head is"),
        (changed(" 10 10", " 10 -10"), "its head is"),
        (changed("8.0000000000", "nan"), "its head is"),
        (changed(" 1.0\n", " 0.0\n"), "its head is"),
        (lambda text: text[text.index("Direct") :], "no head"),
        (lambda text: text[: text.index("Direct")], "holds no configuration"),
        (lambda text: "", "holds no configuration|empty"),
        (changed("Direct configuration=    20\n", ""), "is damaged"),
        (changed("\n  0.", "\n  x.", 30), "cannot be read"),
    ],
)
def test_damaged_files_are_one_sentence(tmp_path, change, words):
    file = written(tmp_path, path_of())
    text = (tmp_path / "XDATCAR").read_text()
    assert change(text) != text
    (tmp_path / "XDATCAR").write_text(change(text))
    with pytest.raises(InputError, match=words):
        motion_of_replica(file)


def test_times_are_not_invented(tmp_path):
    written(tmp_path, path_of())
    (tmp_path / "SPECIES.toml").write_text(SPECIES.replace('frame_interval = "10 fs"\n', ""))
    with pytest.raises(InputError, match=r"XDATCAR files do not say for certain when.*frame_interval"):
        motion_of_replica(read_species(tmp_path / "SPECIES.toml"))
