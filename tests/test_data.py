# SPDX-License-Identifier: BSD-3-Clause
"""Real matrices: pruned networks and SuiteSparse go in and out bit for bit, and multiply within the bound."""

import gzip

import numpy as np
import pytest
import scipy.io
import scipy.sparse
from numpy.testing import assert_array_equal
from oracle import Csr, assert_product, draw, expected, result_dtype

import complsparse as cs

pytestmark = pytest.mark.data


def files(folder, pattern):
    found = sorted(folder.glob(pattern))
    if not found:
        pytest.skip(f"not run: {folder} has no {pattern}")
    return found


def check_round_trip(A, W):
    """Structure, dtype and bits of the canonical CSR form."""
    canonical = scipy.sparse.csr_array(A, copy=True)
    canonical.sum_duplicates()
    back = W.tocsr()
    assert back.dtype == canonical.dtype
    assert back.shape == canonical.shape
    assert_array_equal(back.indptr, canonical.indptr)
    assert_array_equal(back.indices, canonical.indices)
    assert back.data.tobytes() == canonical.data.tobytes()
    assert cs.from_scipy(back).tocsr().data.tobytes() == back.data.tobytes()


def check_packing(W):
    assert W.n_sets >= W.lower_bound
    assert W.slots == W.n_sets * W.shape[1]
    if W.strategy == "strict":
        csr = W.tocsr()
        cs._core.check_packing(csr.indptr.astype(np.int64), csr.indices, *W.shape, W.set_ptr, W.row_order)


def check_products(W, seed, batches=(1, 16)):
    csr = W.tocsr() if W.dtype != np.float16 else W.astype(np.float32).tocsr()
    S = Csr(csr.data, csr.indices, csr.indptr, csr.shape)
    rng = np.random.default_rng(seed)
    dtype = W.dtype
    result = result_dtype(dtype, dtype)
    for n in batches:
        X = draw(rng, (W.shape[1], n), dtype)
        assert_product(cs.matmul(W, X), expected(S, X, result), result)
        Z = draw(rng, (n, W.shape[0]), dtype)
        assert_product(cs.matmul(Z, W), expected(S, Z, result, "X @ W"), result)


def read_smtx(path):
    with gzip.open(path, "rt") as lines:
        rows, cols, nnz = (int(part) for part in next(lines).split(","))
        indptr, indices = (np.array(next(lines).split(), dtype=np.int32) for _ in range(2))
    assert len(indptr) == rows + 1
    assert len(indices) == nnz
    values = np.random.default_rng(nnz).standard_normal(nnz).astype(np.float32)
    return scipy.sparse.csr_array((values, indices, indptr), shape=(rows, cols))


def test_pruned_networks(data_folder):
    """Patterns of a ResNet-50 and a transformer from the Deep Learning Matrix Collection."""
    for i, path in enumerate(files(data_folder / "dlmc" / "picks", "*.smtx.gz")):
        A = read_smtx(path)
        W = cs.from_scipy(A)
        check_round_trip(A, W)
        check_packing(W)
        check_products(W, i)


def read_lyra(path):
    def floats(kind):
        with gzip.open(path.with_name(path.name.replace("_weights", f"_{kind}"))) as raw:
            return np.frombuffer(raw.read(), "<f4")

    weights, mask, bias = (floats(kind) for kind in ("weights", "mask", "bias"))
    return (weights * mask).reshape(len(bias), -1), bias


def test_a_speech_vocoder(data_folder):
    """Layers in exact 4x4 blocks, with their biases."""
    for i, path in enumerate(files(data_folder / "lyra_wavegru" / "raw", "*_weights.raw.gz")):
        dense, bias = read_lyra(path)
        W = cs.from_dense(dense)
        assert_array_equal(W.toarray(), dense)
        check_round_trip(scipy.sparse.csr_array(dense), W)
        check_packing(W)
        check_products(W, i)
        assert W.block[0] % 4 == 0
        assert W.block[1] % 4 == 0
        csr = W.tocsr()
        S = Csr(csr.data, csr.indices, csr.indptr, csr.shape)
        x = draw(np.random.default_rng(i), W.shape[1], np.float32)
        actual = cs.linear(x, W, bias, activation="relu")
        assert_product(actual, expected(S, x, np.float32, "linear", bias, relu=True), np.float32)


@pytest.mark.parametrize("network", ["hand_landmark_sparse", "face_detection_full_range_sparse"])
def test_pruned_convolutions(data_folder, network):
    """Filters in float16, as (out, height * width * in); computed and returned in float32."""
    path = data_folder / "mediapipe_sparse" / f"{network}_decoded.npz"
    if not path.exists():
        pytest.skip(f"not run: {path} is absent")
    with np.load(path) as tensors:
        for i, name in enumerate(tensors.files):
            dense = tensors[name].reshape(tensors[name].shape[0], -1)
            W = cs.from_dense(dense)
            assert (W.dtype, W.nnz) == (np.float16, np.count_nonzero(dense))
            assert W.toarray().tobytes() == np.where(dense == 0, np.float16(0), dense).tobytes()
            check_products(W, i)


def test_suite_sparse(data_folder):
    for i, path in enumerate(files(data_folder / "mtx", "*.mtx")):
        A = scipy.io.mmread(path, spmatrix=False)
        if path.name == "young1c.mtx":
            assert A.dtype == np.complex128
            with pytest.raises(TypeError, match="complex128"):
                cs.from_scipy(A)
            continue
        before = (A.data.tobytes(), *(axis.tobytes() for axis in A.coords)) if scipy.sparse.issparse(A) else None
        W = cs.ComplementaryMatrix(A)
        check_round_trip(A, W)
        check_packing(W)
        check_products(W, i)
        for dtype in (np.float32, np.float64):
            check_products(W.astype(dtype), i, (1,))
        assert before == (A.data.tobytes(), *(axis.tobytes() for axis in A.coords))


@pytest.mark.filterwarnings("ignore")
def test_odd_matrix_market_files(data_folder):
    """What scipy reads goes in and out; what it refuses, or reads as something else, raises the usual errors."""
    for path in files(data_folder / "mtx" / "odd", "*.mtx"):
        try:
            A = scipy.io.mmread(path, spmatrix=False)
        except Exception:
            continue
        if not scipy.sparse.issparse(A):
            A = scipy.sparse.coo_array(A)
        W = cs.from_scipy(A)
        check_round_trip(A, W)
        check_products(W, 0)
