"""The garbage collector of a server's process: it looks at what requests leave, not at what the server is made of.

Rules: what there is when a server begins to serve stays until it ends, so it is not looked at again. Hardly any request
leaves a cycle, while each makes some hundred objects: a look is taken once in GARBAGE_OBJECTS objects more, and cycles
are collected then as ever. Both hold for the whole process, so whoever owns that calls this, not a server.
"""

from __future__ import annotations

import gc

from crdtstore.limits import GARBAGE_OBJECTS


def settle_garbage() -> None:
    """Collect once, and look from then on at what comes later, less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_OBJECTS, *gc.get_threshold()[1:])
