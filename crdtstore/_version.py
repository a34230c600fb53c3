"""The version of this package: the one place that holds it, read by `pyproject.toml` at build time.

Rules: semantic versioning. The version of the stored format is counted apart and is not here.
"""

from __future__ import annotations

__version__ = "0.1.0"
