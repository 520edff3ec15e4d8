# SPDX-License-Identifier: BSD-3-Clause
"""The documents tell the truth: their code runs, their links lead somewhere, the tests that they name exist."""

import doctest
import importlib
import importlib.util
import pathlib
import pkgutil
import re

import pytest

import complsparse

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/*.md")])
MODULES = sorted(
    {m.name for m in pkgutil.walk_packages(complsparse.__path__, "complsparse.")} - {"complsparse.__main__"}
)
FLAGS = doctest.NORMALIZE_WHITESPACE

FENCE = re.compile(
    r"^(?:<!-- (?P<mark>\w+)\b[^\n]* -->\n)?```(?P<language>\S*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)
FOLLOWED = {"file", "after", "instead", "run", "session"}  # by tests/test_developer_pages.py, in a copy of the tree
NEEDS = re.compile(r"^<!-- needs: (?P<packages>[\w ]+) -->$", re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:)(?P<target>[^)#]+)(#[^)]*)?\)")
TEST_ID = re.compile(r"`(?P<file>(?:tests|benchmarks)/[\w/]+\.py)(?:::(?P<name>\w+))?`")
LANGUAGES = {"pycon", "sh", "text", "cpp", "meson", "{toctree}", "{eval-rst}", "{include}"}

named = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def prose(page):
    """A page without its code."""
    return FENCE.sub("", page.read_text())


def run_doctest(test):
    output = []
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    runner.run(test, out=output.append, clear_globs=False)
    assert runner.failures == 0, "".join(output)


@named
def test_code_of_a_page_runs(page, request):
    """The interactive sessions of a page, from top to bottom, in one namespace; DATA is the folder of real data."""
    text = page.read_text()
    needed = NEEDS.search(text)
    namespace = {}
    for package in needed["packages"].split() if needed else ():
        if package == "DATA":
            namespace["DATA"] = request.getfixturevalue("data_folder")
        else:
            pytest.importorskip(package, reason=f"not run: {package} is not installed")
    for block in FENCE.finditer(text):
        if block["mark"] in FOLLOWED:
            continue
        assert block["language"] in LANGUAGES, f"a block of {block['language']!r} would not be run"
        if block["language"] == "pycon":
            line = text.count("\n", 0, block.start("code"))
            test = doctest.DocTestParser().get_doctest(block["code"], namespace, page.name, str(page), line)
            assert test.examples
            run_doctest(test)
            namespace = test.globs


@pytest.mark.slow
def test_figures_of_the_theory_page(tmp_path):
    """They draw, from the matrix of the page, and none is missing or left over."""
    spec = importlib.util.spec_from_file_location("figures_theory", ROOT / "docs" / "figures" / "theory.py")
    figures = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(figures)
    figures.draw(tmp_path)
    drawn = {path.name for path in tmp_path.iterdir()}
    assert drawn == {path.name for path in (ROOT / "docs" / "images").glob("theory-*")}
    page = ROOT / "docs" / "theory.md"
    assert drawn == set(re.findall(r"\(images/(theory-.*?)\)", page.read_text()))
    first = re.search(r"```pycon\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)[1]
    code = "\n".join(line[4:] for line in first.splitlines() if line.startswith((">>> ", "... ")))
    namespace = {}
    exec(code, namespace)
    for of_page, of_figure in (("A", "A"), ("x", "X"), ("x_sparse", "X_SPARSE")):
        assert namespace[of_page].tolist() == getattr(figures, of_figure).tolist()


@named
def test_links_of_a_page_lead_somewhere(page):
    for link in LINK.finditer(prose(page)):
        assert (page.parent / link["target"]).exists(), link["target"]


@named
def test_claims_name_tests_that_exist(page):
    for found in TEST_ID.finditer(prose(page)):
        path = ROOT / found["file"]
        assert path.is_file(), found[0]
        if found["name"]:
            assert re.search(rf"^\s*def {found['name']}\(", path.read_text(), re.MULTILINE), found[0]


@pytest.mark.parametrize("name", ["complsparse", *MODULES])
def test_examples_of_docstrings_run(name):
    if name.startswith("complsparse.torch"):
        pytest.importorskip("torch", reason="not run: torch is not installed")
    if name.startswith("complsparse.onnx."):
        for package in ("onnx", "onnxruntime", "onnxscript"):
            pytest.importorskip(package, reason=f"not run: {package} is not installed")
    module = importlib.import_module(name)
    for test in doctest.DocTestFinder(exclude_empty=True).find(module):
        if test.examples:
            run_doctest(test)


@pytest.mark.parametrize("name", [name for name in complsparse.__all__ if isinstance(getattr(complsparse, name), type)])
def test_examples_of_public_classes_run(name):
    """They name the package as their module, where doctest does not look for their methods."""
    for test in doctest.DocTestFinder(exclude_empty=True).find(getattr(complsparse, name), name, module=False):
        if test.examples:
            run_doctest(test)


@pytest.mark.parametrize("name", complsparse.__all__)
def test_public_names_are_documented(name):
    documented = getattr(complsparse, name)
    if callable(documented):
        assert documented.__doc__
    assert re.search(rf"\b{name}\b", (ROOT / "docs" / "reference.md").read_text()) or name == "__version__"


def test_readme_and_ci_run_the_same_commands():
    text = (ROOT / "README.md").read_text()
    for marker, last in (("demo", "complsparse demo"), ("test", "bin/pytest")):
        block = re.search(rf"^<!-- {marker} -->\n```sh\n(.*)\n```$", text, re.MULTILINE)
        assert block is not None
        assert block[1].endswith(last)


def test_pages_of_the_documentation_are_all_in_a_table_of_contents():
    listed = set()
    for page in ROOT.glob("docs/**/*.md"):
        for block in FENCE.finditer(page.read_text()):
            if block["language"] == "{toctree}":
                entries = (line.strip() for line in block["code"].splitlines())
                for entry in entries:
                    if entry and not entry.startswith(":"):
                        listed |= set(page.parent.glob(f"{entry}.md"))
    missing = {path for path in ROOT.glob("docs/**/*.md") if "_build" not in path.parts} - listed
    assert {path.relative_to(ROOT / "docs").as_posix() for path in missing} <= {"index.md"}
