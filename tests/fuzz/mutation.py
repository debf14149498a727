"""Damage to files: bytes, texts and the arrays in .npz and HDF5, all of it from a seed."""

import io
import json
import re

import numpy as np

TOKENS = [
    "nan",
    "inf",
    "-1",
    "0",
    "1e999",
    "-1e-320",
    "9" * 30,
    "1" * 5001,
    "1e5",
    "0.5",
    "true",
    "[]",
    "{}",
    "[[]]",
    '""',
    '"9**9**9 m"',
    '"1/0 m"',
    '"(1 m"',
    '"nan m"',
    '"1e999 m"',
    '"-3 mm"',
    '"1 lightyear"',
    '"' + "x" * 5000 + '"',
    '"\\u0000"',
    '"../../../etc/passwd"',
    '"."',
    '"exp(exp(exp(99*r)))"',
    "1979-05-27",
    "[" * 500 + "]" * 500,
    "[1, 2]",
    '["1 m", 2]',
    "{ a = 1 }",
    "'",
    "\x1b[31m",
    "ä",
    "1_000",
    "0x10",
]
"""What takes the place of a value in a text."""
INTEGERS = [0, 1, 2, 3, -1, -2, 127, 255, 256, 1000, 2**15, 2**16 - 1, 2**24, 2**30, 2**31 - 1, -(2**31)]
VALUES = [None, True, "", "x", "nan", -1, 0, 10**400, 1e308, [], [1], {}, {"a": 1}, [None] * 3, [[1, [2]]], "é" * 3000]


def damaged_bytes(raw, rng):
    """Bits, bytes, words and stretches of a file changed, cut out, doubled or lost."""
    data = bytearray(raw)
    for _ in range(int(rng.integers(1, 4))):
        if not data:
            return bytes(data)
        at = int(rng.integers(len(data)))
        kind = int(rng.integers(8))
        if kind == 0:
            data[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            data[at] = int(rng.integers(256))
        elif kind in (2, 3):  # a number of a header: most formats keep four bytes in one of the two orders
            order = "big" if rng.integers(2) else "little"
            at = at // 4 * 4
            data[at : at + 4] = (INTEGERS[int(rng.integers(len(INTEGERS)))] % 2**32).to_bytes(4, order)
        elif kind == 4:
            del data[at:]
        elif kind == 5:
            del data[at : at + int(rng.integers(1, 65))]
        elif kind == 6:
            data[at:at] = data[at : at + int(rng.integers(1, 257))]
        else:
            length = int(rng.integers(1, 65))
            data[at : at + length] = bytes(len(data[at : at + length]))
    return bytes(data)


def lost_bytes(raw, rng):
    """The end, or a stretch somewhere, lost, or a stretch doubled: everything behind it is shifted."""
    at = int(rng.integers(1, len(raw)))
    length = int(np.exp(rng.uniform(0.0, np.log(0.5 * len(raw)))))
    kind = int(rng.integers(3))
    return [raw[:at], raw[:at] + raw[at + length :], raw[: at + length] + raw[at:]][kind]


def lost_lines(raw, rng):
    """The end, or lines somewhere, lost, or lines doubled; or one lost and another doubled."""
    lines = raw.splitlines(keepends=True)
    at, other = (int(k) for k in rng.integers(1, len(lines), size=2))
    length = int(np.exp(rng.uniform(0.0, np.log(0.5 * len(lines)))))
    kind = int(rng.integers(4))
    if kind == 0:
        return b"".join(lines)[: int(rng.integers(1, len(raw)))]
    if kind == 1:
        return b"".join(lines[:at] + lines[at + length :])
    if kind == 2:
        return b"".join(lines[: at + length] + lines[at:])
    doubled = [*lines[:at], lines[at], *lines[at:]]
    return b"".join(doubled[:other] + doubled[other + 1 :])


def damaged_text(raw, rng):
    """Values, keys and lines of a text changed, doubled or lost."""
    text = raw.decode("utf-8", "replace")
    for _ in range(int(rng.integers(1, 3))):
        kind = int(rng.integers(6))
        lines = text.split("\n")
        at = int(rng.integers(len(lines)))
        if kind <= 2:
            found = list(re.finditer(r'"[^"\n]*"|(?<![\w.])[-+]?\d[\d.eE+-]*', text))
            if found:
                place = found[int(rng.integers(len(found)))]
                text = text[: place.start()] + TOKENS[int(rng.integers(len(TOKENS)))] + text[place.end() :]
        elif kind == 3:
            text = "\n".join(lines[:at] + lines[at + 1 :])
        elif kind == 4:
            text = "\n".join([*lines[:at], lines[int(rng.integers(len(lines)))], *lines[at:]])
        else:
            words = list(re.finditer(r"[A-Za-z_]\w*", text))
            if words:
                word = words[int(rng.integers(len(words)))]
                text = text[: word.start()] + word.group()[::-1] + text[word.end() :]
    return text.encode("utf-8", "replace")


def damaged_json(raw, rng):
    """One value somewhere inside replaced, or its key lost."""
    data = json.loads(raw)
    node, path = data, []
    while isinstance(node, dict | list) and node and (not path or rng.integers(2)):
        key = list(node)[int(rng.integers(len(node)))] if isinstance(node, dict) else int(rng.integers(len(node)))
        path.append((node, key))
        node = node[key]
    if not path:
        return b"[]"
    inside, key = path[-1]
    if isinstance(inside, dict) and rng.integers(4) == 0:
        del inside[key]
    else:
        inside[key] = VALUES[int(rng.integers(len(VALUES)))]
    return (str(10**300) if rng.integers(40) == 0 else json.dumps(data)).encode()


def odd_array(values, rng):
    """An array of another type, shape or contents in the place of one."""
    values = np.asarray(values)
    number = np.zeros(values.shape) if values.dtype.kind not in "iuf" else values
    return [
        lambda: number.astype(complex) * (1 + 1j),
        lambda: number * np.nan,
        lambda: np.where(np.arange(number.size).reshape(number.shape) == number.size // 2, np.inf, number),
        lambda: values[:0] if values.ndim else np.zeros(0),
        lambda: values[..., None],
        lambda: values.ravel(),
        lambda: np.array(str(values.dtype)),
        lambda: values[:-1] if values.ndim else values,
        lambda: number.astype("f4") * 1e30,
        lambda: number[::-1] if values.ndim else -number,
        lambda: np.zeros(values.shape, dtype=bool),
        lambda: np.full(values.shape, "x" * 40),
        lambda: np.zeros(values.shape, dtype="M8[s]"),
        lambda: -np.abs(number).astype(float) * 1e200,
        lambda: np.zeros(values.shape, dtype=[("a", "f8"), ("b", "i4")]),
    ][int(rng.integers(15))]()


def damaged_npz(raw, rng):
    """One of the arrays odd, lost or said to be huge; or the bytes of the archive."""
    if rng.integers(2):
        return damaged_bytes(raw, rng)
    with np.load(io.BytesIO(raw)) as archive:
        arrays = {name: archive[name] for name in archive.files}
    name = list(arrays)[int(rng.integers(len(arrays)))]
    if rng.integers(5) == 0:
        del arrays[name]
    else:
        arrays[name] = odd_array(arrays[name], rng)
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()


def damaged_hdf5(raw, rng):
    """One of the datasets or attributes odd, lost, renamed or said to be huge; or the bytes of the file."""
    import h5py

    if rng.integers(2):
        return damaged_bytes(raw, rng)
    buffer = io.BytesIO(raw)
    with h5py.File(buffer, "r+") as file:
        names = []
        file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        name = names[int(rng.integers(len(names)))]
        kind = int(rng.integers(6))
        values = file[name][()]
        if kind == 0:
            del file[name]
        elif kind == 1:
            file.move(name, f"{name}_")
        elif kind == 2 and len(file.attrs):
            key = list(file.attrs)[int(rng.integers(len(file.attrs)))]
            if rng.integers(3):
                file.attrs[key] = ["", "x", "[1]", "{", "[{}]", 3.0, -1, np.zeros(3)][int(rng.integers(8))]
            else:
                del file.attrs[key]
        elif kind == 3:
            del file[name]
            file.create_dataset(name, shape=(2**31, 2**7), dtype="f8", chunks=(2**12, 1))
        else:
            del file[name]
            array = odd_array(values, rng)
            file[name] = (
                array.astype("S")
                if array.dtype.kind == "U"
                else array.astype("i8")
                if array.dtype.kind == "M"
                else array
            )
    return buffer.getvalue()
