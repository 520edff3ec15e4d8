# SPDX-License-Identifier: BSD-3-Clause
"""Sphinx: ``sphinx-build -W docs docs/_build/html`` after ``pip install '.[docs]'``."""

import sys
from pathlib import Path

import complsparse

sys.path.append(str(Path(__file__).parent / "_extensions"))

project = "complsparse"
author = "the complsparse developers"
copyright = "2026, the complsparse developers"
version = release = complsparse.__version__

extensions = ["myst_parser", "numpydoc", "sphinx.ext.autodoc", "mathml"]
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
nitpicky = True  # a reference that leads nowhere is a warning, and .ci/run takes warnings for errors

toc_object_entries_show_parents = "hide"  # "argmax()": the names of the classes would not fit beside the page
autodoc_typehints = "none"  # the docstrings say it in words
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

html_math_renderer = "mathml"
html_theme = "pydata_sphinx_theme"
html_sidebars = {"*": []}  # pages without a section: the width is for the text
html_title = f"complsparse {version}"
html_theme_options = {"show_prev_next": True, "navigation_with_keys": False}
html_show_sourcelink = False
