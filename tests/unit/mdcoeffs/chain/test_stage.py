"""A stage is made again where its inputs, options, code or files changed, and nowhere else."""

import json

import pytest

from cellsim.base import InputError
from mdcoeffs.chain.stage import RECORD, Stage, code_hash, current, file_hash, make


def work(calls, text="x"):
    def write(folder):
        calls.append(folder)
        (folder / "a.txt").write_text(text)
        (folder / "sub").mkdir()
        (folder / "sub" / "b.txt").write_text("y")

    return write


def test_made_once_and_found_again(tmp_path):
    stage, calls = Stage(tmp_path / "s", {"in": "1"}, {"draws": 3}), []
    assert current(stage) is None
    done = make(stage, work(calls))
    assert not done.cached and set(done.files) == {"a.txt", "sub/b.txt"}
    again = make(stage, work(calls))
    assert again.cached and again.files == done.files and len(calls) == 1
    assert done.inputs("s") == {f"s/{name}": digest for name, digest in done.files.items()}
    assert [p.name for p in tmp_path.iterdir()] == ["s"]


@pytest.mark.parametrize(
    "change",
    [{"inputs": {"in": "2"}}, {"options": {"draws": 4}}, {"modules": ("mdcoeffs.chain.stage",)}],
    ids=["inputs", "options", "code"],
)
def test_any_change_makes_it_again(tmp_path, change):
    base = {"inputs": {"in": "1"}, "options": {"draws": 3}, "modules": ()}
    calls = []
    make(Stage(tmp_path / "s", **base), work(calls))
    make(Stage(tmp_path / "s", **(base | change)), work(calls))
    assert len(calls) == 2


def test_touched_missing_or_garbled_files_make_it_again(tmp_path):
    stage, calls = Stage(tmp_path / "s", {}), []
    make(stage, work(calls))
    (tmp_path / "s" / "a.txt").write_text("z")
    make(stage, work(calls))
    (tmp_path / "s" / "sub" / "b.txt").unlink()
    make(stage, work(calls))
    (tmp_path / "s" / RECORD).write_text("{")
    make(stage, work(calls))
    assert len(calls) == 4
    assert current(stage) is not None


def test_a_stage_that_broke_off_goes_on_where_it_was_but_only_with_the_same_key(tmp_path):
    def breaks(folder):
        (folder / "checkpoint").write_text("half")
        raise InputError("killed")

    one, other = Stage(tmp_path / "s", {"in": "1"}), Stage(tmp_path / "s", {"in": "2"})
    found = []
    with pytest.raises(InputError, match="killed"):
        make(one, breaks)
    assert current(one) is None
    make(one, lambda folder: found.append((folder / "checkpoint").is_file()))
    with pytest.raises(InputError, match="killed"):
        make(other, breaks)
    assert current(one) is not None  # the finished folder of before stays until another takes its place
    make(Stage(tmp_path / "s", {"in": "3"}), lambda folder: found.append((folder / "checkpoint").is_file()))
    assert found == [True, False]


def test_a_record_says_what_it_was_made_from(tmp_path):
    make(Stage(tmp_path / "s", {"in": "1"}, {"draws": 3}, ("mdcoeffs.chain.stage",)), work([]))
    record = json.loads((tmp_path / "s" / RECORD).read_text())
    assert record["inputs"] == {"in": "1"} and record["options"] == {"draws": 3} and record["seconds"] >= 0


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        make(Stage(tmp_path / "file" / "s", {}), work([]))


def test_code_hash_follows_imports_within_the_packages_only():
    assert code_hash(("mdcoeffs.interface.rates",)) != code_hash(("mdcoeffs.chain.stage",))
    assert code_hash(("mdcoeffs.chain.to_set",)) != code_hash(("cellsim.electrolyte.onsager",))
    assert code_hash(("json",)) == code_hash(("json",))


def test_a_large_file_is_hashed_by_samples(tmp_path, monkeypatch):
    path = tmp_path / "big"
    path.write_bytes(b"a" * (3 << 20))
    whole = file_hash(path)
    monkeypatch.setattr("cellsim.files.folder.SAMPLED", 1 << 20)
    sampled = file_hash(path)
    assert sampled != whole and sampled == file_hash(path)
    path.write_bytes(b"a" * (3 << 20) + b"b")
    assert file_hash(path) != sampled
