"""The types of bodies as JSON Schema, under the names that they have in a document.

Rules: a type is described once, by its name; whoever means it refers to it. None is any value.
"""

from __future__ import annotations

from collections.abc import Iterable
from inspect import cleandoc
from typing import Any, Final, TypeAlias

import msgspec

Schema: TypeAlias = dict[str, Any]

TEMPLATE: Final = "#/components/schemas/{name}"


class Schemas:
    """The types of one document."""

    def __init__(self, types: Iterable[Any]) -> None:
        """Describe types, and all that they are made of."""
        singles = list(dict.fromkeys(single for each in types for single in singles_of(each)))
        references, components = msgspec.json.schema_components(singles, ref_template=TEMPLATE)
        self.by_type = dict(zip(singles, references, strict=True))
        self.components: Schema = {name: tidy(schema) for name, schema in sorted(components.items())}

    def of(self, described: Any) -> Schema:
        """The schema of a type, or of any of several."""
        found = [self.by_type[single] for single in singles_of(described)]
        return {} if not found else found[0] if len(found) == 1 else {"anyOf": found}

    def fields_of(self, struct: Any) -> Iterable[tuple[str, Schema, bool]]:
        """The fields of a type: name, schema, and whether it must be there."""
        if struct is not None:
            schema = self.components[self.by_type[struct]["$ref"].rpartition("/")[2]]
            for name, field in schema["properties"].items():
                yield name, field, name in schema.get("required", ())


def singles_of(described: Any) -> tuple[Any, ...]:
    """The types that a route names: none, one or several."""
    if described is None:
        return ()
    return described if isinstance(described, tuple) else (described,)


def tidy(schema: Any) -> Any:
    """Leave of a description its text, without the indentation of the code."""
    if isinstance(schema, dict):
        # A field may have this name, too.
        return {
            key: cleandoc(value) if key == "description" and isinstance(value, str) else tidy(value)
            for key, value in schema.items()
        }
    return [tidy(item) for item in schema] if isinstance(schema, list) else schema
