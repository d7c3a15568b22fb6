"""Measurements, by `make bench`; none of them is a test."""

import sys
from pathlib import Path

# The kits of the tests import each other as pytest lets them: from this folder.
sys.path.insert(0, str(Path(__file__).parents[1]))
