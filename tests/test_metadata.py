# SPDX-License-Identifier: BSD-3-Clause
"""What is written about the project in several places is the same in all of them."""

import importlib.metadata
import pathlib
import re
import tomllib

import pytest

import complsparse as cs

ROOT = pathlib.Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CITATION = (ROOT / "CITATION.cff").read_text()
CHANGELOG = (ROOT / "CHANGELOG.md").read_text()


def cited(key):
    return re.search(rf"^{key}: (.*)$", CITATION, re.MULTILINE)[1]


def test_the_version_is_the_same_everywhere():
    assert PROJECT["version"] == cs.__version__ == cited("version")
    assert importlib.metadata.version("complsparse") == cs.__version__


def test_the_version_is_in_the_changelog_with_the_date_of_its_release():
    first = re.search(r"^## \[(?P<version>[\d.]+)\] - (?P<date>\d{4}-\d\d-\d\d)$", CHANGELOG, re.MULTILINE)
    assert first["version"] == cs.__version__
    assert first["date"] == cited("date-released")


def test_licence_and_name_are_the_same():
    assert (cited("license"), cited("title")) == (PROJECT["license"], PROJECT["name"])


def test_classifiers_name_the_versions_of_python():
    named = {c.rpartition(" ")[2] for c in PROJECT["classifiers"] if re.search(r"Python :: 3\.\d+$", c)}
    least = PROJECT["requires-python"].removeprefix(">=")
    assert min(named, key=lambda version: int(version.partition(".")[2])) == least
    assert "Typing :: Typed" in PROJECT["classifiers"]


def test_no_address_is_made_up():
    """Names that are reserved for examples lead nowhere; https where there are addresses."""
    cited_ones = re.findall(r"^(?:url|repository\S*): (\S+)$", CITATION, re.MULTILINE)
    for address in [*PROJECT.get("urls", {}).values(), *cited_ones]:
        assert re.match(r"https://(?![^/]*\bexample\b)", address), address


def test_extras_that_errors_name_exist():
    extras = set(PROJECT["optional-dependencies"])
    named = set()
    for path in [*(ROOT / "complsparse").rglob("*.py"), *ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        named |= {
            name for group in re.findall(r"complsparse\[([\w,]+)\]", path.read_text()) for name in group.split(",")
        }
    assert {"plot", "completion", "bfloat16"} <= named <= extras
    for listed in PROJECT["optional-dependencies"].values():
        for own in (re.match(r"complsparse\[(.*)\]", requirement) for requirement in listed):
            assert own is None or set(own[1].split(",")) <= extras


@pytest.mark.parametrize("path", sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.md")), ids=lambda path: path.name)
def test_templates_of_issues_have_what_the_form_needs(path):
    head = re.match(r"---\n(.*?)\n---\n", path.read_text(), re.DOTALL)[1]
    assert [line.partition(":")[0] for line in head.splitlines()] == ["name", "about", "labels"]


def test_the_security_page_says_how_to_report():
    text = (ROOT / "SECURITY.md").read_text()
    assert "## Reporting" in text
    assert "private" in text
