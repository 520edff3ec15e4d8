# SPDX-License-Identifier: BSD-3-Clause
"""The developer pages that show how something is added, followed to the letter in a copy of the tree.

A comment above a block of a page says what is done with it:

    <!-- file: PATH -->             it is a new file
    <!-- after: PATH: TEXT -->      it comes after the only line of a file that has this text
    <!-- instead: PATH: TEXT -->    it takes the place of that line
    <!-- run -->                    commands that pass in the copy, when all examples are in it and built
    <!-- session -->                what Python answers then

COMPLSPARSE_PAGES=alone follows each page in a copy of its own, optimised, and runs all tests on the copy of the page
about ISA levels: no test knows the levels by name.
"""

import importlib.metadata
import importlib.util
import os
import pathlib
import re
import shutil
import subprocess
import sys
import sysconfig

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "developer"
PAGES = sorted(path.stem for path in FOLDER.glob("add-*.md"))
BLOCK = re.compile(
    r"^(?:<!-- (?P<mark>\w+)(?:: (?P<path>[^\s:]+)(?:: (?P<line>.+?))?)? -->\n)?"
    r"```(?P<language>\S*)\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
NOT_COPIED = {"build", "dist", "results"}  # beside what is hidden: what builds and measurements leave in a checkout

alone = os.environ.get("COMPLSPARSE_PAGES") == "alone"
of_source = pytest.mark.skipif(not (ROOT / "src").is_dir(), reason="not run: the source tree is absent")


def pip_takes_lists():
    """Older ones keep the last of several settings of one name."""
    if importlib.util.find_spec("pip") is None:
        return False
    return [int(part) for part in re.findall(r"\d+", importlib.metadata.version("pip"))[:2]] >= [23, 1]


built = pytest.mark.skipif(not pip_takes_lists(), reason="not run: there is no pip 23.1 or newer")


def blocks(page, *marks):
    found = [block.groupdict() for block in BLOCK.finditer((FOLDER / f"{page}.md").read_text())]
    return [block for block in found if block["mark"] in marks]


def copy_of_the_tree(folder):
    folder.mkdir()
    for entry in ROOT.iterdir():
        if entry.name.startswith(".") or entry.name.split("-")[0] in NOT_COPIED:
            continue
        if entry.is_dir():
            shutil.copytree(entry, folder / entry.name, ignore=shutil.ignore_patterns("__pycache__", "_build"))
        else:
            shutil.copy(entry, folder)
    return folder


def apply(page, copy):
    """Puts the examples of a page into the copy; returns the lines that existing files gained, and the new files."""
    lines, files = 0, []
    for block in blocks(page, "file", "after", "instead"):
        path = copy / block["path"]
        if block["mark"] == "file":
            assert not path.exists(), path
            path.write_text(block["code"])
            files.append(block["path"])
            continue
        text = path.read_text()
        (line,) = [line for line in text.splitlines(keepends=True) if block["line"] in line]  # the only one
        path.write_text(text.replace(line, ("" if block["mark"] == "instead" else line) + block["code"]))
        lines += block["code"].count("\n")
    return lines, files


class Environment:
    """An environment of its own for the package of a copy, with all packages of this one beside it."""

    def __init__(self, folder):
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
        self.programs = folder / "bin"
        self.python = self.programs / "python"
        self.site = pathlib.Path(sysconfig.get_path("platlib", "venv", {"base": folder, "platbase": folder}))
        # Paths alone: what they hold to find packages elsewhere, such as an editable installation, is not read.
        others = {path for path in sys.path if path.rstrip("/").endswith("-packages")}
        (self.site / "others.pth").write_text("".join(f"{path}\n" for path in sorted(others)))
        pytest_program = self.programs / "pytest"
        pytest_program.write_text(f"#!{self.python}\nimport sys\nfrom pytest import main\nsys.exit(main())\n")
        pytest_program.chmod(0o755)
        # Nor what names the folder that this package was built in: the copy's build would take its place.
        ours = ("COMPLSPARSE", "PYTEST", "PIP_CONFIG_SETTINGS")
        passed = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        path = os.pathsep.join([str(self.programs), os.path.dirname(sys.executable), os.environ["PATH"]])
        beside = ROOT.parent / "shared" / "data"
        data = os.environ.get("COMPLSPARSE_DATA") or (beside if beside.is_dir() else "")
        self.variables = passed | {"PATH": path, "COMPLSPARSE_DATA": str(data)}

    def run(self, command, folder):
        done = subprocess.run(
            command, cwd=folder, env=self.variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert done.returncode == 0, f"{command}\n{done.stdout[-6000:]}"

    def install(self, copy, *options):
        """The package of a copy, built with what is here, if that is all there must be."""
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", self.site, copy]
        here = all(importlib.util.find_spec(name) for name in ("mesonpy", "mesonbuild", "ninja", "Cython"))
        isolation = ["--no-build-isolation"] if here else []
        build = copy.parent / "build"
        settings = [f"-Cbuild-dir={build}", *(f"-Csetup-args={option}" for option in options)]
        self.run([*command, *isolation, *settings], copy.parent)
        self.variables["COMPLSPARSE_BUILD"] = str(build)  # whose object files tests/test_build.py reads


def follow(pages, folder, *options):
    """Follows the pages in one copy, which is built; returns it and its environment."""
    copy = copy_of_the_tree(folder / "copy")
    for page in pages:
        apply(page, copy)
    environment = Environment(folder / "environment")
    environment.install(copy, *options)
    for page in pages:
        sessions = blocks(page, "session")
        if sessions:
            session = folder / f"{page}.txt"
            session.write_text("\n".join(block["code"] for block in sessions))
            environment.run([environment.python, "-m", "doctest", session], folder)
        for block in blocks(page, "run"):
            environment.run(["bash", "-euo", "pipefail", "-c", block["code"]], copy)
    return copy, environment


@of_source
@pytest.mark.parametrize("page", PAGES)
def test_examples_fit_the_tree(page, tmp_path):
    """No build: each text is found once, and all code of the page is followed."""
    copy = copy_of_the_tree(tmp_path / "copy")
    apply(page, copy)
    assert not [block for block in blocks(page, None) if block["language"] not in ("sh", "text")]
    assert blocks(page, "run", "session")


@of_source
@pytest.mark.slow
@built
@pytest.mark.skipif(alone, reason="not run: each page is followed alone")
def test_pages_can_be_followed_together(tmp_path):
    """One build, not optimised, because nobody waits for what it computes."""
    follow(PAGES, tmp_path, "-Dbuildtype=plain", "-Dwerror_core=true")


@of_source
@pytest.mark.slow
@built
@pytest.mark.skipif(not alone, reason="not run: COMPLSPARSE_PAGES=alone asks for it")
@pytest.mark.parametrize("page", PAGES)
def test_page_can_be_followed_alone(page, tmp_path):
    copy, environment = follow([page], tmp_path, "-Dwerror_core=true")
    if page == "add-an-isa":
        environment.run(["pytest", "-q", "--ignore=tests/test_developer_pages.py"], copy)
