"""Readable reference code for the book; the import order is the reading order."""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: spinning threads

__version__ = "0.1.0"
