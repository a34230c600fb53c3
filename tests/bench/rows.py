"""What every row of a comparison says, whatever was measured."""

from __future__ import annotations

import json
from collections.abc import Sequence

from bench.measure import Row
from bench.targets import TARGETS


def check_rows(rows: Sequence[Row]) -> None:
    """Look at the rows of two rounds."""
    for row in rows:
        assert row.runs == 2
        assert row.ours > 0
        assert row.peer_value is not None
        assert row.peer_value > 0
        assert row.ratio is not None
        assert row.holds == TARGETS[row.id].holds(row.ours, row.ratio)
        assert row.peer
        assert "target: " in row.what
        assert "{" not in row.what
        assert json.loads(json.dumps(row._asdict())) == row._asdict()
