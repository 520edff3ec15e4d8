# SPDX-License-Identifier: BSD-3-Clause
"""What a command line of this folder imports first when it is started as a file.

Python puts the folder of the file first on its path. Its modules are those of the package `benchmarks`, found in the
folder above, which comes last: the complsparse that is measured is the installed one, not a checkout without its
extension.
"""

import sys
from pathlib import Path

_folder = Path(__file__).resolve().parent
sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != _folder]
sys.path.append(str(_folder.parent))
