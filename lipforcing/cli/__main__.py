"""``python -m lipforcing.cli``."""

import sys

from . import main

sys.exit(main())
