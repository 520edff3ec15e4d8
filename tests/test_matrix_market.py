# SPDX-License-Identifier: BSD-3-Clause
"""Matrix Market files: each number as Python reads it, all kinds of header, and what is refused with its line."""

import io
import math

import hypothesis.strategies as st
import mtx_oracle
import numpy as np
import pytest
import scipy.io
import scipy.sparse as sp
from hypothesis import example, given

from complsparse._files import decimals, matrix_market
from complsparse._files.matrix_market import read_matrix_market
from complsparse._files.readers import read_matrix

BANNER = "%%MatrixMarket matrix coordinate real general\n"


def read(text, **options):
    content = text if isinstance(text, bytes) else text.encode("latin-1")
    return read_matrix_market(io.BytesIO(content), len(content), **options)


def dense(matrix):
    return matrix if isinstance(matrix, np.ndarray) else matrix.toarray()


# --- numbers ----------------------------------------------------------------------------------------------------------


@st.composite
def spelled(draw):
    """Finite numbers in the spellings of many programs."""
    value = draw(st.floats(allow_nan=False, allow_infinity=False))
    narrow = draw(st.floats(width=32, allow_nan=False, allow_infinity=False))
    digits = draw(st.integers(0, 24))
    modest = draw(st.floats(-1e6, 1e6))
    natural = draw(st.integers(0, 10**21))
    scale = draw(st.integers(-300, 280))
    return draw(
        st.sampled_from(
            [
                repr(value),
                str(np.float32(narrow)),
                f"{value:.{digits}e}",
                f"{modest:.{digits}f}",
                f"+{modest:.{digits}g}".replace("+-", "-"),
                f"{natural}e{scale}",
                f"{natural}.",
                f".{natural}",
                f"{modest:.{digits}E}".replace("E", "D"),
            ]
        )
    )


def halfway(mantissa, doublings):
    """The decimal integer in the middle of two neighbouring float64, and its neighbours."""
    middle = (2 * mantissa + 1) << doublings
    return [str(middle - 1), str(middle), str(middle + 1)]


def as_read(tokens):
    text = decimals.Text(" ".join(tokens).lower().replace("d", "e").encode())
    return decimals.read_decimals(text, text.start, text.end)


@given(st.lists(spelled(), min_size=1, max_size=20))
@example(halfway(2**52, 0) + halfway(2**53 - 1, 7))
@example(["9007199254740993", "9007199254740992.5", "1e22", "1e23", "8.5e22", "0.000e999999999999", "-0.0", "-0e5"])
@example([f"{2**53 + 1}e-{n}" for n in range(40)] + [f"{2**63 - 1}e{n}" for n in range(40)])
def test_decimals_are_the_nearest_float64(tokens):
    tokens = [token for token in tokens if mtx_reads(token)]
    wanted = np.array([mtx_oracle.real(token) for token in tokens])
    assert as_read(tokens).values.tobytes() == wanted.tobytes()


def mtx_reads(token):
    try:
        mtx_oracle.real(token)
    except AssertionError:  # beyond the range
        return False
    return True


def test_many_drawn_decimals():
    rng = np.random.default_rng(3)
    bits = rng.integers(0, 2**64, 20_000, dtype=np.uint64).view(np.float64)
    values = np.concatenate([bits[np.isfinite(bits)], rng.normal(size=20_000), rng.normal(size=20_000) * 1e-9])
    for spell in (repr, "{:.16e}".format, "{:.15g}".format, "{:.12e}".format):
        tokens = [spell(value) for value in values.tolist()]
        np.testing.assert_array_equal(as_read(tokens).values, [float(token) for token in tokens])


def test_values_that_are_no_numbers():
    found = as_read(["inf", "-inf", "+Infinity", "NaN", "-nan"]).values
    np.testing.assert_array_equal(found, [math.inf, -math.inf, math.inf, math.nan, math.nan])


BAD_NUMBERS = """
    1.2.3 1e 1e+ e5 . + - +. -e1 1,5 0x1p3 1_0 1e5.5 1e5e5 --1 +-1 1- 1+5 1.0-3 inf1 nan(1) infin i n
    1e999 -1e309 1e-400 4.9e-999 1f 0b1 1ee5 .e5 ١
"""


@pytest.mark.parametrize("token", BAD_NUMBERS.split())
def test_tokens_that_are_refused(token):
    with pytest.raises(ValueError, match=r"^line 4: "):
        read(f"{BANNER}2 2 2\n1 1 1.5\n2 2 ".encode() + token.encode() + b"\n")


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=10))
@example([0.259765625, 2.0**-149, 16777216.0])  # the first is in the middle of its two shortest spellings
def test_float32_written_in_any_precise_way_stays_float32(values):
    values = np.array(values, np.float32)
    for spell in (str, "{:.8e}".format, "{:.9g}".format, lambda v: repr(float(v)), "{:.20e}".format):
        lines = "\n".join(f"1 {i + 1} {spell(value)}" for i, value in enumerate(values))
        found = read(f"{BANNER}1 {len(values)} {len(values)}\n{lines}\n")
        assert found.dtype == np.float32
        assert found.data.tobytes() == values.tobytes()


@pytest.mark.parametrize("written", ["{:.17g}".format, repr, "{:.9e}".format])
def test_float64_stays_float64(written):
    value = 1 / 3
    found = read(f"{BANNER}1 1 1\n1 1 {written(value)}\n")
    assert found.dtype == np.float64
    assert found.data[0] == float(written(value))


@pytest.mark.parametrize(
    ("token", "dtype"),
    [
        ("0.8", np.float32),
        ("16777216", np.float32),
        ("16777217", np.float64),
        ("1.6777217e7", np.float64),
        ("1e38", np.float32),
        ("1e39", np.float64),
        ("1e-45", np.float32),
        ("1e-46", np.float64),
        ("nan", np.float32),
        ("0.1234567890123456789012345", np.float64),
        ("0.0000000000000000000000005", np.float32),
    ],
)
def test_float32_where_it_is_as_fine_as_the_spelling(token, dtype):
    assert read(f"{BANNER}1 1 1\n1 1 {token}\n").dtype == dtype
    assert read(f"{BANNER}1 2 2\n1 1 0.1234567890123\n1 2 {token}\n").dtype == np.float64
    found = read(f"{BANNER}1 1 1\n1 1 {token}\n", narrow=False)
    np.testing.assert_array_equal(found.data, np.array([float(token)]))


@pytest.mark.parametrize(
    ("tokens", "dtype"),
    [
        ("1 -2 +3 007", np.int64),
        ("9223372036854775807 -9223372036854775808", np.int64),
        ("9223372036854775808 1", np.uint64),
        ("18446744073709551615 00000000000000000000000000001", np.uint64),
    ],
)
def test_integers(tokens, dtype):
    lines = "\n".join(f"1 {i + 1} {token}" for i, token in enumerate(tokens.split()))
    found = read(f"%%MatrixMarket matrix coordinate integer general\n1 9 {len(tokens.split())}\n{lines}\n")
    assert found.dtype == dtype
    assert found.data.tolist() == [int(token) for token in tokens.split()]


@pytest.mark.parametrize(
    "tokens", ["1.5", "1e3", "18446744073709551616", "-9223372036854775809", "x", "9223372036854775808 -1"]
)
def test_integers_that_are_refused(tokens):
    lines = "\n".join(f"1 {i + 1} {token}" for i, token in enumerate(tokens.split()))
    with pytest.raises(ValueError, match=r"line 3: |64 bits has"):
        read(f"%%MatrixMarket matrix coordinate integer general\n1 9 {len(tokens.split())}\n{lines}\n")


@pytest.mark.parametrize("symmetry", ["general", "skew-symmetric"])
@pytest.mark.parametrize("large", ["9223372036854775808", "-9223372036854775808"])
@pytest.mark.parametrize("other", ["5", "-5"])
@pytest.mark.parametrize("chunk", [36, 1000])  # in two, or in one
def test_integers_of_several_chunks(monkeypatch, symmetry, large, other, chunk):
    monkeypatch.setattr(matrix_market, "CHUNK", chunk)
    content = f"%%MatrixMarket matrix coordinate integer {symmetry}\n9 9 2\n2 1 {large}\n3 1 {other}\n"
    wanted = mtx_oracle.read(content.encode())
    if wanted is None:
        with pytest.raises(ValueError, match="no type of 64 bits has"):
            read(content)
    else:
        assert read(content).toarray().tolist() == wanted.tolist()


# --- headers and symmetries -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("space", [b"\xa0", b"\x85", b"\x1c", b"\x1f", b"\x0b", b"\x0c"])  # elsewhere white space
def test_words_of_a_header_stand_between_the_spaces_of_the_body(space):
    with pytest.raises(ValueError, match="line 1 is not"):
        read(b"%%MatrixMarket matrix" + space + b"coordinate real general\n1 1 1\n1 1 2.5\n")
    with pytest.raises(ValueError, match=r"line 2: .* is not 3 sizes"):
        read(b"%%MatrixMarket matrix coordinate real general\n1 1 1 " + space + b"\n1 1 2.5\n")
    with pytest.raises(ValueError, match=r"line 2: .* is not 3 sizes"):
        read(b"%%MatrixMarket matrix coordinate real general\n" + space + b"\n1 1 1\n1 1 2.5\n")
    spaced = b"%%MatrixMarket\tmatrix \r coordinate real general \r\n \t\r\n\t% comment\n\t1 1 1\r\n1 1 2.5\n"
    assert read(spaced).toarray() == 2.5


@pytest.mark.parametrize("layout", ["coordinate", "array"])
@pytest.mark.parametrize("field", ["real", "double", "integer", "unsigned-integer", "pattern"])
@pytest.mark.parametrize("symmetry", ["general", "symmetric", "skew-symmetric", "hermitian"])
@pytest.mark.parametrize("size", [0, 1, 4])
def test_every_header(layout, field, symmetry, size):
    places = [(i, j) for j in range(size) for i in range(0 if symmetry == "general" else j, size)]
    places = [(i, j) for i, j in places if symmetry != "skew-symmetric" or i != j]
    value = {"pattern": ""}.get(field, "7")
    lines = [f"{i + 1} {j + 1} {value}" if layout == "coordinate" else value for i, j in places]
    sizes = f"{size} {size} {len(lines)}" if layout == "coordinate" else f"{size} {size}"
    content = "\n".join([f"%%MatrixMarket matrix {layout} {field} {symmetry}", "% a comment", sizes, *lines, ""])
    wanted = mtx_oracle.read(content.encode())
    if wanted is None:
        assert field == "pattern"
        with pytest.raises(ValueError, match="line 1 contradicts itself"):
            read(content)
        return
    found = read(content)
    np.testing.assert_array_equal(dense(found), wanted)
    assert found.dtype == (np.int64 if "integer" in field else np.float32)
    shouted = content.upper().replace("%%MATRIXMARKET", "%%MatrixMarket" if size else "%%MATRIXMARKET")
    np.testing.assert_array_equal(dense(read(shouted)), wanted)


@pytest.mark.parametrize(("symmetry", "sign"), [("symmetric", 1), ("skew-symmetric", -1)])
def test_duplicates_of_a_symmetric_file_keep_it_symmetric(symmetry, sign):
    lines = "3 2 0.1166438930930823\n2 3 0.1852698077260599\n3 4 0.1\n3 2 0.2266834808620341\n"
    found = read(f"%%MatrixMarket matrix coordinate real {symmetry}\n4 4 4\n{lines}").toarray()
    np.testing.assert_array_equal(found, sign * found.T)


@pytest.mark.parametrize("symmetry", ["general", "symmetric", "skew-symmetric"])
@pytest.mark.parametrize("kind", [sp.coo_array, np.asarray])
@pytest.mark.parametrize("dtype", ["f4", "f8", "i4", "i8", "u8"])
def test_what_scipy_writes(symmetry, kind, dtype):
    rng = np.random.default_rng(5)
    D = rng.normal(size=(6, 6)) * 100 if dtype[0] == "f" else rng.integers(0, 100, (6, 6))
    D = np.where(rng.random((6, 6)) < 0.5, D, 0)
    D = {"general": D, "symmetric": D + D.T, "skew-symmetric": D - D.T}[symmetry].astype(dtype)
    if dtype == "u8" and symmetry == "skew-symmetric":
        return
    stream = io.BytesIO()
    scipy.io.mmwrite(stream, kind(D), symmetry=symmetry)
    found = read(stream.getvalue())
    np.testing.assert_array_equal(dense(found), D)
    assert found.dtype == (D.dtype if dtype[0] == "f" else np.int64)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("%%MatrixMarket matrix coordinate real\n1 1 0\n", "line 1 is not"),
        ("%MatrixMarket matrix coordinate real general\n1 1 0\n", "line 1 is not"),
        ("%%MatrixMarket vector coordinate real general\n1 1 0\n", "'vector' where one of matrix"),
        ("%%MatrixMarket matrix sparse real general\n1 1 0\n", "'sparse' where one of coordinate, array"),
        ("%%MatrixMarket matrix coordinate float general\n1 1 0\n", "'float'"),
        ("%%MatrixMarket matrix coordinate real lower\n1 1 0\n", "'lower'"),
        ("%%MatrixMarket matrix coordinate pattern skew-symmetric\n1 1 0\n", "no signs"),
        ("%%MatrixMarket matrix array pattern general\n1 1\n1\n", "no array"),
        ("%%MatrixMarket matrix array real symmetric\n2 3\n1\n1\n1\n", "is square, but line 2 says 2 rows, 3 columns"),
        ("%%MatrixMarket matrix coordinate real symmetric\n2 3 1\n1 1 1\n", "is square"),
        ("%%MatrixMarket matrix array real general\n0 0\n1\n", "declares 0 entries but has 1"),
        ("%%MatrixMarket matrix array real general\n2 2\n1 2\n3 4\n", "line 3 has 2 fields, not 1"),
        (BANNER, "ends before the line of sizes"),
        (BANNER + "%\n\n", "ends before the line of sizes"),
        (BANNER + "1 1\n", "line 2: '1 1' is not 3 sizes"),
        (BANNER + "1 1 1.0\n1 1 1\n", "is not 3 sizes"),
        (BANNER + "+1 1 1\n1 1 1\n", "is not 3 sizes"),
        (BANNER + "0 5 1\n1 1 1\n", "line 3: the index 1 is not from 1 to 0"),
        (BANNER + "5 5 2\n\n1 1 1\n% c\n1 0 1\n", "line 6: the index 0 is not from 1 to 5"),
        (BANNER + "5 5 1\n1 6 1\n", "line 3: the index 6 is not from 1 to 5"),
        (BANNER + "5 5 1\n1.0 1 1\n", "line 3: '1.0' is not a number from 0"),
        (BANNER + "5 5 1\n1e0 1 1\n", "line 3: '1e0' is not a number from 0"),
        (BANNER + "5 5 1\n-1 1 1\n", "line 3: '-1' is not a number from 0"),
        (BANNER + "5 5 1\n99999999999999999999 1 1\n", "line 3: '99999999999999999999' is not a number from 0"),
        (BANNER + "5 5 2\n1 1 1\n1 1\n", "line 4 has 2 fields, not 3"),
        (BANNER + "5 5 2\n1 1 1 1\n1 1\n", "line 3 has 4 fields, not 3"),
        (BANNER + "5 5 1\n1 1\n1\n", "line 3 has 2 fields, not 3"),
        (BANNER + "5 5 2\n1 1 1\n", "declares 2 entries but has 1"),
        (BANNER + "5 5 1\n1 1 1\n2 2 2\n", "declares 1 entries but has 2"),
        (BANNER + "3 3 1\n1 1 3.5E-", r"line 3: '3\.5e-' is not a number"),
        (BANNER + "3 3 1\n1 1\0 3\n", "line 3: the byte b'.x00' is in no number"),
        (BANNER + "3 3 1\n1 1 3 # one\n", "line 3: the byte b'#' is in no number"),
        ("%%MatrixMarket matrix coordinate real skew-symmetric\n3 3 1\n2 2 1\n", "no diagonal, but row 2"),
        (BANNER + "1048577 1 0\n", r"declares the shape \(1048577, 1\) in 58 bytes; rows and columns may be 1048808"),
        (BANNER + "3 99999999999 0\n", "rows and columns may be"),
    ],
)
def test_what_is_refused(text, match):
    if "1048577" in text:
        text = text.replace("1048577", "1048900")
        match = match.replace("1048577", "1048900")
    with pytest.raises(ValueError, match=match):
        read(text)


def test_lines_of_all_kinds():
    body = "\n \t\n% one\n 1\t1  .5\r\n\n\t% two % three\n3 2 -1D+01  \r\n2 2 2"
    found = read(BANNER + "%\n% c\n\n 3 3 3 \r\n" + body)
    np.testing.assert_array_equal(found.toarray(), [[0.5, 0, 0], [0, 2, 0], [0, -10, 0]])


@pytest.mark.parametrize("chunk", [32, 47, 64, 1000])
def test_chunks_end_anywhere(monkeypatch, chunk):
    rng = np.random.default_rng(1)
    A = sp.random_array((40, 30), density=0.3, rng=rng)
    stream = io.BytesIO()
    scipy.io.mmwrite(stream, A)
    monkeypatch.setattr(matrix_market, "CHUNK", chunk)
    np.testing.assert_array_equal(read(stream.getvalue()).toarray(), A.toarray())
    lines = stream.getvalue().split(b"\n")
    lines[202] = b"1 1 x"
    with pytest.raises(ValueError, match="line 203: the byte b'x' is in no number"):
        read(b"\n".join(lines))
    with pytest.raises(ValueError, match=f"a line of more than {chunk} bytes"):
        read(f"{BANNER}3 3 1\n1 1 1{' ' * 3000}\n")


# --- real files -------------------------------------------------------------------------------------------------------

REFUSED = {  # and why; all others agree with SciPy
    "full_noheader": "line 1 is not",
    "mangled3": "'mangled'",
    "mangled5": "line 5 has 4 fields, not 2",
    "mangled7": "line 5 has 2 fields, not 3",
    "mangled9": "is square",
    "mangled10": "declares 3 entries but has 2",
    "mangled12": "line 6: the byte",
    "mangled16": "line 5 has 2 fields, not 1",
    "mangled_format": "line 1 contradicts itself",
}
MORE_THAN_SCIPY = {"west0067_jumbled", "matrix_uint64"}  # comments between entries; uint64


@pytest.mark.data
def test_odd_files(data_folder):
    paths = sorted(data_folder.glob("mtx/odd/*.mtx"))
    assert paths
    for path in paths:
        if path.stem in REFUSED:
            with pytest.raises(ValueError, match=REFUSED[path.stem]) as caught:
                read_matrix(path)
            assert str(caught.value).startswith(f"{path}: ")
            continue
        (found,) = read_matrix(path, narrow=False).values()
        if max(found.shape) <= 1000:
            np.testing.assert_array_equal(dense(found), mtx_oracle.read(path.read_bytes()))
        if path.stem not in MORE_THAN_SCIPY:
            np.testing.assert_array_equal(dense(found), dense(scipy.io.mmread(path, spmatrix=False)))


@pytest.mark.data
def test_real_files_are_what_scipy_reads(data_folder):
    paths = [path for path in sorted(data_folder.glob("mtx/*.mtx")) if path.stem != "young1c"]
    assert paths
    for path in paths:
        (found,) = read_matrix(path, narrow=False).values()
        (narrow,) = read_matrix(path).values()
        found, narrow, wanted = map(sp.csr_array, (found, narrow, scipy.io.mmread(path, spmatrix=False)))
        np.testing.assert_array_equal(found.indptr, wanted.indptr)
        np.testing.assert_array_equal(found.indices, wanted.indices)
        np.testing.assert_array_equal(found.data, wanted.data)
        np.testing.assert_array_equal(narrow.data, wanted.data.astype(narrow.dtype))
