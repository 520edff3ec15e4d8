# SPDX-License-Identifier: BSD-3-Clause
"""``python -m complsparse``."""

import sys

from complsparse._cli.main import main

if __name__ == "__main__":
    sys.exit(main())
