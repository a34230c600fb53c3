"""Where a store's tables live: read views, one write transaction, and values that are sealed.

Rules: `interface.py` is what the layers above see; `environment.py` opens a directory through the compiled
core, or through `adapter.py` where there is none; `memory.py` is the same without a disk. All three are held
to one set of tests (`tests/storage/test_contract.py`). Which rows a write makes is not here: see `version/`.
"""

from __future__ import annotations
