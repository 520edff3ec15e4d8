# SPDX-License-Identifier: BSD-3-Clause
"""scikit-learn takes a ComplementaryMatrix wherever it takes a csr_array, and learns the same from it."""

import numpy as np
import pytest
import scipy.sparse as sp

import complsparse as cs

pytest.importorskip("sklearn")

from sklearn import (
    cluster,
    decomposition,
    ensemble,
    feature_selection,
    linear_model,
    metrics,
    naive_bayes,
    neighbors,
    preprocessing,
    svm,
    tree,
)
from sklearn.base import is_classifier, is_regressor
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.utils import check_array, check_X_y

SEED = {"random_state": 0}
ESTIMATORS = [
    cluster.KMeans(3, n_init=2, **SEED),
    cluster.MiniBatchKMeans(3, n_init=2, **SEED),
    decomposition.NMF(3, init="nndsvda", max_iter=2000, **SEED),
    decomposition.TruncatedSVD(3, **SEED),
    ensemble.RandomForestClassifier(5, **SEED),
    feature_selection.SelectKBest(feature_selection.chi2, k=4),
    feature_selection.VarianceThreshold(0.01),
    linear_model.Lasso(0.01),
    linear_model.LogisticRegression(max_iter=2000, **SEED),
    linear_model.Ridge(**SEED),
    linear_model.SGDClassifier(**SEED),
    naive_bayes.MultinomialNB(),
    neighbors.KNeighborsClassifier(3),
    preprocessing.MaxAbsScaler(),
    preprocessing.Normalizer(),
    preprocessing.StandardScaler(with_mean=False),
    svm.LinearSVC(**SEED),
    svm.SVC(**SEED),
    TfidfTransformer(),
    tree.DecisionTreeClassifier(**SEED),
]


@pytest.fixture(params=["W", "transpose"])
def samples(request):
    """60 samples as a csr_array, as a ComplementaryMatrix, and their classes."""
    rng = np.random.default_rng(0)
    A = sp.random_array((60, 20), density=0.3, rng=rng, format="csr")
    W = cs.from_scipy(A) if request.param == "W" else cs.from_scipy(A.T).T
    return A, W, rng.integers(0, 3, 60)


def dense(result):
    return result.toarray() if sp.issparse(result) else result


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda estimator: type(estimator).__name__)
def test_estimators(estimator, samples):
    A, W, y = samples
    learnt = []
    for X in (A, W):
        estimator.fit(X, y)
        predicts = is_classifier(estimator) or is_regressor(estimator)
        learnt.append(dense(estimator.predict(X) if predicts else estimator.transform(X)))
    np.testing.assert_allclose(learnt[1], learnt[0], rtol=1e-6, atol=1e-9)
    assert np.ptp(learnt[0]) > 0


@pytest.mark.parametrize("accept", [True, "csr", "csc", "coo", ["csr", "csc"], ["lil", "dok"]], ids=str)
@pytest.mark.parametrize("dtype", ["numeric", np.float32, None], ids=str)
def test_check_array(samples, accept, dtype):
    A, W, y = samples
    found = check_array(W, accept_sparse=accept, dtype=dtype)
    expected = check_array(A, accept_sparse=accept, dtype=dtype)
    assert found.dtype == expected.dtype
    assert found.format == ("cmp" if accept is True else expected.format if isinstance(accept, str) else accept[0])
    np.testing.assert_array_equal(found.toarray(), expected.toarray())
    if accept is not True:
        found.data[...] = 0  # the caller's own
        np.testing.assert_array_equal(W.toarray(), A.toarray())
    X, _ = check_X_y(W, y, accept_sparse="csr")
    np.testing.assert_array_equal(X.toarray(), A.toarray())


def test_check_array_refuses(samples):
    _, W, _ = samples
    with pytest.raises(TypeError, match="dense"):
        check_array(W)
    bad = W.with_values(np.full(W.nnz, np.nan))
    with pytest.raises(ValueError, match="NaN"):
        check_array(bad, accept_sparse="csr")


@pytest.mark.parametrize(
    "function",
    [
        preprocessing.normalize,
        metrics.pairwise.cosine_similarity,
        metrics.pairwise.euclidean_distances,
        metrics.pairwise.linear_kernel,
        lambda X: preprocessing.binarize(X, threshold=0.5),
    ],
    ids=["normalize", "cosine_similarity", "euclidean_distances", "linear_kernel", "binarize"],
)
def test_functions(samples, function):
    A, W, _ = samples
    np.testing.assert_allclose(dense(function(W)), dense(function(A)), rtol=1e-6, atol=1e-7)
