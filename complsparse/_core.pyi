"""The border between Python and C++. Nothing here is public: the names users call live in `complsparse`."""

from collections.abc import Callable
from typing import Any, TypeVar, final, overload

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from complsparse._ops.winners import Winners  # what set_fallbacks is given, and users get; _core itself imports nobody
from complsparse._typing import Activation

T = TypeVar("T", bound="Compressed")

class Operand:
    """What a `ComplementaryMatrix` is in C++: validated CSR arrays and the layouts derived from them.

    The arrays are canonical (columns ascending within a row, no duplicates) and never written again. `transposed`
    says that the logical matrix is the transpose of the stored one.
    """

    shape: tuple[int, int]  # of the logical matrix
    dtype: np.dtype[Any]
    nnz: int
    def _bind(
        self,
        indptr: NDArray[np.int64],
        indices: NDArray[np.int32] | NDArray[np.int64],
        data: NDArray[Any],
        shape: tuple[int, int],  # of the stored matrix
        shared: Operand | None = None,  # share the layouts of this operand, transposed
    ) -> None: ...
    def _knows_pattern_of(self, earlier: Operand) -> None: ...
    def _layouts(self) -> list[dict[str, Any]]: ...
    def _choices(self, dtype: Any, winners: int | None = None) -> list[dict[str, Any]]: ...
    def _prepare(
        self, n: int, dtype: Any, deterministic: bool, from_right: bool = False, winners: int | None = None
    ) -> None: ...

@final
class SparseProduct:
    """A @ B, both given as ``(indptr, indices, data, rows, cols, transposed, canonical)``."""

    shape: tuple[int, int]
    @property
    def nnz(self) -> int: ...
    def __init__(self, A: tuple[Any, ...], B: tuple[Any, ...]) -> None: ...
    def arrays(self, index_dtype: DTypeLike) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """(indptr, indices, data), fresh, columns ascending, without zeros."""

@final
class Plan:
    """A product bound to a matrix: `f(x, out=y)` checks the arrays and runs one micro-kernel choice.

    x is an array, or `Winners` where the plan was made with `winners`.
    """

    n: int
    batch_major: bool
    dtype: np.dtype[Any]
    x_dtype: np.dtype[Any]
    microkernel: str
    winners: int | None
    def __call__(self, x: NDArray[Any] | Compressed, /, *, out: NDArray[Any] | None = None) -> NDArray[Any]: ...
    def bind(self, x: NDArray[Any] | Compressed, out: NDArray[Any]) -> BoundCall: ...

@final
class BoundCall:
    """A product bound to its arrays too: `function` is the address of ``void (*)(void*)``, `context` its argument."""

    function: int
    context: int
    @property
    def workspace_bytes(self) -> int: ...
    def run_in(self, workspace: NDArray[np.uint8]) -> None: ...
    def __call__(self) -> None: ...

Pair = tuple[int, int]

@final
class Convolution:
    """Filters bound to the shape of an image; kept with them."""

    dtype: np.dtype[Any]
    microkernel: str
    reason: str
    layout_bytes: int
    requantizes: bool  # outputs of 8 bits can be asked for
    channels_last: bool
    of_winners: bool
    of_image: bool  # winners over whole images
    image_shape: tuple[int, int, int]
    out_shape: tuple[int, int, int]
    def pools(self, window: tuple[int, int]) -> bool: ...
    def __call__(
        self,
        x: NDArray[Any] | Compressed,
        y: NDArray[Any],
        bias: NDArray[Any] | None,
        activation: str | None,
        workspace: NDArray[np.uint8] | None = None,
        pad: int = 0,  # around images of integers
        ending: tuple[Any, ...] | None = None,  # bias, multipliers, shifts, zero point, least, most
    ) -> None: ...
    def reads_as_it_is(self, x: Any, shape: tuple[int, ...]) -> bool: ...
    def writes_as_it_is(self, y: Any, shape: tuple[int, ...], x: Any) -> bool: ...
    def workspace_bytes(self, images: int) -> int: ...

WinnersAt = tuple[int, int, int, int, int, int]

class Program:
    """A network as steps on values, which are numbers. Methods that add a step return the step's number."""

    n_steps: int
    workspace_bytes: int
    def __init__(self, dtype: DTypeLike) -> None: ...
    def new_value(self, sample_bytes: int) -> int: ...
    def fix(self, value: int, array: NDArray[Any]) -> None: ...
    def place(self, value: int, memory: str, offset: int) -> None: ...
    def convolution(
        self,
        way: Convolution,
        bias: NDArray[Any] | None,
        activation: str | None,
        x: int | WinnersAt,
        y: int,
        window: tuple[int, int] = ...,
        pad: int = ...,
        dtype: np.dtype[Any] | None = ...,
        ending: tuple[Any, ...] | None = ...,
    ) -> int: ...
    def product(self, plan: Plan, samples: int, vectors: int, x: int | WinnersAt, y: int) -> int: ...
    def contest(self, of_sample: tuple[int, int, int], k: int, relu: bool, dtype: Any, x: int, y: WinnersAt) -> int: ...
    def expand(self, x: WinnersAt, dtype: Any, inner: int, y: int) -> int: ...
    def flatten(self, x: WinnersAt, dtype: Any, inner: int, y: WinnersAt) -> int: ...
    def pool(
        self,
        kind: str,
        dtype: Any,
        image: tuple[int, int, int],
        out: tuple[int, int, int],
        sliding: tuple[Pair, Pair, Pair, Pair, Pair],
        padded: Pair,
        channels_last: bool,
        x: int,
        y: int,
    ) -> int: ...
    def pair(
        self,
        operation: str,
        axes: list[tuple[int, int, int]],
        image: tuple[int, ...],
        activation: str | None,
        a: int,
        b: int,
        y: int,
    ) -> int: ...
    def permute(self, axes: list[tuple[int, int]], x: int, y: int) -> int: ...
    def norm(
        self,
        rows: int,
        n: int,
        weight: NDArray[Any] | None,
        bias: NDArray[Any] | None,
        eps: float,
        centred: bool,
        x: int,
        y: int,
    ) -> int: ...
    def activation(self, activation: str, n: int, x: int, y: int) -> int: ...
    def scale(
        self, of_sample: tuple[int, int, int], factors: NDArray[Any], summands: NDArray[Any], x: int, y: int
    ) -> int: ...
    def softmax(self, of_sample: tuple[int, int, int], x: int, y: int) -> int: ...
    def quantize(self, dtype: Any, scale: float, zero_point: int, n: int, x: int, y: int) -> int: ...
    def dequantize(self, dtype: Any, scale: float, zero_point: int, n: int, x: int, y: int) -> int: ...
    def clip(self, dtype: Any, least: int, most: int, n: int, x: int, y: int) -> int: ...
    def widen(
        self,
        dtype: Any,
        to: Any,
        image: tuple[int, int, int],
        channels_last: bool,
        before: Pair,
        after: Pair,
        value: int,
        x: int,
        y: int,
    ) -> int: ...
    def widen_winners(self, dtype: Any, to: Any, x: WinnersAt, y: int) -> int: ...
    def outputs(
        self,
        rows_and_cols: tuple[int, int],
        by_column: bool,
        bias: NDArray[Any],
        dtype: Any,
        factors: tuple[Any, ...],
        of_sums: Any,
        sums: int,
        y: int,
    ) -> int: ...
    def copy(self, runs: int, run_bytes: int, first_byte: int, pitch_bytes: int, x: int, y: int) -> int: ...
    def host(
        self, function: Any, values: tuple[tuple[int, np.dtype[Any], tuple[int, ...]], ...], n_reads: int
    ) -> int: ...
    def dense_product(
        self,
        blas: tuple[object, object],
        weights: NDArray[Any],
        vectors: int,
        bias: NDArray[Any] | None,
        activation: str | None,
        x: int,
        y: int,
    ) -> int: ...
    def dense_convolution(
        self,
        blas: tuple[object, object],
        filters: NDArray[Any],
        image: tuple[int, int, int],
        sliding: tuple[Pair, Pair, Pair, Pair, Pair],
        channels_last: bool,
        bias: NDArray[Any] | None,
        activation: str | None,
        x: int,
        y: int,
    ) -> int: ...
    def recurrent(
        self,
        layer: tuple[bool, bool, bool, int, int, int, int, int],
        peephole: NDArray[Any] | None,
        product: Any,
        bias: NDArray[Any] | None,
        values: tuple[int, int, int, int, int, int],
    ) -> int: ...
    def attention(
        self,
        blas: tuple[Any, Any],
        sizes: tuple[int, int, int, int, int, int],
        scale: float,
        causal: bool,
        views: list[tuple[int, int, int, int, bool]],
        values: tuple[int, int, int, int, int],
    ) -> int: ...
    def depthwise(
        self,
        filters: NDArray[Any],
        image: tuple[int, int, int],
        outputs: int,
        sliding: tuple[Pair, Pair, Pair, Pair, Pair],
        channels_last: bool,
        bias: NDArray[Any] | None,
        activation: str | None,
        x: int,
        y: int,
    ) -> int: ...
    def takes_rows(self, step: int) -> bool: ...
    def finish(
        self,
        stretches: list[tuple[int, bool, int]],
        chains: list[tuple[int, list[int], int]],
        batch_bytes: int,
        sample_bytes: int,
        shapes: tuple[tuple[int, ...], tuple[int, ...]] | None = None,
        outside: tuple[tuple[Any, ...], tuple[Any, ...]] | None = None,
    ) -> None: ...
    def call(self, x: Any, out: Any) -> NDArray[Any] | None: ...
    def call_all(self, xs: tuple[Any, ...], out: Any) -> Any: ...
    def run(
        self, arrays: tuple[NDArray[Any], ...], winners: tuple[Any, ...] = (), times: NDArray[np.int64] | None = None
    ) -> list[Any]: ...

def make_convolution(
    filters: Operand,
    dtype: Any,
    image: tuple[int, int, int],  # channels, height, width
    sliding: tuple[Pair, Pair, Pair, Pair, Pair],  # kernel, stride, dilation, padding before, output size
    channels_last: bool,
    deterministic: bool = False,
    candidate: int = -1,
) -> Convolution: ...
def make_winners_convolution(
    filters: Operand,
    dtype: Any,
    image: tuple[int, int, int],
    sliding: tuple[Pair, Pair, Pair, Pair, Pair],
    channels_last: bool,
    of_image: bool,
) -> Convolution: ...
def winners_cost(
    filters: Operand,
    dtype: Any,
    image: tuple[int, int, int],
    sliding: tuple[Pair, Pair, Pair, Pair, Pair],
    channels_last: bool,
    of_image: bool,
) -> tuple[float, float] | None: ...
def conv_candidates(
    filters: Operand,
    dtype: Any,
    image: tuple[int, int, int],
    sliding: tuple[Pair, Pair, Pair, Pair, Pair],
    channels_last: bool,
    deterministic: bool = False,
) -> list[dict[str, Any]]: ...
def quantize(x: NDArray[Any], y: NDArray[Any], scale: float, zero_point: int) -> None: ...
def requantize(
    sums: NDArray[Any],
    y: NDArray[Any],
    rows_and_cols: tuple[int, ...],
    by_column: bool,
    bias: NDArray[Any],
    factors: tuple[NDArray[Any], ...],
    zero_point: int,
    least: int,
    most: int,
) -> None: ...
def requantized_linear(W: Operand, x: NDArray[Any], y: NDArray[Any], ending: tuple[Any, ...]) -> bool: ...
def keep_call(
    W: Operand,
    x: NDArray[Any],
    bias: Any,
    numbers: tuple[Any, ...],
    y_dtype: np.dtype[Any],
    ending: tuple[Any, ...],
    convolution: Convolution | None = None,
    y_shape: tuple[int, ...] | None = None,
    pad: int = 0,
) -> None: ...
def known_qlinear(W: Any, x: Any, bias: Any, out: Any, numbers: tuple[Any, ...]) -> NDArray[Any] | None: ...
def known_qconv2d(W: Any, x: Any, bias: Any, out: Any, numbers: tuple[Any, ...]) -> NDArray[Any] | None: ...
def real_outputs(
    sums: NDArray[Any],
    y: NDArray[Any],
    rows_and_cols: tuple[int, ...],
    by_column: bool,
    bias: NDArray[Any],
    units: NDArray[Any],
    least: float,
    most: float,
) -> None: ...
def pool(
    kind: str,
    x: NDArray[Any],
    y: NDArray[Any],
    sliding: tuple[Pair, Pair, Pair, Pair, Pair],
    padded: Pair,
    channels_last: bool,
) -> None: ...
def matmul(
    A: Any,
    B: Any,
    /,
    *,
    out: NDArray[Any] | None = None,
    bias: ArrayLike | None = None,
    activation: Activation | None = None,
    dtype: DTypeLike | None = None,
) -> NDArray[Any]: ...
@overload
def linear(
    x: Any,
    W: Operand,
    bias: ArrayLike | None = None,
    *,
    activation: Activation | None = None,
    out: NDArray[Any] | None = None,
    dtype: DTypeLike | None = None,
    winners: None = None,
) -> NDArray[Any]: ...
@overload
def linear(
    x: Any,
    W: Operand,
    bias: ArrayLike | None = None,
    *,
    activation: Activation | None = None,
    out: None = None,
    dtype: DTypeLike | None = None,
    winners: float,
) -> Winners: ...
def product_into(
    W: Operand,
    x: NDArray[Any],
    y: NDArray[Any],
    from_right: bool,
    features_last: bool,
    bias: NDArray[Any] | None,
    activation: str | None,
) -> None: ...
def candidates(
    W: Operand, n: int, dtype: Any, batch_major: bool = False, winners: int | None = None
) -> list[dict[str, Any]]: ...
def make_plan(
    W: Operand,
    n: int,
    dtype: Any,
    batch_major: bool,
    bias: Any,
    activation: str | None,
    deterministic: bool,
    candidate: int = -1,
    winners: int | None = None,
) -> Plan: ...
def winners_into(
    W: Operand,
    w: Compressed,
    values: NDArray[Any],
    y: NDArray[Any],
    from_right: bool,
    features_last: bool,
    bias: NDArray[Any] | None,
    activation: str | None,
    candidate: int = -1,
) -> None: ...
def dtypes() -> tuple[np.dtype[Any], ...]:
    """Those of C++'s types."""

def products() -> list[dict[str, str]]:
    """The products that exist: the dtypes of W (key w), of x, of the result (y), and in which is summed (sum)."""

def activations() -> tuple[str, ...]:
    """The names of the activations that a product can end with."""

def is_tensor(given: Any) -> bool:
    """Of torch."""

def records(given: Any) -> bool:
    """Whether a tensor wants the gradient of what is done with it."""

def array_of(given: Any) -> Any:
    """The array on a tensor's memory; other things, and tensors that have to be converted, as they are."""

def memory_of(out: Any) -> Any:
    """The array that writes to a tensor; other things as they are."""

def given_back(y: NDArray[Any], out: Any) -> Any:
    """A result as a tensor: `out` if it was given."""

@final
class FrozenLinear:
    """A linear layer of torch whose matrix is made already."""

    def __call__(self, x: Any, values: Any, bias: Any) -> Any:
        """The outputs; None where parameters may have changed since, and of an x that it does not take as it lies."""

def frozen_linear(W: Operand, values: Any, bias: Any) -> FrozenLinear | None:
    """Of W, which was made of these values; None where torch does not describe its tensors in C."""

def recorded(call: str, *args: Any) -> Any:
    """The call of this name in complsparse.torch, which records gradients."""

def set_fallbacks(
    *,
    winners: type[Compressed],
    canonical: Callable[..., Any],
    matmul: Callable[..., NDArray[Any]],
    linear: Callable[..., NDArray[Any] | Compressed],
    kwta: Callable[..., Compressed],
    is_masked: Callable[[Any], bool],
    overlap: Callable[[NDArray[Any], NDArray[Any]], bool],
    memory_of: Callable[[Any, str], NDArray[Any]],
    as_tensor: Callable[[NDArray[Any]], Any],
    recorded: Callable[..., Any],
    plan_input_error: Callable[..., Exception],
    plan_winners_error: Callable[..., Exception],
    plan_output_error: Callable[..., Exception],
) -> None:
    """Where calls go that the fast checks do not accept, and the class that contests make: called once, at import."""

def sampled_values(W: Operand, P: NDArray[Any], Q: NDArray[Any]) -> NDArray[Any]:
    """(P @ Q) at the stored positions of W, in CSR order. P (M, R) and Q (R, K), both float32 or both float64."""

# --- packing: arrays in, arrays out; all release the GIL ---------------------------------------------------------
def check_csr(
    indptr: NDArray[np.int64], indices: NDArray[Any], rows: int, cols: int, n_values: int
) -> tuple[bool, bool]:
    """Validate CSR arrays; return (columns ascend within each row, no position is stored twice).

    Raises ValueError naming the first violated rule and its numbers. `indices` is int32 or int64, contiguous.
    """

def max_column_count(indices: NDArray[Any], cols: int) -> int:
    """The fullest column: the number of sets a split packing needs, and the lower bound for any packing."""

def detect_block(indptr: NDArray[np.int64], indices: NDArray[Any], rows: int, cols: int) -> tuple[int, int]:
    """The largest block (br, bc) of a short list that the pattern consists of, without fill-in."""

def has_block(indptr: NDArray[np.int64], indices: NDArray[Any], rows: int, cols: int, br: int, bc: int) -> bool: ...
def pack_strict(
    indptr: NDArray[np.int64], indices: NDArray[Any], rows: int, cols: int, block_rows: int, max_sets: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Strict packing: (set_ptr, row_order), or None where it needs more than `max_sets` sets (0: no limit).

    Members are `block_rows` neighbouring rows; a set of members is listed as `block_rows` consecutive sets of rows.
    """

def pack_split(
    indptr: NDArray[np.int64], indices: NDArray[Any], rows: int, cols: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32], NDArray[np.int32]]:
    """Split packing: (set_ptr, row_order, set_of_entry, kernel_id_of_entry), entries in CSR order.

    The j-th stored entry of a column (rows ascending) goes to set j; the rows of a set ascend in row_order.
    """

def check_packing(
    indptr: NDArray[np.int64],
    indices: NDArray[Any],
    rows: int,
    cols: int,
    set_ptr: NDArray[np.int64],
    row_order: NDArray[np.int64],
) -> None:
    """Raise ValueError unless (set_ptr, row_order) permutes the rows and the rows of each set share no column."""

# --- winners -----------------------------------------------------------------------------------------------------
class Compressed:
    """What a `Winners` is in C++: values and indices of each vector, checked once and never written again."""

    shape: tuple[int, ...]
    axis: int | tuple[int, ...]
    @property
    def dtype(self) -> np.dtype[Any]: ...
    @property
    def nnz(self) -> int: ...
    @property
    def values(self) -> NDArray[Any]: ...
    @property
    def indices(self) -> NDArray[np.int32]: ...
    @property
    def indptr(self) -> NDArray[np.int64]: ...

def compressed(
    cls: type[T],
    values: NDArray[Any],
    indices: NDArray[np.int32],
    indptr: NDArray[np.int64],
    n_vectors: int,
    length: int,
    shape: tuple[int, ...],
    axis: int | tuple[int, ...],
) -> T:
    """A `Compressed` of type cls from copies of contiguous vectors; ValueError where they are not valid."""

def kwta(
    x: Any,
    k: float,
    *,
    axis: int | tuple[int, ...] = -1,
    relu: bool = False,
    bias: Any = None,
    boost: Any = None,
) -> Winners: ...
def kwta_dense(
    x: Any,
    k: float,
    *,
    axis: int | tuple[int, ...] = -1,
    relu: bool = False,
    bias: Any = None,
    boost: Any = None,
) -> NDArray[Any]: ...
def winners_wanted(k: Any, n: int) -> int:
    """k of a contest of n entries as a count; -1 where it is neither a count nor a share, or does not fit."""

def linear_winners_in(
    W: Operand,
    x: NDArray[Any] | Compressed,
    bias: NDArray[Any] | None,
    activation: str | None,
    k: int,
    dtype: Any,
    shape: tuple[int, ...],
) -> Winners:
    """The k winners of the outputs of a linear layer; of x the vectors lie along the last axis."""

def compete(
    x: NDArray[Any],
    k: int,
    axis: int,
    relu: bool,
    bias: NDArray[Any] | None,
    boost: NDArray[Any] | None,
    shape: tuple[int, ...],
    as_axis: int | tuple[int, ...],
) -> Winners: ...
def collect(
    x: NDArray[Any], limit: float, axis: int, shape: tuple[int, ...], as_axis: int | tuple[int, ...]
) -> Winners:
    """Winners: the entries of x whose magnitude is not at most the limit; the shape and axis are the result's."""

def expand(w: Compressed) -> NDArray[Any]:
    """The winners as a new dense array: of their shape where they have one axis, otherwise (vectors, length)."""

def canonical(S: Any, transposed: bool) -> tuple[NDArray[np.int64], NDArray[Any], NDArray[Any], tuple[int, int]]:
    """(indptr, indices, data, shape) of a scipy.sparse matrix, or of its transpose, checked."""

@final
class BoundContest:
    """`kwta` of the next row of a matrix at each call: `function` is the address of ``void (*)(void*)``."""

    function: int
    context: int
    values: NDArray[Any]
    indices: NDArray[np.int32]
    starts: NDArray[np.int64]
    def __init__(self, x: NDArray[Any], k: int, warm: bool) -> None: ...
    def __call__(self) -> None: ...

# --- configuration -----------------------------------------------------------------------------------------------
def isa_levels() -> list[dict[str, Any]]:
    """One dict per level of the ISA table, weakest first: name, supported (by this CPU), selected (in use)."""

def microkernels() -> list[dict[str, Any]]:
    """One dict per row of the kernel table: name, op, types, isa, tile, layout, runnable."""

def set_isa(name: str) -> None: ...
def set_num_threads(n: int) -> None: ...
def get_num_threads() -> int: ...
def thread_report() -> dict[str, Any]: ...
def build_info() -> dict[str, Any]: ...
def batch_widths() -> tuple[int, ...]: ...
def cache_sizes() -> dict[str, int]: ...
def cost_constants() -> dict[str, float]:
    """The constants of the cost model, by name: cycles and bytes (`CostConstants` in src/layouts/costs.hpp)."""

def set_cost_constants(values: dict[str, float]) -> None: ...
def set_deterministic(on: bool) -> None: ...
def get_deterministic() -> bool: ...
