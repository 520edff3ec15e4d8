# SPDX-License-Identifier: BSD-3-Clause
"""Files: what is saved comes back, and no file that lies is believed."""

import errno
import gzip
import io
import json
import math
import os
import random
import stat
import subprocess
import sys
import threading
import tracemalloc
import warnings
import zipfile

import hypothesis.strategies as st
import numpy as np
import pytest
import scipy.io
import scipy.sparse as sp
import strategies as own
from hypothesis import HealthCheck, given, settings

import complsparse as cs
from complsparse._files import npz, saved, trust
from complsparse._files.readers import read_matrix

in_one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def W():
    D = np.array([[1.0, 0, 2, 0], [0, 3, 0, 0], [4, 0, 0, 5]])
    return cs.from_dense(D, strategy="strict")


# --- save and load ----------------------------------------------------------------------------------------------------


@in_one_folder
@given(own.triplets(), st.sampled_from(["auto", "strict", "split"]), st.booleans())
def test_saved_matrices_come_back(tmp_path, case, strategy, transposed):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        W = cs.ComplementaryMatrix(case[0], shape=case[1], strategy=strategy)
    V = W.T if transposed else W
    cs.save(tmp_path / "w.npz", V)
    back = cs.load(tmp_path / "w.npz")
    assert (back.shape, back.dtype, back.strategy, back.block) == (V.shape, V.dtype, V.strategy, V.block)
    assert own.same_bits(back.toarray(), V.toarray())
    assert back._packing == V._packing
    assert os.listdir(tmp_path) == ["w.npz"]


def test_numpy_reads_our_files(W, tmp_path):
    cs.save(str(tmp_path / "w.npz"), W)
    with np.load(tmp_path / "w.npz", allow_pickle=False) as members:
        assert members["format"].item() == "complsparse"
        assert members["version"].item() == 1
        assert set(members) == set(saved.MEMBERS) - {"dtype", "filter_shape", "scale"}  # some have more


def test_saving_replaces_at_once_or_not_at_all(W, tmp_path, monkeypatch):
    path = tmp_path / "w.npz"
    cs.save(path, W)
    before = path.read_bytes()

    def fail(*args, **kwargs):
        raise OSError(errno.ENOSPC, "no space left", "/some/temporary/name")

    monkeypatch.setattr(np, "savez", fail)
    with pytest.raises(OSError, match="no space") as caught:
        cs.save(path, W * 2)
    assert caught.value.filename == str(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["w.npz"]


def test_saving_flushes_the_file_and_its_folder(W, tmp_path, monkeypatch):
    done = []
    fsync, replace = os.fsync, os.replace

    def note(descriptor):
        done.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    monkeypatch.setattr(os, "replace", lambda *names: (done.append("rename"), replace(*names)))
    cs.save(tmp_path / "w.npz", W)
    assert done == ["file", "rename", "folder"]


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o640, 0o755])
def test_saving_keeps_the_mode(W, tmp_path, mode):
    path = tmp_path / "w.npz"
    path.touch()
    path.chmod(mode)
    cs.save(path, W)
    assert stat.S_IMODE(path.stat().st_mode) == mode
    cs.save(tmp_path / "new.npz", W)
    (tmp_path / "plain").touch()
    assert (tmp_path / "new.npz").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_nobody_else_reads_a_private_file_while_it_is_written(W, tmp_path, monkeypatch):
    path = tmp_path / "w.npz"
    path.touch()
    path.chmod(0o600)
    savez = np.savez
    modes = []

    def look(stream, **members):
        modes.extend(stat.S_IMODE(found.stat().st_mode) for found in tmp_path.iterdir())
        savez(stream, **members)

    monkeypatch.setattr(np, "savez", look)
    cs.save(path, W)
    assert modes == [0o600, 0o600]


def test_other_names_of_a_file_keep_what_they_had(W, tmp_path):
    cs.save(tmp_path / "first.npz", W)
    os.link(tmp_path / "first.npz", tmp_path / "second.npz")
    cs.save(tmp_path / "first.npz", W * 2)
    np.testing.assert_array_equal(cs.load(tmp_path / "first.npz").toarray(), 2 * W.toarray())
    np.testing.assert_array_equal(cs.load(tmp_path / "second.npz").toarray(), W.toarray())
    assert (tmp_path / "second.npz").stat().st_nlink == 1


def test_saving_follows_links(W, tmp_path):
    folder = tmp_path / "there"
    folder.mkdir()
    (tmp_path / "link.npz").symlink_to("there/w.npz")
    for _ in range(2):  # first the link leads nowhere
        cs.save(tmp_path / "link.npz", W)
        assert (tmp_path / "link.npz").is_symlink()
        assert os.listdir(folder) == ["w.npz"]
        assert cs.load(folder / "w.npz").nnz == W.nnz
    assert sorted(os.listdir(tmp_path)) == ["link.npz", "there"]


def test_devices_and_pipes_are_left_alone(W, tmp_path):
    os.mkfifo(tmp_path / "pipe.npz")
    (tmp_path / "null.npz").symlink_to(os.devnull)
    for name in ("pipe.npz", "null.npz"):
        with pytest.raises(ValueError, match=f"{name}: is not a regular file"):
            cs.save(tmp_path / name, W)
        with pytest.raises(ValueError, match=f"{name}: is not a regular file"):
            cs.load(tmp_path / name)
        with pytest.raises(ValueError, match=f"{name}: is not a regular file"):
            read_matrix(tmp_path / name)
    assert stat.S_ISFIFO((tmp_path / "pipe.npz").stat().st_mode)
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)
    for name in (tmp_path, tmp_path / "absent" / "w.npz", tmp_path / "pipe.npz" / "w.npz"):
        with pytest.raises(OSError, match=r": '.*'$") as caught:
            cs.save(name, W)
        assert caught.value.filename == str(name)
    assert sorted(os.listdir(tmp_path)) == ["null.npz", "pipe.npz"]


def test_file_objects(W, tmp_path):
    stream = io.BytesIO()
    cs.save(stream, W)
    with open(tmp_path / "w.npz", "wb") as file:
        cs.save(file, W)
    assert (tmp_path / "w.npz").read_bytes()[:4] == stream.getvalue()[:4] == b"PK\x03\x04"
    stream.seek(0)
    assert own.same_bits(cs.load(stream).toarray(), W.toarray())
    assert not stream.closed
    with open(tmp_path / "w.npz", "rb") as file:
        assert cs.load(file).nnz == W.nnz
    reader, writer = os.pipe()
    with open(writer, "wb") as file:  # which cannot seek
        cs.save(file, W)
    with open(reader, "rb") as file:
        assert cs.load(file).nnz == W.nnz
    with pytest.raises(ValueError, match="BytesIO: File is not a zip file"):
        cs.load(io.BytesIO(b"hello"))
    for call in (lambda f: cs.save(f, W), cs.load):
        with pytest.raises(TypeError, match="open the file in mode"):
            call(io.StringIO())
        with pytest.raises(TypeError):
            call(7.5)


def test_wrong_arguments(W, tmp_path):
    with pytest.raises(TypeError, match="takes a ComplementaryMatrix"):
        cs.save(tmp_path / "w.npz", W.tocsr())
    with pytest.raises(FileNotFoundError):
        cs.load(tmp_path / "absent.npz")
    with pytest.raises(FileNotFoundError):
        cs.save(tmp_path / "no" / "folder.npz", W)
    assert os.listdir(tmp_path) == []


def test_paths_that_also_read_and_write(W, tmp_path):
    """Some classes of paths have such methods, which take and give the content of the file they name."""

    class Path(type(tmp_path)):
        def read(self):
            raise AssertionError

        write = read

    cs.save(Path(tmp_path / "w.npz"), W)
    assert cs.load(Path(tmp_path / "w.npz")).nnz == W.nnz


# --- files that lie ---------------------------------------------------------------------------------------------------


def npy(array):
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def header(text, body=b"", version=1):
    text = text.encode("latin-1")
    size = len(text).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + size + text + body


def int64(*items):
    return np.array(items, dtype=np.int64)


def replaced(**members):
    """The members of an honest file, with some replaced: an array, the bytes of a member, or None to leave it out."""

    def make(honest):
        content = {name: npy(array) for name, array in honest.items()}
        for name, member in members.items():
            if member is None:
                del content[name]
            else:
                content[name] = member if isinstance(member, bytes) else npy(member)
        return archive(content)

    return make


def archive(content, compression=zipfile.ZIP_STORED):
    stream = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(stream, "w", compression) as out:
        warnings.simplefilter("ignore")
        for name, member in content.items():
            out.writestr(f"{name}.npy", member)
    return stream.getvalue()


def twice(honest):
    stream = io.BytesIO(replaced()(honest))
    with warnings.catch_warnings(), zipfile.ZipFile(stream, "a") as out:
        warnings.simplefilter("ignore")
        out.writestr("data.npy", npy(np.ones(5)))
    return stream.getvalue()


def patched(find, put):
    """The honest bytes with the last occurrence of `find` overwritten."""

    def make(honest):
        raw = replaced()(honest)
        at = raw.rindex(find)
        return raw[:at] + put + raw[at + len(put) :]

    return make


HUGE = 2**60
DATA = "{'descr': '<f8', 'fortran_order': False, 'shape': (%s,), }\n"
LIES = {
    "not a zip": (lambda h: b"hello", "not a zip"),
    "empty file": (lambda h: b"", "not a zip"),
    "empty zip": (lambda h: archive({}), "missing"),
    "cut in half": (lambda h: replaced()(h)[:800], "not a zip"),
    "end cut off": (lambda h: replaced()(h)[:-1], "not a zip"),
    "front cut off": (lambda h: replaced()(h)[70:], "."),
    "an array": (lambda h: npy(np.eye(3)), "not a zip"),
    "compressed": (lambda h: archive({k: npy(v) for k, v in h.items()}, zipfile.ZIP_DEFLATED), "compressed"),
    "a bit flipped": (patched(np.float64(5).tobytes(), np.float64(7).tobytes()), "CRC"),
    "member twice": (twice, "stands twice"),
    "member unknown": (replaced(extra=np.ones(3)), "'extra' is not known"),
    "member no array": (lambda h: archive({"readme.txt": b"hello"}), "not known|not an array"),
    "format": (replaced(format=np.array("scipy")), "format is 'scipy'"),
    "format of bytes": (replaced(format=np.array(b"complsparse")), "member 'format'"),
    "version": (replaced(version=np.int64(2)), "version 2 is not known"),
    "version missing": (replaced(version=None), "missing: version"),
    "data missing": (replaced(data=None), "missing: data"),
    "sets missing": (replaced(set_ptr=None), "missing keys"),
    "sets of split": (replaced(strategy=np.array("split")), "unknown keys"),
    "strategy": (replaced(strategy=np.array("best")), "strategy='best'"),
    "transposed": (replaced(transposed=np.int64(1)), "member 'transposed'"),
    "shape negative": (replaced(shape=int64(-3, 4)), "negative size"),
    "shape huge": (replaced(shape=int64(HUGE, 4)), "above 2"),
    "shape tall": (replaced(shape=int64(2**40, 4)), "rows need"),
    "shape of three": (replaced(shape=int64(3, 4, 1)), "3 axes"),
    "shape of one": (replaced(shape=int64(4)), "one axis"),
    "shape float": (replaced(shape=np.array([3.0, 4.0])), "member 'shape'"),
    "shape narrow": (replaced(shape=int64(3, 3)), "outside"),
    "block zero": (replaced(block=int64(0, 1)), "two positive"),
    "block of three": (replaced(block=int64(1, 1, 1)), "two positive"),
    "block does not fit": (replaced(block=int64(3, 1)), "does not consist"),
    "indptr descends": (replaced(indptr=int64(0, 3, 2, 5)), "descends"),
    "indptr short": (replaced(indptr=int64(0, 5)), "3 rows need 4"),
    "indptr 2-D": (replaced(indptr=int64(0, 2, 3, 5)[None]), "member 'indptr'"),
    "indptr int32": (replaced(indptr=np.array([0, 2, 3, 5], np.int32)), "indptr has dtype int32"),
    "indices out of range": (replaced(indices=np.array([0, 2, 1, 0, 4], np.int32)), "index 4"),
    "indices negative": (replaced(indices=np.array([0, 2, -1, 0, 3], np.int32)), "index -1"),
    "indices unsorted": (replaced(indices=np.array([2, 0, 1, 0, 3], np.int32)), "ascend"),
    "indices float": (replaced(indices=np.zeros(5)), "member 'indices'"),
    "data complex": (replaced(data=np.ones(5, complex)), "member 'data'"),
    "data object": (replaced(data=np.ones(5, object)), "not a plain number"),
    "data strings": (replaced(data=np.array(["a"] * 5)), "member 'data'"),
    "data records": (replaced(data=np.zeros(5, "i4,f4")), "not a plain number"),
    "data short": (replaced(data=np.ones(4)), "must agree"),
    "data big-endian": (replaced(data=np.ones(5, ">f8")), "foreign byte order"),
    "data Fortran": (replaced(data=header(DATA.replace("False", "True") % 5, bytes(40))), "Fortran order"),
    "data declared longer": (replaced(data=header(DATA % 6, bytes(40))), "takes 48 bytes, but there are 40"),
    "data declared shorter": (replaced(data=header(DATA % 4, bytes(40))), "takes 32 bytes, but there are 40"),
    "data declared huge": (replaced(data=header(DATA % HUGE, bytes(40))), "there are 40"),
    "data declared negative": (replaced(data=header(DATA % -5, bytes(40))), "negative size"),
    "npy magic": (replaced(data=b"\x93NUMBY" + npy(np.ones(5))[6:]), "magic"),
    "npy version": (replaced(data=npy(np.ones(5))[:6] + b"\x09\x00" + npy(np.ones(5))[8:]), "version"),
    "npy empty": (replaced(data=b""), "magic"),
    "npy header no dict": (replaced(data=header("[1, 2]\n")), "dict"),
    "npy header code": (replaced(data=header("__import__('os')\n")), "header cannot be read"),
    "npy header deep": (replaced(data=header("(" * 3000 + "\n")), "."),
    "npy header long": (replaced(data=header(DATA % 5 + " " * 5000, bytes(40))), "."),
    "npy header dtype": (replaced(data=header(DATA.replace("<f8", "<q9") % 5, bytes(40))), "dtype"),
    "npy header shape long": (replaced(data=header(DATA % ("9" * 400))), "is not a shape"),
    "npy header shape endless": (replaced(data=header("{'shape': (3, 4, 2, " + "9" * 3000 + " }")), "cannot be read"),
    "npy header v2 cut": (replaced(data=b"\x93NUMPY\x02\x00\xff\xff\xff\xff{"), "."),
    "sets share a column": (replaced(set_ptr=int64(0, 3)), "disjoint rows"),
    "sets twice a row": (replaced(row_order=int64(0, 0, 1)), "listed twice"),
    "encrypted": (patched(b"PK\x01\x02\x14\x03\x14\x00\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01\x00"), "."),
    "size of a member": (patched(b"version.npy", b"versiom.npy"), "."),
}


@pytest.fixture(scope="module")
def honest():
    D = np.array([[1.0, 0, 2, 0], [0, 3, 0, 0], [4, 0, 0, 5]])
    W = cs.from_dense(D, strategy="strict")
    state = {"format": np.array("complsparse"), "version": np.int64(1), **W._state()}
    return {name: int64(*value) if isinstance(value, tuple) else np.asarray(value) for name, value in state.items()}


def test_the_honest_file_loads(honest, tmp_path):
    (tmp_path / "w.npz").write_bytes(replaced()(honest))
    assert cs.load(tmp_path / "w.npz").nnz == 5


@pytest.mark.parametrize("name", LIES)
def test_files_that_lie_are_refused_in_one_line(name, honest, tmp_path):
    make, match = LIES[name]
    path = tmp_path / "w.npz"
    path.write_bytes(make(honest))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=match) as caught:
            cs.load(path)
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    with pytest.raises((ValueError, TypeError)) as caught:
        read_matrix(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_random_damage_never_gets_through(W, tmp_path):
    path = tmp_path / "w.npz"
    cs.save(path, W)
    raw = path.read_bytes()
    rng = random.Random(5)
    for _ in range(400):
        damaged = bytearray(raw)
        for _ in range(rng.choice([1, 2, 5])):
            damaged[rng.randrange(len(raw))] = rng.randrange(256)
        path.write_bytes(damaged)
        try:
            found = cs.load(path)
        except ValueError:
            continue
        np.testing.assert_array_equal(found.toarray(), W.toarray())  # damage to bytes that mean nothing


# --- other people's files ---------------------------------------------------------------------------------------------


@in_one_folder
@given(own.scipy_matrices(formats=st.sampled_from(["csr", "csc", "coo", "bsr", "dia"])), st.booleans())
def test_files_of_scipy(tmp_path, A, compressed):
    sp.save_npz(tmp_path / "s.npz", A, compressed=compressed)
    found = read_matrix(tmp_path / "s.npz")
    assert list(found) == ["s"]
    expected = sp.csr_array(A.tocsr())
    expected.sort_indices()
    assert own.same_bits(found["s"].data, expected.data)
    np.testing.assert_array_equal(found["s"].indices, expected.indices)


def test_hostile_file_of_scipy(tmp_path):
    path = tmp_path / "s.npz"
    honest_ = {"format": np.array(b"csr"), "shape": int64(2, 3), "data": np.ones(2)}
    for indptr, indices in [
        ([0, 1, 2], [0, 2**30]),
        ([0, 2**31 - 1, -1], [0, 1]),
        ([0, 1, 2, 2], [0, 1]),
        ([0, 2, 1], [0, 1]),
    ]:
        np.savez(path, **honest_, indptr=np.array(indptr, np.int32), indices=np.array(indices, np.int32))
        with pytest.raises(ValueError, match=r"s\.npz: "):
            read_matrix(path)
    np.savez(path, **{**honest_, "format": np.array(b"xyz")})
    with pytest.raises(ValueError, match="format 'xyz' is not known"):
        read_matrix(path)
    np.savez(path, **honest_)
    with pytest.raises(ValueError, match="no member 'indptr'"):
        read_matrix(path)


def test_files_of_arrays(tmp_path):
    conv = np.arange(24, dtype=np.float16).reshape(2, 3, 1, 4)
    np.savez_compressed(tmp_path / "net.npz", conv=conv, bias=np.ones(3), dense=np.eye(3, order="F"))
    found = read_matrix(tmp_path / "net.npz")
    assert set(found) == {"conv", "dense"}
    assert found["conv"].dtype == np.float32
    np.testing.assert_array_equal(found["conv"], conv.reshape(2, 12))
    assert set(read_matrix(tmp_path / "net.npz", tensor="dense")) == {"dense"}
    with pytest.raises(ValueError, match="holds no matrix 'x'; there are conv, dense"):
        read_matrix(tmp_path / "net.npz", tensor="x")
    for name, array in [("c", np.eye(3)), ("f", np.asfortranarray(np.ones((2, 3)))), ("b", np.ones((2, 2), ">f4"))]:
        np.save(tmp_path / f"{name}.npy", array)
        np.testing.assert_array_equal(read_matrix(tmp_path / f"{name}.npy")[name], array)
    np.save(tmp_path / "v.npy", np.ones(3))
    with pytest.raises(ValueError, match="is not a matrix"):
        read_matrix(tmp_path / "v.npy")
    np.save(tmp_path / "o.npy", np.ones((2, 2), object))
    with pytest.raises(ValueError, match="not a plain number"):
        read_matrix(tmp_path / "o.npy")
    np.save(tmp_path / "z.npy", np.ones((2, 2), complex))
    with pytest.raises(TypeError, match=r"z\.npy: complex128"):
        read_matrix(tmp_path / "z.npy")


@pytest.mark.parametrize("packed", [False, True])
def test_every_kind_also_gzipped(W, tmp_path, packed):
    safetensors = pytest.importorskip("safetensors.numpy")
    D = W.toarray()
    cs.save(tmp_path / "a.npz", W)
    np.save(tmp_path / "b.npy", D)
    scipy.io.mmwrite(tmp_path / "c.mtx", W.tocoo())
    (tmp_path / "d.smtx").write_text("3, 4, 5\n0 2 3 5\n0 2 1 0 3\n")
    safetensors.save_file({"w": D, "bias": np.ones(3), "ids": np.ones((2, 2), int)}, tmp_path / "e.safetensors")
    for name, key in [("a.npz", "a"), ("b.npy", "b"), ("c.mtx", "c"), ("d.smtx", "d"), ("e.safetensors", "w")]:
        path = tmp_path / name
        if packed:
            path = tmp_path / f"{name}.gz"
            path.write_bytes(gzip.compress((tmp_path / name).read_bytes()))
        found = read_matrix(path)
        assert list(found) == [key]
        V = cs.ComplementaryMatrix(found[key])
        if name == "d.smtx":
            np.testing.assert_array_equal(V.toarray() != 0, D != 0)
            assert own.same_bits(V._data, cs.ComplementaryMatrix(read_matrix(path, seed=0)[key])._data)
            assert not own.same_bits(V._data, cs.ComplementaryMatrix(read_matrix(path, seed=1)[key])._data)
        else:
            np.testing.assert_array_equal(V.toarray(), D)


BAD_TEXT = {
    "m.mtx": [
        ("", "."),
        ("hello\n", "line 1 is not"),
        ("%%MatrixMarket matrix coordinate real general\n3 3 2\n1 1 1\n", "."),
        ("%%MatrixMarket matrix coordinate real general\n3 3 1\n4 1 1\n", "."),
        ("%%MatrixMarket matrix coordinate real general\n3 3 99999999999\n1 1 1\n", "declares 99999999999 entries"),
        ("%%MatrixMarket matrix array real general\n999999 999999\n1\n", "declares 999998000001 entries"),
        ("%%MatrixMarket matrix coordinate real general\n-3 3 1\n1 1 1\n", "."),
        ("%%MatrixMarket matrix coordinate real general\n3 3 1\n1 1 x\n", "line 3"),
    ],
    "s.smtx": [
        ("", "fewer than 3 lines"),
        ("1, 2\n0 0\n\n", "line 1 holds 2"),
        ("2, 2, 2\n0 1 2\n0\n", "declares 2 non-zeros"),
        ("2, 2, 2\n0 1\n0 1\n", "2 rows need 3"),
        ("2, 2, 2\n0 1 2\n0 2\n", "index 2"),
        ("2, 2, 2\n0 1 2\n0 x\n", "."),
        ("2, 2, 2\n0 1 2\n0 99999999999999999999\n", "."),
        ("2, 2, 2\n0 1 2\n0 1\n7\n", "more than 3 lines"),
    ],
    "t.safetensors": [("", "."), ("\x05", "."), ("\x08\x00\x00\x00\x00\x00\x00\x00{}      ", "no matrix")],
    "x.npz.gz": [("hello", "."), ("", ".")],
    "x.txt": [("1 2", "suffix '.txt' is not known")],
}


@pytest.mark.parametrize(("name", "text", "match"), [(n, t, m) for n, cases in BAD_TEXT.items() for t, m in cases])
def test_bad_files_give_one_line(tmp_path, name, text, match):
    if name.endswith("safetensors"):
        pytest.importorskip("safetensors")
    path = tmp_path / name
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=match) as caught:
        read_matrix(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_complex_matrix_market_is_a_type_error(tmp_path):
    scipy.io.mmwrite(tmp_path / "c.mtx", sp.coo_array(np.eye(2) * 1j))
    with pytest.raises(TypeError, match=r"c\.mtx: complex128 is not supported.*A\.real and A\.imag"):
        read_matrix(tmp_path / "c.mtx")


def assert_round_trip(matrix):
    """Every strategy gives back what scipy makes of the matrix, bit for bit."""
    expected = sp.csr_array(matrix)
    expected.sum_duplicates()
    for strategy in ("auto", "split"):
        found = cs.ComplementaryMatrix(matrix, strategy=strategy).tocsr()
        assert own.same_bits(found.data, expected.data)
        np.testing.assert_array_equal(found.indices, expected.indices)
        np.testing.assert_array_equal(found.indptr, expected.indptr)


@pytest.mark.data
@pytest.mark.parametrize("pattern", ["dlmc/picks/*.smtx.gz", "mediapipe_sparse/*_decoded.npz", "mtx/*.mtx"])
def test_real_matrices_round_trip(data_folder, pattern):
    paths = sorted(data_folder.glob(pattern))
    assert paths
    for path in paths:
        if path.name == "young1c.mtx":
            with pytest.raises(TypeError, match="complex128 is not supported"):
                read_matrix(path)
            continue
        for matrix in read_matrix(path).values():
            assert_round_trip(matrix)


def bool_array(rows, cols, fill):
    return header(f"{{'descr': '|b1', 'fortran_order': False, 'shape': ({rows}, {cols}), }}\n") + fill


@pytest.mark.parametrize("name", ["b.npy.gz", "b.mtx.gz", "b.smtx.gz", "b.safetensors.gz", "b.npz"])
def test_bombs_are_not_unpacked(tmp_path, monkeypatch, name):
    monkeypatch.setattr(trust, "EXPANDED", (100_000, 2))
    if name == "b.npz":
        content = archive({"a": bool_array(1000, 1000, bytes(1_000_000))}, zipfile.ZIP_DEFLATED)
    else:
        content = gzip.compress(bytes(1_000_000))
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"{len(content)} bytes expand to more than {100_000 + 2 * len(content)}, "):
        read_matrix(tmp_path / name)


COO = {"format": np.array(b"coo"), "shape": int64(2**40, 3), "row": int64(0), "col": int64(0), "data": np.ones(1)}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("m.mtx", b"%%MatrixMarket matrix coordinate real general\n30000000 3 1\n1 1 1.5\n"),
        ("m.mtx", b"%%MatrixMarket matrix coordinate real general\n3 99999999999999 1\n1 1 1.5\n"),
        ("m.mtx", b"%%MatrixMarket matrix array real general\n30000000 0\n"),
        ("a.npy", bool_array(2**40, 0, b"")),
        ("a.npy", bool_array(0, 2**40, b"")),
        ("a.npz", archive({"a": bool_array(2**40, 0, b"")})),
        ("s.smtx", b"1, 99999999999999, 1\n0 1\n5\n"),
        ("z.npz", {**COO, "shape": int64(3, 2**40)}),
        ("z.npz", {**COO, "format": np.array(b"csr"), "indptr": int64(0), "indices": int64()}),
    ],
)
def test_shapes_out_of_proportion_are_refused_before_they_take_memory(tmp_path, name, content):
    content = archive({key: npy(item) for key, item in content.items()}) if isinstance(content, dict) else content
    (tmp_path / name).write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"rows and columns may be \d+, 2\*\*20 \+ 4 for each byte|above 2"):
            read_matrix(tmp_path / name)
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


UNDER_A_LIMIT = """
import resource, sys
import complsparse as cs
from complsparse._files.readers import read_matrix
with open("/proc/self/statm") as stream:
    pages = int(stream.read().split()[0])
limit = pages * resource.getpagesize() + (int(sys.argv[2]) << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
(matrix,) = read_matrix(sys.argv[1]).values()
print(cs.ComplementaryMatrix(matrix).nnz)
"""


@pytest.mark.budget
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc and limits address space")
@pytest.mark.parametrize("name", ["w.npy.gz", "w.smtx.gz", "w.mtx.gz"])
def test_what_the_largest_of_small_files_take(tmp_path, name):
    """40 bytes of memory for each byte that the smallest files may expand to."""
    expanded = trust.EXPANDED[0]
    size = math.isqrt(expanded) - 10
    lists = [b" ".join([b"0"] * 1_000_000 + [b"%d"]), b" ".join([b"0"] * (expanded // 2 - 1_000_100))]
    nnz = expanded // 2 - 1_000_100
    content, wanted = {
        "w.npy.gz": (bool_array(size, size, b"\1" * size * size), size * size),
        "w.smtx.gz": (b"1000000 3 %d\n%b\n%b\n" % (nnz, lists[0] % nnz, lists[1]), 1),
        "w.mtx.gz": (b"%%%%MatrixMarket matrix array integer general\n%d 100\n" % (nnz // 100) + b"1\n" * nnz, nnz),
    }[name]
    if name == "w.mtx.gz":
        wanted = nnz // 100 * 100
        content = content[: len(content) - 2 * (nnz - wanted)]
    (tmp_path / name).write_bytes(gzip.compress(content, 9))
    assert (tmp_path / name).stat().st_size < 100_000
    command = [sys.executable, "-c", UNDER_A_LIMIT, str(tmp_path / name), str(40 * expanded >> 20)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert done.stdout.strip() == str(wanted), done.stderr


def test_a_shortage_of_memory_is_called_that(W, tmp_path, monkeypatch):
    cs.save(tmp_path / "w.npz", W)
    empty = np.empty

    def short(shape, *args, **kwargs):
        if np.prod(shape) >= W.nnz:
            raise MemoryError("Unable to allocate 40 bytes")
        return empty(shape, *args, **kwargs)

    monkeypatch.setattr(npz.np, "empty", short)
    for read in (cs.load, read_matrix):
        with pytest.raises(MemoryError, match=r"w\.npz: Unable to allocate 40 bytes"):
            read(tmp_path / "w.npz")


@pytest.mark.parametrize("point", [0x110000, 0xFFFFFFFF, 0xD800])
@pytest.mark.parametrize("member", ["format", "strategy"])
def test_text_of_no_characters(honest, tmp_path, member, point):
    text = np.array([point], np.uint32).view("U1").reshape(())
    (tmp_path / "w.npz").write_bytes(replaced(**{member: text})(honest))
    for read in (cs.load, read_matrix):
        with pytest.raises(ValueError, match=rf"w\.npz: {member}: the text holds {point:#x}, which is no character"):
            read(tmp_path / "w.npz")


@pytest.mark.parametrize("kind", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compression_that_numpy_does_not_write(tmp_path, kind):
    (tmp_path / "a.npz").write_bytes(archive({"a": npy(np.eye(3))}, kind))
    with pytest.raises(ValueError, match="'a' is compressed in a way"):
        read_matrix(tmp_path / "a.npz")


@pytest.mark.parametrize("format_", ["csr", "csc", "coo", "bsr", "dia"])
@pytest.mark.parametrize("compressed", [False, True])
def test_load_reads_files_of_scipy(tmp_path, format_, compressed):
    D = np.kron(np.eye(4), [[1.0, 2], [0, 3]])
    sp.save_npz(tmp_path / "s.npz", sp.coo_array(D).asformat(format_), compressed=compressed)
    np.testing.assert_array_equal(cs.load(tmp_path / "s.npz").toarray(), D)


def test_headers_of_other_writers(tmp_path):
    """Any order of the entries, any blanks, the long integers of Python 2."""
    body = np.arange(6.0).reshape(2, 3)
    for text in (
        "{'shape': (2L, 3L), 'fortran_order': False, 'descr': '<f8'}",
        "{ 'descr' : '<f8' , 'shape':(2,3,),'fortran_order':False }",
    ):
        (tmp_path / "a.npy").write_bytes(header(text, body.tobytes(), version=2))
        np.testing.assert_array_equal(read_matrix(tmp_path / "a.npy")["a"], body)


# --- safetensors ------------------------------------------------------------------------------------------------------


def tensors(header_, content=b"", length=None):
    text = header_ if isinstance(header_, bytes) else json.dumps(header_).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + content


def tensor(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


F23 = tensor("F32", [2, 3], 0, 24)
BAD_TENSORS = {
    "header beyond the end": (tensors({"a": F23}, bytes(24), length=10_000), "declares a header of 10000 bytes"),
    "header huge": (tensors({"a": F23}, bytes(24), length=2**64 - 1), "declares a header of"),
    "no JSON": (tensors(b"{'a': 1}"), "is not JSON"),
    "no UTF-8": (tensors(b'{"\xff": 1}'), "is not JSON"),
    "deep": (tensors(b"[" * 100_000), "."),
    "long number": (tensors(b'{"a": ' + b"9" * 5000 + b"}"), "."),
    "list": (tensors([1]), "not an object"),
    "twice": (tensors(b'{"a": {}, "a": {}}'), "twice"),
    "no shape": (tensors({"a": {"dtype": "F32", "data_offsets": [0, 0]}}), "is not described by"),
    "dtype": (tensors({"a": tensor("F33", [2, 3], 0, 24)}, bytes(24)), "dtype that is not known: 'F33'"),
    "dtype a number": (tensors({"a": tensor(7, [2, 3], 0, 24)}, bytes(24)), "not known: 7"),
    "negative size": (tensors({"a": tensor("F32", [-2, -3], 0, 24)}, bytes(24)), "not lists of sizes"),
    "bool size": (tensors({"a": tensor("F32", [True, 6], 0, 24)}, bytes(24)), "not lists of sizes"),
    "float size": (tensors({"a": tensor("F32", [2.0, 3], 0, 24)}, bytes(24)), "not lists of sizes"),
    "shape beyond": (tensors({"a": tensor("F32", [2**40, 2**40], 0, 24)}, bytes(24)), "does not take 24 bytes"),
    "offsets": (tensors({"a": tensor("F32", [2, 3], 4, 28)}, bytes(28)), "begins at byte 4, not 0"),
    "overlap": (tensors({"a": F23, "b": F23}, bytes(24)), "'b' begins at byte 0, not 24"),
    "rest": (tensors({"a": F23}, bytes(25)), "declares 24 bytes of tensors, but has 25"),
    "short": (tensors({"a": F23}, bytes(23)), "declares 24 bytes of tensors, but has 23"),
    "tall": (tensors({"a": tensor("F32", [2**40, 0], 0, 0)}), "rows and columns may be"),
}


@pytest.mark.parametrize("name", BAD_TENSORS)
def test_tensors_that_lie(tmp_path, name):
    content, match = BAD_TENSORS[name]
    (tmp_path / "t.safetensors").write_bytes(content)
    with pytest.raises(ValueError, match=match) as caught:
        read_matrix(tmp_path / "t.safetensors")
    assert str(caught.value).startswith(f"{tmp_path / 't.safetensors'}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_tensors_of_the_package(tmp_path, dtype):
    package = pytest.importorskip("safetensors.numpy")
    D = np.random.default_rng(2).normal(size=(5, 2, 3)).astype(dtype)
    arrays = {"w": D, "empty": D[:0], "bias": D[0, 0], "ids": np.arange(6).reshape(2, 3), "flag": np.ones((1, 1), bool)}
    package.save_file(arrays, tmp_path / "t.safetensors", metadata={"format": "np"})
    found = read_matrix(tmp_path / "t.safetensors")
    assert set(found) == {"w", "empty"}
    assert found["w"].dtype == (np.float32 if dtype == "float16" else np.dtype(dtype))
    np.testing.assert_array_equal(found["w"], D.reshape(5, 6))


def test_bfloat16_tensors(tmp_path):
    values = np.array([[1.5, -0.0], [np.inf, 2.0**-130]], np.float32)
    upper = (values.view(np.uint32) >> 16).astype("<u2")
    (tmp_path / "t.safetensors").write_bytes(tensors({"a": tensor("BF16", [2, 2], 0, 8)}, upper.tobytes()))
    assert read_matrix(tmp_path / "t.safetensors")["a"].tobytes() == values.tobytes()


# --- many at once -----------------------------------------------------------------------------------------------------


def test_two_threads_save_the_same_path(W, tmp_path):
    threads = [threading.Thread(target=cs.save, args=(tmp_path / "w.npz", W * k)) for k in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cs.load(tmp_path / "w.npz").nnz == W.nnz
    assert os.listdir(tmp_path) == ["w.npz"]
