"""Files and folders of results: whole or not at all."""

import json

import numpy as np
import pytest

from cellsim.base import InputError
from cellsim.files import folder
from cellsim.files.folder import check_writable, file_hash, result_folder, values_hash, work_folder
from cellsim.files.reading import read_json, read_values
from cellsim.files.writing import plain, replacing, write_arrays, write_json, write_values


def write_and_fail(path):
    with replacing(path) as partial:
        partial.write_text("half")
        raise ZeroDivisionError


def test_a_file_is_the_old_one_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "result.txt"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError):
        write_and_fail(path)
    assert path.read_text() == "old"
    with replacing(path) as partial:
        partial.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["result.txt"]


def test_a_file_whose_folder_is_missing_and_one_that_cannot_be_written_are_named_as_asked(tmp_path):
    with (
        pytest.raises(InputError, match=r"no/x.csv: there is no folder .*no; make it"),
        replacing(tmp_path / "no/x.csv"),
    ):
        pass
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError) as error, replacing(tmp_path / "folder") as partial:
        partial.write_text("text")
    assert error.value.filename == str(tmp_path / "folder")


def test_json_holds_what_json_can_hold(tmp_path):
    value = {
        "a": np.float64(1.5),
        "b": np.array([1.0, np.nan]),
        "c": (np.int64(2), np.bool_(True)),
        "d": tmp_path,
        3: None,
    }
    write_json(tmp_path / "x.json", value)
    found = read_json(tmp_path / "x.json")
    assert found == {"a": 1.5, "b": [1.0, None], "c": [2, True], "d": str(tmp_path), "3": None}
    assert isinstance(plain(np.bool_(False)), bool)
    with pytest.raises(InputError, match="cannot be read as a summary"):
        read_json(tmp_path / "y.json", what="a summary")


def test_values_come_back_as_they_were(tmp_path):
    value = {
        "x": np.array([[1.0, np.inf]]),
        "t": (1, "two", None, [True]),
        "s": np.float64(np.nan),
        "names": np.array(["a", "b"]),
    }
    write_values(tmp_path / "v.npz", value)
    found = read_values(tmp_path / "v.npz")
    assert list(found) == list(value)
    assert np.array_equal(found["x"], value["x"])
    assert found["t"] == value["t"]
    assert np.isnan(found["s"])
    assert found["names"].tolist() == ["a", "b"]


def test_values_that_cannot_be_kept_are_refused(tmp_path):
    with pytest.raises(InputError, match="a function cannot be kept"):
        write_values(tmp_path / "v.npz", {"f": test_values_come_back_as_they_were})
    with pytest.raises(InputError, match="a ndarray cannot be kept"):
        write_values(tmp_path / "v.npz", np.array([object()]))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("contents", [b"", b"PK\x03\x04 cut", b"\x00" * 100])
def test_a_damaged_file_of_values_is_one_sentence(tmp_path, contents):
    path = tmp_path / "v.npz"
    path.write_bytes(contents)
    with pytest.raises(InputError, match="cannot be read back"):
        read_values(path)


def test_an_archive_without_structure_is_refused(tmp_path):
    write_arrays(tmp_path / "v.npz", {"a": np.zeros(2)}, synced=True)
    with pytest.raises(InputError, match="cannot be read back"):
        read_values(tmp_path / "v.npz")


def test_a_folder_of_results_appears_at_the_end_its_summary_last(tmp_path, monkeypatch):
    target = tmp_path / "out" / "run"
    moved = []
    move = folder.shutil.move
    monkeypatch.setattr(folder.shutil, "move", lambda a, b: (moved.append(b.name), move(a, b)))
    with result_folder(target, stale=("old.png",)) as fresh:
        (fresh / "summary.json").write_text("{}")
        (fresh / "z.nc").write_text("z")
        assert not target.exists()
    assert moved == ["z.nc", "summary.json"]
    (target / "old.png").write_text("old")
    (target / "notes.txt").write_text("mine")
    with pytest.raises(RuntimeError), result_folder(target, stale=("old.png",)) as fresh:
        raise RuntimeError
    assert (target / "old.png").exists()
    with result_folder(target, stale=("old.png",)) as fresh:
        (fresh / "summary.json").write_text('{"n": 2}')
    assert sorted(p.name for p in target.iterdir()) == ["notes.txt", "summary.json", "z.nc"]
    assert json.loads((target / "summary.json").read_text()) == {"n": 2}
    assert [p.name for p in target.parent.iterdir()] == ["run"]


def test_a_file_in_the_place_of_a_folder_is_refused(tmp_path):
    (tmp_path / "run").write_text("x")
    with pytest.raises(InputError, match="is a file; name a folder with -o"):
        check_writable(tmp_path / "run")
    with pytest.raises(InputError, match="is a file"):
        check_writable(tmp_path / "run" / "deeper")


def test_hashes_tell_contents_apart(tmp_path, monkeypatch):
    path = tmp_path / "data"
    path.write_bytes(b"a" * 3000)
    first = file_hash(path)
    path.write_bytes(b"a" * 2999 + b"b")
    assert file_hash(path) != first
    assert values_hash({"a": 1, "b": 2}) == values_hash({"b": 2, "a": 1}) != values_hash({"a": 1, "b": 3})
    monkeypatch.setattr(folder, "SAMPLED", 1 << 20)
    path.write_bytes(b"a" * (3 << 20))
    sampled = file_hash(path)
    with path.open("r+b") as stream:
        stream.seek(-1, 2)
        stream.write(b"b")
    assert file_hash(path) != sampled


def work_and_stop(path, error, left=None):
    with work_folder(path) as place:
        if left is not None:
            (place / left).write_text("1")
        raise error


def test_a_work_folder_goes_where_nothing_was_left_in_it(tmp_path):
    with pytest.raises(InputError, match="refused"):
        work_and_stop(tmp_path / "a" / "b", InputError("refused"))
    assert not (tmp_path / "a" / "b").exists()
    with pytest.raises(KeyboardInterrupt):
        work_and_stop(tmp_path / "c", KeyboardInterrupt(), left="checkpoint")
    assert (tmp_path / "c" / "checkpoint").exists()  # work to go on from stays
    (tmp_path / "mine").mkdir()
    with pytest.raises(InputError, match="refused"):
        work_and_stop(tmp_path / "mine", InputError("refused"))
    assert (tmp_path / "mine").is_dir()
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file; name a folder"):
        work_and_stop(tmp_path / "file", AssertionError())
