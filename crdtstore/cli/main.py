"""Where the console script and `python -m crdtstore` enter.

Rules: the command line needs the extra `server`; without it there is a sentence instead of a traceback.
"""

from __future__ import annotations

import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line and exit."""
    try:
        from crdtstore.cli.group import crdtstore

        crdtstore.main(prog_name="crdtstore")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "crdtstore":
            raise
        sys.exit(f"The command line needs {error.name}: pip install 'crdtstore[server]'.")
    sys.exit()
