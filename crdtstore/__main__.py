"""What `python -m crdtstore` runs: the command line."""

from __future__ import annotations

from crdtstore.cli.main import main

main()
