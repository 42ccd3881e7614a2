"""`python -m meshtest_k6 ARGUMENTS`: the k6 that a load would use, wherever it is, with these arguments."""

from __future__ import annotations

import os
import sys

from meshtest.errors import UsageError
from meshtest_k6.binary import find

if __name__ == "__main__":
    try:
        os.execv(find(), ["k6", *sys.argv[1:]])
    except UsageError as error:
        sys.exit(str(error))
