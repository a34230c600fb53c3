"""A body for each route of the store API: the documents of the API show them, and a test sends them."""

from __future__ import annotations

from typing import Any, Final

WRITE: Final[dict[str, Any]] = {
    "commands": [
        {"method": "upsert", "collection": "people", "id": "ada", "value": {"name": "Ada", "born": 1815}},
        {
            "method": "update",
            "collection": "people",
            "query": "name == $args.name",
            "args": {"name": "Ada"},
            "commands": [{"method": "increment", "path": "seen", "value": 1}],
        },
    ]
}
FIND: Final[dict[str, Any]] = {"collection": "people", "query": "born > 1800", "limit": 10}
FIND_SORTED: Final[dict[str, Any]] = {**FIND, "sort": [{"property": "born", "direction": "desc"}]}
FIND_BY_ID: Final[dict[str, Any]] = {"collection": "people", "id": "ada"}
COUNT: Final[dict[str, Any]] = {"collection": "people", "query": "true"}
REMOTE_EXECUTE: Final[dict[str, Any]] = {"statement": "SYNC CONTEXT (PEERS WHERE true) SELECT * FROM people"}
EXECUTE: Final[dict[str, Any]] = {"statement": "SELECT * FROM people WHERE born > :year", "args": {"year": 1800}}
