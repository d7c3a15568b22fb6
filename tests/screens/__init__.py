"""The pictures in docs/screens.md, of the real pages of a real server, by `make screenshots`."""

import sys
from pathlib import Path

# The kits of the tests import each other as pytest lets them: from this folder.
sys.path.insert(0, str(Path(__file__).parents[1]))
