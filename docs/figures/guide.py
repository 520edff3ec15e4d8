# SPDX-License-Identifier: BSD-3-Clause
"""Draws the pictures of the guide that show how the library draws: ``python docs/figures/guide.py``.

The roofline and the profile are measured on the machine that runs this. The notebook picture is a photograph: what
`_repr_html_` gives of the two matrices below, in a browser.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
import scipy.sparse

import complsparse as cs
from complsparse._cli.examples import packed_picture
from complsparse._pictures import packing

IMAGES = Path(__file__).resolve().parents[1] / "images"


def notebook_page() -> str:
    full = cs.random((256, 256), set_size=16, rng=0)
    loose = cs.from_scipy(scipy.sparse.random_array((256, 256), density=1 / 16, rng=0), strategy="split")
    shown = "<hr>".join(W._repr_html_() for W in (full, loose))
    return f'<body style="font: 13px sans-serif; margin: 12px; width: 600px">{shown}</body>'


def main(browser: str | None = None) -> None:
    """`browser`: a Chromium for the photograph; without it that picture is left as it is."""
    mpl.use("Agg")
    packing.save(packed_picture(), str(IMAGES / "packing.png"), dpi=130)
    axes = cs.plot_roofline(cs.random((1024, 1024), set_size=16, rng=0))
    axes.figure.savefig(IMAGES / "roofline.png", dpi=110, bbox_inches="tight")
    word = np.random.default_rng(0).standard_normal((1, 1, 32, 32), dtype=np.float32)
    cs.nn.gsc_network("sparse_sparse", rng=0).profile(word, plot=IMAGES / "network-profile.png")
    if browser:
        page = IMAGES / "notebook.html"
        page.write_text(notebook_page())
        size = ["--headless", "--no-sandbox", "--hide-scrollbars", "--window-size=630,570"]
        subprocess.run([browser, *size, f"--screenshot={IMAGES / 'notebook.png'}", page.as_uri()], check=True)
        page.unlink()


if __name__ == "__main__":
    main(*sys.argv[1:])
