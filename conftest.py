"""Makes the engine importable from a checkout.

ComfyUI wants an `__init__.py` beside this file; with it pytest takes the whole checkout for a package and puts the
folder above it, not the checkout, on the import path.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
