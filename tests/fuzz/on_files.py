# SPDX-License-Identifier: BSD-3-Clause
"""Every reader of files: what is damaged is refused in one line, or read as what it says."""

from __future__ import annotations

import contextlib
import functools
import gzip
import io
import json
import os
import tempfile
import warnings
import zipfile

import mtx_oracle
import numpy as np
import scipy.io
import scipy.sparse

import complsparse as cs
from complsparse._cli.main import main
from complsparse._files.readers import read_matrix
from fuzz.mutate import damaged, retold
from fuzz.on_packing import small_matrix
from fuzz.registry import target

TOKENS = (
    b"0 1 -1 2 3 4 1.5 .5 5. . + - -0 +1 1e5 1E+5 1d3 1D-3 e5 1e 1e+ 1.e2 1,5 0x1p3 1_0 nan inf -inf infinity NaN "
    b"1e308 1e309 1e-320 1e-400 9007199254740993 9223372036854775807 9223372036854775808 -9223372036854775808 "
    b"18446744073709551615 18446744073709551616 99999999999999999999 000000000000000000000001 1.7976931348623157e308 "
    b"0.1234567890123456789012 2147483648 4294967297 1000000 1048577 99999999999 % %% \n \n\n \t \r \0 \v 1.0+5 "
    b"real integer pattern complex double general symmetric skew-symmetric hermitian array coordinate matrix vector"
).split(b" ")
READABLE = (ValueError, TypeError)


def read(name: str, content: bytes) -> dict | None:
    """What is in a file with this content, None where it is refused: in one line that names it."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, name)
        with open(path, "wb") as stream:
            stream.write(content)
        try:
            return read_matrix(path, narrow=False)
        except READABLE as error:
            words = str(error)
    assert words.startswith(f"{path}: "), words
    assert "\n" not in words, words
    return None


def packed(found: dict) -> str:
    """Packs what was read and multiplies it, where its dtype multiplies."""
    for matrix in found.values():
        W = cs.ComplementaryMatrix(matrix)
        assert W.nnz >= 0
        if W.dtype.kind in "bif" and W.shape[1] < 10_000_000:
            W @ np.ones(W.shape[1], dtype=np.float32)
    return "read"


def drawn_text(rng: np.random.Generator) -> bytes:
    """An honest Matrix Market file, of SciPy's writer or of our own."""
    field = str(rng.choice(["real", "integer", "pattern"]))
    symmetry = str(rng.choice(["general", "symmetric", "skew-symmetric", "hermitian"]))
    dense = small_matrix(rng).toarray()
    if rng.random() < 0.4:
        stream = io.BytesIO()
        kind = scipy.sparse.coo_array(dense) if rng.random() < 0.6 else dense
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            scipy.io.mmwrite(stream, kind, field=field if field != "pattern" else None)
        return stream.getvalue()
    size = int(rng.integers(1, 6))
    lines = [f"%%MatrixMarket matrix coordinate {field} {symmetry}", f"{size} {size} {size}"]
    for _ in range(size):
        row, col = (int(place) for place in rng.integers(1, size + 1, 2))
        value = {"real": repr(float(rng.normal())), "integer": str(rng.integers(-9, 9)), "pattern": ""}[field]
        lines.append(f"{row} {col} {value}".strip())
    return "\n".join(lines).encode() + b"\n" * int(rng.integers(2))


@target(megabytes=160)
def mtx(rng: np.random.Generator) -> str:
    content = drawn_text(rng)
    for _ in range(int(rng.integers(3))):
        content = retold(rng, content, TOKENS) if rng.random() < 0.7 else damaged(rng, content, 3)
    found = read("m.mtx", content)
    try:
        wanted = mtx_oracle.read(content)
    except mtx_oracle.TooLarge:
        return "large"
    if found is None or wanted is None:
        assert found is None, content
        assert wanted is None, content
        return "refused"
    (matrix,) = found.values()
    dense = matrix if isinstance(matrix, np.ndarray) else matrix.toarray()
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(dense, wanted, err_msg=repr(content))
    return packed(found)


@target()
def smtx(rng: np.random.Generator) -> str:
    pattern = scipy.sparse.csr_array(small_matrix(rng).toarray() != 0)
    lists = (", ".join(map(str, (*pattern.shape, pattern.nnz))), pattern.indptr, pattern.indices)
    content = "\n".join(x if isinstance(x, str) else " ".join(map(str, x)) for x in lists).encode() + b"\n"
    for _ in range(int(rng.integers(3))):
        content = retold(rng, content, TOKENS, 2) if rng.random() < 0.7 else damaged(rng, content, 3)
    found = read("s.smtx", content)
    return "refused" if found is None else packed(found)


def _npy(rng: np.random.Generator) -> bytes:
    stream = io.BytesIO()
    dtype = str(rng.choice(["f8", "f4", "f2", "i1", "u8", "?", ">f4", "U3", "c8"]))
    array = rng.integers(-3, 3, rng.integers(0, 5, int(rng.integers(0, 5)))).astype(dtype)
    np.save(stream, np.asfortranarray(array) if rng.random() < 0.3 else array)
    return stream.getvalue()


HEADER_TOKENS = (
    b"0, -1, 1, 2, 3, 4, (2, 3), (3,), (0, 4611686018427387904), (1048577, 0), True, False, '<f8', '<U1', '|O', '<V8', "
)
HEADER_TOKENS = [
    *HEADER_TOKENS.split(b" "),
    b"'descr':",
    b"'shape':",
    b"'fortran_order':",
    b"{",
    b"}",
    b"(" * 500,
    b"9" * 30,
]


@target()
def npy(rng: np.random.Generator) -> str:
    content = _npy(rng)
    if rng.random() < 0.4:
        head, mark, tail = content.partition(b"\n")
        text = retold(rng, head[10:], HEADER_TOKENS)
        content = head[:8] + len(text + mark).to_bytes(2, "little") + text + mark + tail
    elif rng.random() < 0.9:
        content = damaged(rng, content)
    found = read("a.npy", content)
    return "refused" if found is None else packed(found)


def _archive(rng: np.random.Generator, members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    kinds = [zipfile.ZIP_STORED] * 6 + [zipfile.ZIP_DEFLATED] * 3 + [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
    kind = kinds[int(rng.integers(len(kinds)))]
    with warnings.catch_warnings(), zipfile.ZipFile(stream, "w", kind) as out:
        warnings.simplefilter("ignore")
        for name, content in members.items():
            out.writestr(name, content)
    return stream.getvalue()


def _members(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _damaged_archive(rng: np.random.Generator, content: bytes) -> bytes:
    """Damage to the archive, which its checksums show, or to members before they get theirs."""
    if rng.random() < 0.3:
        return damaged(rng, content)
    members = _members(content)
    for _ in range(int(rng.integers(3))):
        name = list(members)[int(rng.integers(len(members)))]
        what = rng.random()
        if what < 0.6:
            members[name] = damaged(rng, members[name], 3)
        elif what < 0.8:
            members[name] = _npy(rng)
        elif what < 0.9 and len(members) > 1:
            del members[name]
        else:
            members[f"{rng.integers(3)}.npy"] = members[name]
    return _archive(rng, members)


@target()
def npz_of_arrays(rng: np.random.Generator) -> str:
    content = _archive(rng, {f"{name}.npy": _npy(rng) for name in range(int(rng.integers(1, 4)))})
    found = read("a.npz", _damaged_archive(rng, content))
    return "refused" if found is None else packed(found)


@target()
def npz_of_scipy(rng: np.random.Generator) -> str:
    stream = io.BytesIO()
    kind = str(rng.choice(["csr", "csc", "coo", "bsr", "dia"]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scipy.sparse.save_npz(stream, scipy.sparse.coo_array(small_matrix(rng).toarray()).asformat(kind))
    content = _damaged_archive(rng, stream.getvalue())
    found = read("s.npz", content)
    with contextlib.suppress(ValueError):
        W = cs.load(io.BytesIO(content))
        assert found is not None
        np.testing.assert_array_equal(W.toarray(), cs.ComplementaryMatrix(found["s"]).toarray())
        return packed(found)
    return "refused" if found is None else packed(found)


@target()
def saved(rng: np.random.Generator) -> str:
    stream = io.BytesIO()
    cs.save(stream, small_matrix(rng, str(rng.choice(["f8", "f4", "i1"]))))
    content = _damaged_archive(rng, stream.getvalue())
    found = read("w.npz", content)
    try:
        W = cs.load(io.BytesIO(content))
    except ValueError:
        return "refused"
    assert found is not None
    dense = W.toarray().astype(float)
    np.testing.assert_array_equal(dense.sum(axis=1), W @ np.ones(W.shape[1]))
    return packed(found)


JSON_TOKENS = [
    b"0",
    b"-1",
    b"1",
    b"24",
    b"1e9",
    b"NaN",
    b"9" * 30,
    b"9" * 5000,
    b"null",
    b"[]",
    b"{}",
    b"[" * 2000,
    b'"F32"',
]
JSON_TOKENS += [
    b'"I64"',
    b'"BF16"',
    b'"F4"',
    b'"shape":',
    b'"dtype":',
    b'"\\ud800":',
    b"18446744073709551615",
    b"[2,",
    b"true",
]


@target()
def safetensors(rng: np.random.Generator) -> str:
    header, content = {}, b""
    for name in range(int(rng.integers(1, 4))):
        dtype, size = [("F32", 4), ("F64", 8), ("BF16", 2), ("F16", 2), ("I8", 1)][int(rng.integers(5))]
        shape = [int(axis) for axis in rng.integers(0, 4, int(rng.integers(0, 4)))]
        count = int(np.prod(shape)) * size
        header[str(name)] = {"dtype": dtype, "shape": shape, "data_offsets": [len(content), len(content) + count]}
        content += rng.bytes(count)
    text = json.dumps(header).encode()
    if rng.random() < 0.6:
        text = retold(rng, text, JSON_TOKENS, 2)
    elif rng.random() < 0.5:
        text = damaged(rng, text, 3)
    whole = len(text).to_bytes(8, "little") + text + content
    found = read("t.safetensors", damaged(rng, whole, 2) if rng.random() < 0.2 else whole)
    return "refused" if found is None else packed(found)


@functools.cache
def _bombs() -> tuple[tuple[str, bytes], ...]:
    """Small files that expand: zeros, digits, and an .npz that declares nothing wrong."""
    zeros, digits = bytes(60_000_000), b"1 " * 30_000_000
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as out:
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, {"descr": "|b1", "fortran_order": False, "shape": (len(zeros), 1)})
        out.writestr("a.npy", header.getvalue() + zeros)
    return (
        ("a.npy.gz", gzip.compress(zeros)),
        ("m.mtx.gz", gzip.compress(digits)),
        ("s.smtx.gz", gzip.compress(digits)),
        ("t.safetensors.gz", gzip.compress(zeros)),
        ("a.npz", stream.getvalue()),
    )


@target(megabytes=512, seconds=60)
def bombs(rng: np.random.Generator) -> str:
    name, content = _bombs()[int(rng.integers(5))]
    found = read(name, content if rng.random() < 0.3 else damaged(rng, content, 2))
    assert found is None
    return "refused"


@target()
def gzipped(rng: np.random.Generator) -> str:
    content = gzip.compress(drawn_text(rng), 1)
    found = read("m.mtx.gz", damaged(rng, content, 3))
    return "refused" if found is None else packed(found)


@target()
def command_line(rng: np.random.Generator) -> str:
    """`info` of a damaged file: one line on stderr and status 2, or a table."""
    suffix, content = [(".mtx", drawn_text(rng)), (".npy", _npy(rng))][int(rng.integers(2))]
    out, err = io.StringIO(), io.StringIO()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, f"\x1b[31m{suffix}")
        with open(path, "wb") as stream:
            stream.write(damaged(rng, content, 1) if rng.random() < 0.7 else content)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = main(["info", path, "--json"])
    assert status in (0, 2)
    assert err.getvalue().count("\n") == (status == 2), err.getvalue()
    assert "\x1b" not in out.getvalue() + err.getvalue()
    return "read" if status == 0 else "refused"
