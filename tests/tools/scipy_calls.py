# SPDX-License-Identifier: BSD-3-Clause
"""What becomes of calls on a `csr_array` when it is a ComplementaryMatrix: docs/guide/scipy-calls.md.

``python tests/tools/scipy_calls.py > docs/guide/scipy-calls.md`` writes it; tests/test_scipy_calls.py keeps it true.
"""

import copy
import io
import operator
import pickle
import textwrap
import warnings
from fractions import Fraction

import numpy as np
import scipy
import scipy.linalg
import scipy.sparse as sp
import scipy.sparse.csgraph as csgraph
import scipy.sparse.linalg as linalg

import complsparse as cs

CALLS = {
    "Operators": """
        A + 0; A + 2; 2 + A; A + D; D + A; A + S; S + A; A + V; A + [1]; A + None; A - 0; A - 2; 2 - A; A - D
        D - A; A - S; S - A; A - V; A * 2; 2 * A; A * 2.5; A * True; A * np.float32(2); np.float64(2) * A; A * 2j
        A * D; D * A; A * x; x * A; A * S; S * A; A * V; A * "a"; A * None; A * Fraction(1, 3); A * memoryview(x)
        A / 2; A / 2j; A / D; A / S; 2 / A; D / A; S / A; A ** 2; A ** 0.5; A ** 0; 2 ** A; A @ x; x @ A; A @ X
        X.T @ A; A @ x.tolist(); A @ c; c @ A; A @ np.stack([X, X]); A @ 2; 2 @ A; A @ None; A @ S; S @ A; A @ V
        A @ M; M @ A; A @ sp.coo_array(x); sp.coo_array(x) @ A; A @ S.astype(complex); -A; +A; abs(A); round(A, 1)
        ~A; A // 2; A % 2; A == 0; A == 1; A == D; A == S; A == V; A == None; A != 0; A != S; A < 1; A < D; A > 0.5
        A > S; A <= 0.5; A >= D; bool(A); len(A); hash(A); list(A); 0.5 in A
    """,
    "Edits": """
        A += S; A += V; A -= V; A *= 2; A /= 2; A @= S; A **= 2; A[0, 0] = 1; A[0] = 1; A.data[:] = 1; A.setdiag(1)
        A.resize(3, 3); A.shape = (144,); A.dtype = np.float32; A.eliminate_zeros(); A.sum_duplicates()
        A.sort_indices(); A.prune(); D += A; D *= A; D @= A
    """,
    "Elements": """
        A[0, 0]; A[0]; A[-1]; A[:, 1]; A[1:5]; A[1:9:2, ::3]; A[[1, 2]]; A[[1, 2], [3, 4]]
        A[np.ix_([1, 2], [3, 4])]; A[D > 0.5]; A[A > 0.5]; A[..., 0]; A[None]; A[99, 0]; A["a"]
    """,
    "Attributes": """
        A.shape; A.ndim; A.dtype; A.nnz; A.size; A.format; A.T; A.mT; A.data; A.indices; A.indptr; A.real; A.imag
        A.has_sorted_indices; A.has_canonical_format; A.nbytes; A.device; isinstance(A, sp.sparray)
    """,
    "Methods": """
        A.toarray(); A.toarray(order="F"); A.todense(); A.toarray(out=np.zeros((12, 12))); A.tocsr(); A.tocsc()
        A.tocoo(); A.tobsr(); A.todia(); A.todok(); A.tolil(); A.asformat("csc"); A.asformat("array")
        A.asformat("xyz"); A.copy(); A.astype(np.float32); A.astype(int); A.astype(bool); A.astype(complex)
        A.transpose(); A.transpose((1, 0)); A.transpose((0, 1)); A.reshape(6, 24); A.reshape(12, 12)
        A.reshape(5, 5); A.conj(); A.conjugate(); A.sum(); A.sum(0); A.sum(axis=1); A.sum(axis=-1)
        A.sum(axis=(0, 1)); A.sum(2); A.sum(dtype=np.float32); A.mean(); A.mean(0); A.mean(1); A.max()
        A.max(axis=0); A.max(axis=1).toarray(); A.min(); A.min(axis=0); A.nanmax(); A.nanmin(axis=1); A.argmax()
        A.argmax(axis=1); A.argmin(); A.argmin(axis=0); A.diagonal(); A.diagonal(2); A.diagonal(99); A.trace()
        A.trace(1); A.nonzero(); A.count_nonzero(); A.count_nonzero(axis=0); A.dot(2); A.dot(x); A.dot(X); A.dot(S)
        A.dot(V); A.multiply(2); A.multiply(D); A.multiply(x); A.multiply(S); A.multiply(V); A.maximum(0.5)
        A.maximum(-0.5); A.maximum(D); A.maximum(S); A.minimum(0.5); A.minimum(S); A.power(2); A.power(0)
        A.power(2, dtype=np.float32); A.sqrt(); A.sign(); A.sin(); A.tan(); A.arcsin(); A.arctan(); A.sinh()
        A.tanh(); A.arcsinh(); A.arctanh(); A.rint(); A.expm1(); A.log1p(); A.deg2rad(); A.rad2deg(); A.floor()
        A.ceil(); A.trunc(); copy.copy(A); copy.deepcopy(A); pickle.loads(pickle.dumps(A))
    """,
    "NumPy's ufuncs": """
        np.add(A, S); np.add(D, A); np.subtract(A, D); np.multiply(A, 2); np.multiply(A, D); np.divide(A, 2)
        np.negative(A); np.absolute(A); np.conjugate(A); np.sqrt(A); np.sin(A); np.sign(A); np.floor(A)
        np.expm1(A); np.tanh(A); np.cos(A); np.exp(A); np.power(A, 2); np.equal(A, D); np.less(A, 1)
        np.maximum(A, S); np.isnan(A); np.square(A); np.matmul(A, x); np.matmul(A, X); np.matmul(X.T, A)
        np.matmul(A, S); np.matmul(A, X, out=np.empty((12, 3))); np.add.reduce(A); np.add.outer(A, x)
    """,
    "NumPy's functions": """
        np.shape(A); np.ndim(A); np.size(A); np.sum(A); np.sum(A, axis=0); np.mean(A); np.max(A); np.min(A, axis=1)
        np.argmax(A); np.nonzero(A); np.reshape(A, (6, 24)); np.transpose(A); np.real(A); np.imag(A)
        np.iscomplexobj(A); np.round(A, 1); np.around(A); np.copy(A); np.trace(A); np.diagonal(A)
        np.count_nonzero(A); np.dot(A, x); np.dot(x, A); np.dot(A, X); np.dot(A, 2); np.inner(A, x)
        np.linalg.norm(A); np.array_equal(A, D); np.array_equal(A, A); np.result_type(A); np.can_cast(A, float)
        np.isscalar(A); np.asarray(A).dtype; np.ravel(A); np.vstack([A, A]); np.concatenate([A, A])
        np.zeros_like(A); np.allclose(A, A); np.clip(A, 0, 1); np.kron(A, A); np.einsum("ij,j", A, x)
        np.tensordot(A, X, 1); np.outer(A, x); np.where(A); np.linalg.solve(A, x); np.linalg.det(A); np.std(A)
        np.cumsum(A); np.sort(A); np.unique(A)
    """,
    "scipy.sparse": """
        sp.issparse(A); sp.csr_array(A); sp.csc_array(A); sp.coo_array(A); sp.bsr_array(A); sp.dia_array(A)
        sp.dok_array(A); sp.lil_array(A); sp.csr_matrix(A); sp.vstack([A, S]); sp.hstack([S, A])
        sp.block_array([[A, None], [None, S]]); sp.block_diag([A, S]); sp.kron(A, S); sp.kronsum(A, S); sp.find(A)
        sp.tril(A); sp.triu(A, 1); sp.save_npz(BytesIO(), A)
    """,
    "scipy.sparse.linalg": """
        linalg.spsolve(A, x); linalg.spsolve(A, X); linalg.spsolve(A, c); linalg.spsolve(A, sp.csc_array(X))
        linalg.splu(A).solve(x); linalg.spilu(A).solve(x); linalg.factorized(A)(x)
        linalg.spsolve_triangular(sp.tril(A).tocsr(), x); linalg.inv(A); linalg.expm(A); linalg.matrix_power(A, 3)
        linalg.expm_multiply(A, x); linalg.expm_multiply(A, X); linalg.norm(A); linalg.norm(A, 1)
        linalg.norm(A, np.inf); linalg.norm(A, axis=1); linalg.onenormest(A); linalg.is_sptriangular(A)
        linalg.spbandwidth(A); linalg.eigs(A, k=2, v0=x)[0]; linalg.eigsh(A + A.T, k=2, v0=x)[0]
        linalg.lobpcg(A + A.T, X, tol=1e-9)[0]; linalg.eigsh(A, k=2, v0=x)[0]
        linalg.lobpcg(A, X, tol=1e-9, maxiter=99)[0]; linalg.svds(A, k=2, v0=x, return_singular_vectors=False)
        linalg.aslinearoperator(A) @ x; linalg.lsqr(A, x)[0]; linalg.lsmr(A, x)[0]; linalg.cg(A, x, rtol=1e-9)[0]
        linalg.cgs(A, x, rtol=1e-9)[0]; linalg.bicg(A, x, rtol=1e-9)[0]; linalg.bicgstab(A, x, rtol=1e-9)[0]
        linalg.gmres(A, x, rtol=1e-9)[0]; linalg.lgmres(A, x, rtol=1e-9)[0]; linalg.gcrotmk(A, x, rtol=1e-9)[0]
        linalg.minres(A, x, rtol=1e-9)[0]; linalg.qmr(A, x, rtol=1e-9)[0]; linalg.tfqmr(A, x, rtol=1e-9)[0]
        linalg.use_solver(useUmfpack=False); linalg.funm_multiply_krylov(scipy.linalg.expm, A, x, t=0.1)
    """,
    "scipy.sparse.csgraph": """
        csgraph.connected_components(A); csgraph.laplacian(A); csgraph.shortest_path(A); csgraph.dijkstra(A)
        csgraph.floyd_warshall(A); csgraph.bellman_ford(A); csgraph.johnson(A); csgraph.yen(A, 0, 5, 2)
        csgraph.breadth_first_order(A, 0); csgraph.depth_first_order(A, 0); csgraph.breadth_first_tree(A, 0)
        csgraph.depth_first_tree(A, 0); csgraph.minimum_spanning_tree(A); csgraph.reverse_cuthill_mckee(A)
        csgraph.maximum_bipartite_matching(A); csgraph.min_weight_full_bipartite_matching(A)
        csgraph.structural_rank(A); csgraph.maximum_flow(A.astype(np.int32), 0, 11).flow_value
        csgraph.construct_dist_matrix(A, csgraph.shortest_path(S, return_predecessors=True)[1])
        csgraph.csgraph_to_dense(A); csgraph.csgraph_to_masked(A).filled(0); csgraph.csgraph_from_dense(A)
        csgraph.reconstruct_path(A, csgraph.breadth_first_order(S, 0)[1])
    """,
}

# Why an outcome is another one: the first whose words are part of the call. A call without a reason is a fault.
IMMUTABLE = "immutable: the packing is fixed; edit `A.tocsr()`, or give new values with `with_values`"
FORMAT = "SciPy takes its own formats only: pass `A.tocsr()`, as the error says"
CSGRAPH = "csgraph takes csr, csc or lil here: pass `A.tocsr()`"
NUMPY = "of a csr_array NumPy makes an array of one object; here it is answered, or refused with words"
UFUNC = "of a csr_array NumPy computes with one object and fails, or gives an array of objects"
REASONS = {
    "A.data[": IMMUTABLE,
    "A[0": IMMUTABLE,
    "setdiag": IMMUTABLE,
    "resize": IMMUTABLE,
    "A.dtype =": IMMUTABLE,
    "eliminate_zeros": IMMUTABLE,
    "prune": IMMUTABLE,
    "memoryview": "NumPy counts a memoryview as a scalar; here it is read as the array that it is",
    "np.stack": "stacks of matrices multiply, as with numpy.matmul",
    "+A": "is A, as with an ndarray",
    "D *= A": "stays the array D; of a csr_array it becomes a sparse array",
    "A.format": "its own",
    "A.mT": "here already",
    "A.nbytes": "here already",
    "complex": "values are real; products and scaling by a complex number give what SciPy gives",
    "np.add.reduce": "methods of ufuncs are refused",
    "np.kron": "scipy.sparse.kron takes it",
    "save_npz": FORMAT + "; `complsparse.save` keeps the packing",
    "linalg.inv": FORMAT,
    "linalg.expm": FORMAT,
    "csgraph": CSGRAPH,
}


def reason(section, call):
    found = next((why for words, why in REASONS.items() if words in call), None)
    return found or {"NumPy's ufuncs": UFUNC, "NumPy's functions": NUMPY}.get(section, "")


def calls():
    """(section, call) pairs, each call one expression or statement on A."""
    for section, lines in CALLS.items():
        for call in lines.replace("\n", ";").split(";"):
            if call.strip():
                yield section, call.strip()


def operands(kind):
    """Fresh operands for one call. A and V, of the same pattern, are of the class under test."""
    rng = np.random.default_rng(7)
    D = rng.random((12, 12))
    pattern = (D < 0.25) | np.eye(12, dtype=bool) | (np.roll(np.eye(12, dtype=bool), 1, axis=1))
    A = sp.csr_array(np.where(pattern, D + 4 * np.eye(12), 0))
    x = rng.random(12)
    made = cs.from_scipy if kind == "cmp" else sp.csr_array
    others = {
        "D": D.copy(),
        "S": sp.random_array((12, 12), density=0.3, rng=1, format="csr"),
        "M": sp.csr_matrix(D * (D > 0.6)),
        "x": x,
        "X": rng.random((12, 3)),
        "c": x + 1j * rng.random(12),
    }
    modules = (copy, csgraph, linalg, np, operator, pickle, sp)
    names = {module.__name__.rpartition(".")[2]: module for module in modules} | {"np": np, "sp": sp, "scipy": scipy}
    return {"A": made(A), "V": made(A * 2), "Fraction": Fraction, "BytesIO": io.BytesIO, **others, **names}


def result(call, kind):
    """What a call gives, in a form that can be compared, or the exception that it raises."""
    names = operands(kind)
    target = call.split(" ")[0].split("[")[0].split(".")[0]
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            try:
                code = compile(call, "call", "eval")
            except SyntaxError:
                exec(compile(call, "call", "exec"), names)
                return plain(names[target])
            return plain(eval(code, names))
    except Exception as error:
        return error


def plain(value):
    """A value as (kind, dtype, array), whatever sparse class it is of; containers and other objects as they are."""
    if sp.issparse(value):
        return "sparse", value.dtype, value.toarray()
    if isinstance(value, (np.ndarray, np.generic)):
        return "array", value.dtype, np.asarray(value)
    if isinstance(value, (tuple, list)):
        return [plain(item) for item in value]
    return value


def agree(a, b):
    if isinstance(a, Exception) or isinstance(b, Exception):
        return isinstance(a, Exception) and isinstance(b, Exception)
    if type(a) is not type(b):
        return False
    if isinstance(a, list):
        return len(a) == len(b) and all(map(agree, a, b))
    if not isinstance(a, tuple):
        return a == b
    indices = a[1].kind == b[1].kind == "i"  # of 32 or 64 bits
    if a[0] != b[0] or a[2].shape != b[2].shape or (a[1] != b[1] and not indices):
        return False
    return np.array_equal(a[2], b[2]) if a[1].kind not in "fc" else np.allclose(a[2], b[2], 1e-6, 1e-9, equal_nan=True)


def outcome(call):
    """ "same", "refused" or "differs"; None where this SciPy does not have the call for its own class either."""
    ours, theirs = result(call, "cmp"), result(call, "csr")
    if isinstance(theirs, AttributeError) and isinstance(ours, AttributeError):
        return None
    if agree(ours, theirs):
        return "same"
    return "refused" if isinstance(ours, Exception) else "differs"


WORDS = {"same": "same", "refused": "refused by design", "differs": "differs"}

PAGE = """\
# Calls of scipy.sparse, one by one

A `ComplementaryMatrix` is a `scipy.sparse.sparray`: `scipy.sparse.issparse` says so, and what takes any sparse array
takes it. This page lists {total} calls, each made with a `csr_array` A and with the same matrix as a
ComplementaryMatrix. Other names are V (of A's class and pattern), S and M (a `csr_array` and a `csr_matrix`), D (a
dense matrix), X, x and c (a dense batch, a vector, a complex vector). *Same* is a result of equal values, shape and
dtype, sparse where the other is, or an exception from both. Which sparse class it is may differ: what keeps the
pattern is a ComplementaryMatrix on the same packing, with zeros that stay stored; all else is a `csr_array`. Where a
class of SciPy stands on the left of an operator, its method comes first, and the result is of that class;
`numpy.matmul(S, W)` runs the product of this library.

{summary}

## Not the same

{others}

## The same

{same}\
Written by `tests/tools/scipy_calls.py` with SciPy {version}; `tests/test_scipy_calls.py::test_page` keeps it true.
"""


def table(head, rows):
    return "\n".join(["| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows]])


def page():
    found = [(section, call, outcome(call)) for section, call in calls()]
    found = [row for row in found if row[2]]
    count = {(section, key): 0 for section in CALLS for key in WORDS}
    for section, _, key in found:
        count[section, key] += 1
    summary = [[section, *(str(count[section, key]) for key in WORDS)] for section in CALLS]
    summary.append(["all", *(str(sum(count[section, key] for section in CALLS)) for key in WORDS)])
    others = [[f"`{call}`", WORDS[key], reason(section, call)] for section, call, key in found if key != "same"]
    same = ""
    for section in CALLS:
        lines = textwrap.wrap(
            "; ".join(call.replace(" ", "\0") for other, call, key in found if (other, key) == (section, "same")),
            120,
            break_long_words=False,
            break_on_hyphens=False,
        )
        same += f"{section}:\n\n```text\n" + "\n".join(lines).replace("\0", " ") + "\n```\n\n"
    return PAGE.format(
        total=len(found),
        summary=table(["", *WORDS.values()], summary),
        others=table(["call", "outcome", "why"], others),
        same=same,
        version=".".join(scipy.__version__.split(".")[:2]),
    )


if __name__ == "__main__":
    print(page(), end="")
