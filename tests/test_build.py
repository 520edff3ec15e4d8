# SPDX-License-Identifier: BSD-3-Clause
"""How the library is built: who includes whom, what object files hold, what an import costs, what the table lists."""

import ast
import graphlib
import itertools
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np
import pytest
from levels import BASELINE, edges, family, rows_at, strongest
from oracle import COMPUTE, random_csr
from test_matmul import BATCHES

import complsparse as cs
from benchmarks.problems import kernels
from complsparse import _core

ROOT = pathlib.Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src"
CPP = ("*.cpp", "*.hpp", "*.h", "*.inc.in")
BORDER = [path for suffix in ("pyx", "pxd", "pxi") for path in sorted((ROOT / "complsparse").rglob(f"*.{suffix}"))]

of_source = pytest.mark.skipif(not SOURCE.is_dir(), reason="not run: the source tree is absent")


def files(folder, *patterns):
    return sorted(path for pattern in patterns for path in (SOURCE / folder).rglob(pattern))


def included(path):
    return re.findall(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', path.read_text(), re.MULTILINE)


# --- layers ----------------------------------------------------------------------------------------------------------

# Each room may use those before it, and of its own row only itself.
FLOORS = {
    # src/: what a file includes
    "cpp": (
        ("base",),
        ("pattern", "kernels"),
        ("tiles",),
        ("layouts",),
        ("plan",),
        ("conv",),
        ("ops",),
        ("net",),
        ("api.hpp", "ort"),
    ),
    # complsparse/: what a module imports, at the top of a file, for types, or in a function
    "python": (
        ("_core", "_typing"),
        ("_config", "_progress", "_stopwatch"),
        ("_dtypes",),
        ("_arrays",),
        ("_operands",),
        ("_ops", "_pictures"),
        ("_conv",),
        ("_matrix",),
        ("_patterns", "_files", "_quantized"),
        ("_tables",),
        ("nn",),
        ("torch", "onnx", "hls"),
        ("_cli",),
        ("__init__", "__main__", "_prune", "_winners"),  # what users and old pickles name
    ),
}
# Micro-kernels stand beside the floors: they are compiled once for each level, and see contracts and leaves.
OF_MICRO_KERNELS = {"base/types.hpp", "base/epilogue.hpp", "kernels/table.hpp", "kinds.inc", "all_loops.hpp"}
# Of the standard library: nothing that allocates, throws or prints.
OF_THE_LIBRARY = {"cstdint", "cstddef", "cstring", "type_traits", "utility", "immintrin.h", "iterator", "limits",
                  "arm_neon.h"}  # fmt: skip


def rows_of(floors):
    return {room: row for row, rooms in enumerate(FLOORS[floors]) for room in rooms}


def uses(above, below, floors):
    """Whether one room may use another."""
    return above == below or floors[above] > floors[below]


@of_source
def test_cpp_files_include_downward():
    floors = rows_of("cpp")
    for path in files(".", *CPP):
        room = path.relative_to(SOURCE).parts[0]
        if room in ("ukr", "include"):
            continue
        assert room in floors, path
        for name in included(path):
            other = name.partition("/")[0]
            if ("/" in name and (SOURCE / other).is_dir()) or name == "api.hpp":
                assert other in floors, (path, name)
                assert uses(room, other, floors), (path, name)


@of_source
def test_the_core_knows_no_micro_kernel():
    for path in files(".", *CPP):
        if path.relative_to(SOURCE).parts[0] != "ukr":
            assert not [name for name in included(path) if name.startswith("ukr/") or name == "all_loops.hpp"], path


@of_source
def test_micro_kernels_know_only_their_contract():
    for path in files("ukr", *CPP):
        for name in included(path):
            contract = name.startswith("kernels/") and (SOURCE / "ukr" / name.partition("/")[2]).exists()
            own = name.startswith(("ukr/", "complsparse/"))
            assert contract or own or name in OF_MICRO_KERNELS | OF_THE_LIBRARY, (path, name)


@of_source
def test_the_contract_is_a_leaf():
    """Contracts include the leaves, and each other."""
    contracts = [path for path in files("kernels", "*.hpp") if (SOURCE / "ukr" / path.name).exists()]
    leaves = {"cstdint", "base/epilogue.hpp", "base/types.hpp", *(f"kernels/{path.name}" for path in contracts)}
    for path in contracts:
        assert set(included(path)) <= leaves, path
    for leaf in ("types", "epilogue"):
        assert not [name for name in included(SOURCE / "base" / f"{leaf}.hpp") if "/" in name]


@of_source
def test_public_headers_stand_alone():
    """ap_int.h is a synthesis tool's, and included where its integers are asked for."""
    for path in files("include", "*.h", "*.hpp"):
        assert all(name in ("stdint.h", "ap_int.h") or name.startswith("complsparse/") for name in included(path)), path


@of_source
def test_threads_appear_in_two_files():
    """OpenMP in parallel.cpp, threads in pool.cpp; Python and NumPy in no C++ file."""
    for path in files(".", *CPP):
        text = re.sub(r"//[^\n]*", "", path.read_text())
        if path.name != "parallel.cpp":
            assert not re.search(r"#pragma\s+omp|\bomp_\w+\(|<omp\.h>", text), path
        if path.name != "pool.cpp":
            assert not re.search(r"<thread>|std::thread|std::async|pthread_create|\bthread_local\b", text), path
        assert not re.search(r"<Python\.h>|numpy/|PyObject", text), path


@of_source
def test_micro_kernels_allocate_nothing_and_throw_nothing():
    for path in files("ukr", *CPP):
        code = re.sub(r"//[^\n]*", "", path.read_text())
        found = re.search(
            r"\b(new|delete|malloc|calloc|realloc|free|throw|try|catch|std::cout|printf)\b\s*[({\w]", code
        )
        if found and "= delete" not in code[found.start() - 3 : found.end() + 5]:
            raise AssertionError((path, found.group()))
        assert not re.search(
            r"^\s*(static|thread_local)\s+(?!constexpr|inline|CS_INLINE|V\b|void|T\b|Lanes)", code, re.MULTILINE
        ), path


@of_source
def test_no_flag_changes_what_numbers_do():
    """Nothing that reorders sums, ignores NaN, flushes subnormals, or assumes the CPU of the build machine."""
    banned = re.compile(
        r"-Ofast|fast-math|-march=|-mcpu=|-mtune=native|-funsafe|-fassociative|-ffinite|-fno-signed-zeros|-freciprocal|"
        r"-fno-honor|-mdaz|-flto|__attribute__\s*\(\s*\(\s*optimize|#\s*pragma\s+GCC\s+(optimize|target)|_MM_SET_FLUSH|"
        r"_mm_setcsr|fesetround|fesetenv|set_denormal"
    )
    builds = [path for path in ROOT.rglob("meson.build") if "build" not in path.relative_to(ROOT).parts[:-1]]
    assert SOURCE / "meson.build" in builds
    for path in [*builds, ROOT / "pyproject.toml", *BORDER, *files(".", *CPP)]:
        found = banned.search(path.read_text())
        assert not found, (path, found.group())
    assert "-ffp-contract=off" in (SOURCE / "meson.build").read_text()
    assert _core.build_info()["flags"].split()[0] == "-ffp-contract=off"


@of_source
def test_every_source_file_names_its_licence():
    paths = [*files(".", *CPP[:3]), *(ROOT / "complsparse").rglob("*.py"), *BORDER]
    for path in [*paths, *(ROOT / "tests").rglob("*.py")]:
        if path.stat().st_size:
            assert "SPDX-License-Identifier: BSD-3-Clause" in path.read_text().split("\n", 1)[0], path


# --- layers of Python ------------------------------------------------------------------------------------------------


def imports(folder, prefix=""):
    """Of each Python module below a folder: the other ones that it imports, wherever the statement stands."""
    paths = {}
    for path in sorted((ROOT / folder).rglob("*.py")):
        parts = path.relative_to(ROOT / folder).with_suffix("").parts
        paths[".".join([prefix, *parts]).strip(".").removesuffix(".__init__")] = path
    known = {*paths, *(f"{prefix}.{path.stem}" for path in (ROOT / folder).glob("*.pyx"))}
    found = {}
    for module, path in paths.items():
        package = module if path.stem == "__init__" else module.rpartition(".")[0]
        names = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
                source = ".".join([*above, *([node.module] if node.module else [])])
                names |= {f"{source}.{alias.name}" for alias in node.names}
        for name in names.copy():  # of what is no module, the module that it stands in
            while name and name not in known:
                name = name.rpartition(".")[0]
            names.add(name)
        found[module] = names & known - {module}
    return found


@of_source
def test_python_modules_import_downward():
    floors = rows_of("python")

    def room_of(module):
        return module.split(".")[1] if "." in module else "__init__"

    graph = imports("complsparse", "complsparse")
    assert {room_of(module) for module in graph} | {"_core"} == set(floors)
    for module, others in graph.items():
        for other in others:
            assert uses(room_of(module), room_of(other), floors), (module, other)


@of_source
@pytest.mark.parametrize("folder", ["complsparse", "benchmarks"])
def test_python_modules_do_not_go_round_in_circles(folder):
    graph = imports(folder, folder if (ROOT / folder / "__init__.py").exists() else "")
    assert sum(map(len, graph.values())) > len(graph) / 2
    order = graphlib.TopologicalSorter(graph).static_order()
    assert set(order) >= set(graph)  # CycleError names the modules of a circle


@of_source
def test_the_border_imports_nobody():
    imported = re.compile(r"^\s*(from\s+complsparse[\w.]*\s+import|import\s+complsparse)", re.MULTILINE)
    for path in BORDER:
        found = imported.search(path.read_text())
        assert not found, (path, found.group())


@of_source
def test_every_python_module_is_installed():
    listed = set(re.findall(r"'([\w/]+\.pyi?)'", (ROOT / "complsparse" / "meson.build").read_text()))
    present = {path.relative_to(ROOT / "complsparse").as_posix() for path in (ROOT / "complsparse").rglob("*.py")}
    assert listed == present | {"_core.pyi"}


@of_source
def test_every_template_is_installed():
    folder = ROOT / "complsparse" / "hls" / "templates"
    listed = set(re.findall(r"'hls/templates/([\w.]+)'", (ROOT / "complsparse" / "meson.build").read_text()))
    assert listed == {path.name for path in folder.iterdir()}


# --- object files ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def isa_objects():
    """The library of each ISA level that the extension was linked with, where its build folder still is."""
    for tool in ("nm", "objdump", "c++filt"):
        if shutil.which(tool) is None:
            pytest.skip(f"not run: there is no {tool}")
    kept = os.environ.get("COMPLSPARSE_BUILD")
    for folder in [pathlib.Path(kept)] if kept else pathlib.Path(_core.__file__).resolve().parents[:3]:
        levels = [level["name"] for level in _core.isa_levels()]
        built = {name: next(folder.glob(f"src/**/libukr_{name}.a"), None) for name in levels}
        if all(built.values()):
            return built
        assert not kept, f"COMPLSPARSE_BUILD={kept} lacks libraries: {built}"
    pytest.skip("not run: the folder in which the extension was built is gone (COMPLSPARSE_BUILD names it)")


def output_of(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_what_the_linker_may_merge_is_inside_the_namespace_of_its_level(isa_objects):
    """A template compiled with AVX-512 flags must never become the copy that the baseline calls."""
    for level, path in isa_objects.items():
        symbols = [line.split(maxsplit=2) for line in output_of("nm", "--defined-only", "-C", path).splitlines()]
        defined = [(parts[1], parts[2]) for parts in symbols if len(parts) == 3]
        assert defined
        inside = re.compile(rf"\bcs::ukr::{level}::")
        for kind, name in defined:
            if kind in "WwVvuBDGRTCSi":
                assert inside.search(name), (level, kind, name)
            foreign = set(re.findall(r"cs::ukr::(\w+)::", name)) - {level}
            assert not foreign, (level, name)


def test_micro_kernels_call_nothing_but_memory_functions(isa_objects):
    for level, path in isa_objects.items():
        lines = output_of("nm", "-C", "--undefined-only", path).splitlines()
        needed = {line.split()[-1] for line in lines if line.strip() and not line.endswith(":")}
        assert needed <= {"memcpy", "__memcpy_chk", "memset", "memmove", "_GLOBAL_OFFSET_TABLE_"}, (level, needed)


def test_nothing_runs_when_a_level_is_loaded(isa_objects):
    """A constructor would run AVX-512 code on a CPU without it."""
    for level, path in isa_objects.items():
        sections = output_of("objdump", "-h", path)
        assert ".text" in sections
        assert not re.search(r"\.init_array|\.ctors|\.preinit", sections), level


def test_the_baseline_uses_no_wide_registers(isa_objects):
    code = output_of("objdump", "-d", "--no-show-raw-insn", isa_objects[BASELINE])
    assert "ret" in code
    assert not re.search(r"%[yz]mm\d|\bvmovaps|\bvfmadd", code)


# --- import ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def extension():
    """The module as the loader sees it."""
    if shutil.which("readelf") is None or not _core.__file__.endswith(".so"):
        pytest.skip("not run: there is no readelf, or the module is no ELF file")
    return _core.__file__


def test_what_the_module_exports(extension):
    """Its entry, and what threadpoolctl looks for; no template that another module could take for its own."""
    symbols = [line.split() for line in output_of("readelf", "--dyn-syms", "-W", extension).splitlines()]
    defined = {s[7] for s in symbols if len(s) == 8 and s[4] in ("GLOBAL", "WEAK", "UNIQUE") and s[6] != "UND"}
    assert defined == {"PyInit__core", "complsparse_get_num_threads", "complsparse_set_num_threads"}


def test_the_module_is_hardened(extension):
    segments = output_of("readelf", "-lW", extension)
    assert "GNU_RELRO" in segments
    assert re.search(r"GNU_STACK\s.*\bRW\b", segments), "the stack is not executable"
    assert re.search(r"\bNOW\b", output_of("readelf", "-dW", extension)), "the loader's tables become read-only"
    needed = output_of("readelf", "--dyn-syms", "-W", extension)
    assert "__stack_chk_fail" in needed
    assert "__memcpy_chk" in needed


def of_control_flow(path):
    """What each object in a file says that it keeps to: IBT, entries that indirect calls may have; SHSTK, returns to
    where the call came from."""
    notes = output_of("readelf", "-nW", path)
    return [set(found.split(", ")) for found in re.findall(r"x86 feature: (\w+(?:, \w+)*)", notes)]


@pytest.mark.skipif(platform.machine() != "x86_64", reason="not run: a matter of x86")
def test_the_module_can_have_a_shadow_stack(extension, isa_objects):
    """Also where the start files that the compiler links say nothing; then it has no IBT, which all of ours have."""
    for level, path in isa_objects.items():
        assert {"IBT", "SHSTK"} <= set.intersection(*of_control_flow(path)), level
    assert len(of_control_flow(extension)) == 1
    assert "SHSTK" in of_control_flow(extension)[0]


def test_the_module_has_no_storage_of_threads(extension):
    """The loader ends the process where a thread finds no memory for it."""
    assert not re.search(r"^\s*TLS\b", output_of("readelf", "-lW", extension), re.MULTILINE)


def fresh(code, **variables):
    unwanted = ("COMPLSPARSE", "COVERAGE", *variables)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    environment |= {name: value for name, value in variables.items() if value is not None}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.budget
def test_import_adds_little_time(tmp_path):
    """Of an installed package, whose modules are compiled; CPU time, because other processes are no fault of ours."""
    code = """
import numpy, scipy.sparse, time
start = time.process_time()
import complsparse
print(time.process_time() - start)
"""
    compiled = {"PYTHONDONTWRITEBYTECODE": None, "PYTHONPYCACHEPREFIX": str(tmp_path)}
    fresh(code, **compiled)
    best = 1.0
    for _ in range(8):
        best = min(best, float(fresh(code, **compiled)))
        if best <= 0.050:
            break
    assert best <= 0.050


def test_import_loads_nothing_optional():
    code = """
import sys, numpy, scipy.sparse
before = set(sys.modules)
import complsparse as cs
W = cs.from_dense(numpy.eye(3))
W @ numpy.ones(3)
print(*sorted({name.partition(".")[0] for name in set(sys.modules) - before}))
"""
    loaded = set(fresh(code).split())
    assert "complsparse" in loaded
    optional = {
        "rich",
        "matplotlib",
        "mkl",
        "safetensors",
        "torch",
        "onnx",
        "pandas",
        "IPython",
        "pytest",
        "hypothesis",
    }
    assert not loaded & optional
    assert not {name for name in loaded if name.startswith("sparse_dot_mkl")}


def test_names_and_sub_packages_are_found_on_first_use():
    code = """
import sys, complsparse as cs
later = {module for module in cs._LATER.values() if module in sys.modules}
cs._LATER["_cli"] = "complsparse._cli"  # as a public sub-package would stand there
print(len(later), cs.load.__name__, cs._cli.__name__, set(cs._LATER) <= set(dir(cs)))
"""
    assert fresh(code).split() == ["0", "load", "complsparse._cli", "True"]


# --- the kernel table ------------------------------------------------------------------------------------------------


def test_rows_of_the_table():
    """Names are unique and say kind, type, tile and level; every level has its rows."""
    table = cs.microkernels()
    names = [row["name"] for row in table]
    assert len(set(names)) == len(names)
    supported = {level["name"]: level["supported"] for level in _core.isa_levels()}
    types = {name for product in _core.products() for name in product.values()}
    for row in table:
        kind = re.fullmatch(rf"([a-z_]+)_{row['type']}_(?:[\dsxwgobf_]+_)?{row['isa']}", row["name"])
        assert kind, row
        # A kind reads one layout; row groups may share their columns.
        if row["op"] in ("spmm", "spmv", "spspmm"):
            assert row["layout"].endswith(kind.group(1)), row
        assert row["runnable"] == supported[row["isa"]]
        if row["op"] == "spmm" and "x{}_".format(row["tile"][1]) not in row["name"]:
            raise AssertionError(row)
    assert {row["isa"] for row in table} == set(supported)
    weakest = next(iter(supported))
    of_bytes = {"s8u8s32", "s8s8s32"}
    for layout in ("row_groups", "columns"):  # those that serve every matrix; other kinds leave types out
        found = {row["type"] for row in table if row["layout"] == layout and row["isa"] == weakest}
        assert found == set(COMPUTE) | of_bytes, layout
    assert len(types) == len(COMPUTE) + 2
    competing = {row["type"] for row in table if row["layout"] == "vectors" and row["isa"] == weakest}
    assert len(competing) == len(_core.dtypes())  # every type that there is
    assert [level["selected"] for level in _core.isa_levels()].count(True) == 1


def test_the_batches_of_the_tests_fill_every_tile():
    """Tests of products run at every level; with these batches each runnable tile computes whole and in part."""
    for row in cs.microkernels():
        width = row["tile"][1]
        if row["layout"].endswith("row_groups") and row["runnable"]:
            assert {width, width + 1, max(width - 1, 1)} <= set(BATCHES), row["name"]
        if row["op"] == "spmm" and row["layout"] == "stored_rows" and row["runnable"]:  # for wide batches only
            assert {n % width for n in BATCHES if n >= 32} >= {0, 1, width - 1}, row["name"]


def matrices_of_every_layout():
    rng = np.random.default_rng(1)
    for dtype, density in itertools.product(COMPUTE.values(), (0.01, 0.05, 0.2)):
        yield random_csr(rng, (64, 400), density, dtype).packed()
    for problem, dtype in itertools.product(kernels.structured(), COMPUTE.values()):
        yield cs.from_scipy(problem.csr(dtype))
    for height, width in itertools.product((1, 2, 4, 8), (8, 16, 32, 64)):
        yield cs.random((256, 8 * width), set_size=width, block=(height, 1), rng=0)
    for height, width in itertools.product((1, 4), (8, 16, 32)):  # weights that lose nothing as bfloat16, beyond L2
        A = cs.random((1024, width * (_core.cache_sizes()["l2"] // 4096 + 8)), set_size=width, block=(height, 1), rng=0)
        bits = A.tocsr().data.view(np.uint32) & np.uint32(0xFFFF0000)
        yield A.with_values(bits.view(np.float32))
        yield A  # float32 from beyond L2 pays for tiles of its own


@pytest.fixture
def known_costs():
    """The cost constants, which a test may set."""
    known = _core.cost_constants()
    yield known
    _core.set_cost_constants(known)


def products_of_every_layout():
    """Matrices, and the dtype of activations."""
    for W in matrices_of_every_layout():
        yield W, W.dtype
    for height, dtype in itertools.product((1, 4, 8), (np.uint8, np.int8)):
        yield cs.random((64, 128), set_size=8, block=(height, 4), rng=0).astype(np.int8), dtype
    yield from products_of_byte_windows()
    ml_dtypes = pytest.importorskip("ml_dtypes")
    D = cs.complementary_mask((64, 64), set_size=4, block=(16, 2), rng=0)
    yield cs.from_dense(D.astype(ml_dtypes.bfloat16)), np.dtype(ml_dtypes.bfloat16)


def products_of_byte_windows():
    for set_size, dtype in itertools.product((8, 16, 20, 50), (np.uint8, np.int8)):  # quads from windows of each width
        yield cs.random((64, 600), set_size=set_size, rng=0).astype(np.int8), dtype


def test_every_runnable_row_is_chosen_by_some_matrix(known_costs):
    """No dead rows: each runs at its own level, for some matrix and batch. A plan has the tiles of its family up to the
    one that it is named for; of several, a batch as wide as a tile takes it, or what row groups have left beside the
    narrower ones. For rows of the columns layout see tests/test_spspmm.py."""
    of_name = {row["name"]: row for row in cs.microkernels()}
    widest = {}  # of each level, family and batch: the tile that a plan is named for
    # What CPUs of other makers and matrices beyond L2 choose: values of row groups by permutes or by broadcasts, byte
    # windows of the fewest bytes, and wide ones, which are more operations.
    of_costs = [
        (known_costs | {"groups_spread": 0.0, "groups_tile_bytes": 256.0}, products_of_every_layout),
        (known_costs | {"groups_spread": 0.5, "groups_tile_bytes": 128.0}, products_of_every_layout),
        (known_costs | {"byte_step": 1e9, "byte_unpacked": -0.99e9}, products_of_byte_windows),
        (known_costs | {"byte_operation": 0.4}, products_of_byte_windows),
    ]
    for level, (costs, products) in itertools.product(cs.isa_levels(), of_costs):
        _core.set_isa(level)
        _core.set_cost_constants(costs)
        for (W, dtype), n in itertools.product(products(), edges()[1:]):
            x = np.ones((W.shape[1], n), dtype)
            for candidate in range(len(_core.candidates(W, n, dtype))):
                plan = _core.make_plan(W, n, dtype, False, None, None, False, candidate=candidate)
                row = of_name[plan.microkernel]
                key = level, family(row), n
                if widest.get(key, 0) < row["tile"][1]:
                    plan(x)
                    widest[key] = row["tile"][1]
    for row in of_name.values():
        if row["runnable"] and row["op"] in ("spmm", "spmv"):
            width = row["tile"][1]
            others = {other["tile"][1] for other in rows_at(row["isa"]) if family(other) == family(row)} - {width}
            least = max((other for other in others if other < width), default=0) + 1
            takes = range(least, width + 1) if row["layout"].endswith("row_groups") else (width,)
            batches = takes if others else edges()
            assert max(widest.get((row["isa"], family(row), n), 0) for n in batches) >= width, row["name"]


@pytest.mark.parametrize("pattern", [{"set_size": 20}, {"set_size": 16, "block": (4, 1)}], ids=["rows", "blocks"])
def test_choices_are_those_of_plans(isa, pattern):
    """For every batch size of the range that describe() prints, not only its first."""
    W = cs.random((256, 320), rng=0, **pattern)
    choices = W._choices(W.dtype)
    for choice, following in zip(choices, [*choices[1:], {"n_first": 140}], strict=True):
        for n in range(choice["n_first"], following["n_first"]):
            assert W.plan(n=n).microkernel == choice["microkernel"], n


def test_describe_and_choices_name_rows_of_the_table(isa):
    names = {row["name"] for row in cs.microkernels() if row["runnable"]}
    W = random_csr(np.random.default_rng(2), (30, 40), 0.2).packed()
    choices = W._choices(W.dtype)
    assert choices[0]["n_first"] == 1
    for choice in choices:
        assert choice["microkernel"] in names
        assert choice["microkernel"] in strongest(rows_at(isa))
