"""What is read back is a user's input: types, shapes, values and sizes are checked before anything is used."""

import json
import os
import zipfile

import h5py
import numpy as np
import pytest

from cellsim.base import CellsimError, InputError
from cellsim.files.reading import (
    array_headers,
    check_memory,
    memory_at_hand,
    numbers,
    read_arrays,
    read_bytes,
    read_json,
)
from cellsim.files.schema import parse_toml, read_json_table, read_toml

ENORMOUS = (2**31, 2**20)  # of floats: 18 PB, more than any machine has


def bomb_npz(path, name="intensity"):
    """A small archive that says it holds an enormous array."""
    with zipfile.ZipFile(path, "w") as archive, archive.open(f"{name}.npy", "w") as stream:
        np.lib.format.write_array_header_1_0(stream, {"descr": "<f8", "fortran_order": False, "shape": ENORMOUS})
    return path


def bomb_hdf5(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("R", shape=ENORMOUS, dtype="f8", chunks=(1024, 8))
    return path


def test_sizes_are_known_before_anything_is_read(tmp_path):
    for path in (bomb_npz(tmp_path / "a.npz", "R"), bomb_hdf5(tmp_path / "a.h5")):
        assert path.stat().st_size < 100_000
        assert array_headers(path)["R"].shape == ENORMOUS
        with pytest.raises(InputError, match=r"would take 1\.8e\+07 GB of memory"):
            read_arrays(path)
    with pytest.raises(InputError, match="would take"):
        check_memory(1e30, "it")
    assert 0 < memory_at_hand() < 1e15


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="no such device here")
def test_a_file_that_never_ends_is_refused():
    with pytest.raises(InputError, match="holds more than 10 MB"):
        read_toml("/dev/zero")
    with pytest.raises(InputError, match="holds more than"):
        read_bytes("/dev/zero", largest=1000)


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 500 + "]" * 500,
        "a = " + "{b = " * 500 + "1" + "}" * 500,
        "a = " + "7" * 5001,
        "a = 0x" + "F" * 5000,
        "a = [1, 99999999999999999999]",
        "b.c = -9223372036854775809",
    ],
    ids=range(6),
)
def test_toml_too_deep_or_with_integers_beyond_64_bits(text):
    with pytest.raises(InputError) as refused:
        parse_toml(text, "case.toml")
    assert len(str(refused.value)) < 400
    assert str(refused.value).startswith("case.toml: ")


def test_json_that_no_program_of_ours_wrote(tmp_path):
    path = tmp_path / "summary.json"
    for text in ("[" * 100_000, "9" * 5000, "{", "\xff", ""):
        path.write_bytes(text.encode("latin-1"))
        with pytest.raises(InputError, match="cannot be read as the summary"):
            read_json(path, what="the summary")
    path.write_text(json.dumps({"case": ["a"], "i": [1], "T": None}))
    table = read_json_table(path)
    assert "T" not in table
    with pytest.raises(InputError, match="must be a string"):
        table.string("case")
    with pytest.raises(InputError, match="not a quantity"):
        table.number("i")
    path.write_text("[1]")
    with pytest.raises(InputError, match="it is a list"):
        read_json_table(path)


def test_arrays_are_real_finite_and_of_their_shape():
    good = {"time": np.arange(3), "c": np.ones((3, 2))}
    lengths = {}
    assert numbers(good, "time", ("time",), where="f", lengths=lengths).dtype == float
    assert numbers(good, "c", ("time", "x"), where="f", lengths=lengths).shape == (3, 2)
    assert lengths == {"time": 3, "x": 2}
    for values in (np.ones(3) * 1j, np.ones(3, bool), np.array(["1"] * 3), np.zeros(3, "M8[s]"), np.array([None] * 3)):
        with pytest.raises(InputError, match="must hold real numbers"):
            numbers({"c": values}, "c", where="f")
    for values, shape in ((np.ones((3, 3)), ("time", "x")), (np.ones(2), (3,)), (np.ones((2, 2)), ("n",))):
        with pytest.raises(InputError, match="must have shape"):
            numbers({"c": values}, "c", shape, where="f", lengths={"x": 2, "time": 3})
    with pytest.raises(InputError, match="1 values that are not finite number"):
        numbers({"c": np.array([1.0, np.nan])}, "c", where="f")
    with pytest.raises(InputError, match='contains no array "d"'):
        numbers(good, "d", where="f")


def test_a_long_message_loses_its_middle():
    text = str(CellsimError("a " * 2500 + "b " * 2500))
    assert len(text) <= 1200
    assert text.startswith("a " * 250)
    assert text.endswith("b " * 150)
    assert "10000 characters" in text


def test_a_word_longer_than_any_path_loses_its_middle():
    text = str(CellsimError(f"case.toml: {'x' * 5000} is no key; allowed: {'y' * 299}"))
    assert "xxx ... (5000 characters) ... xxx" in text and text.endswith("y" * 299)
    assert len(text) < 500
