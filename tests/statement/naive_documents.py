"""Documents of the naive interpreter: what was written at each path, of every type, and what a reader sees of it.

Written from docs/merge.md. Rules: a register, a counter and a map live side by side at a path until they are removed;
the one that was written last is seen. Whatever one statement writes has one time; an INITIAL write is behind all real
ones. A map is seen while something is below it, or while it was written empty.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from crdtstore.query.tree import MISSING

Time: TypeAlias = tuple[bool, int]
"""Whether it is a real write, and which statement it was."""

NEVER: Time = (False, -1)


@dataclass
class Node:
    """All that is at one path."""

    register: Any = MISSING
    register_time: Time = NEVER
    counter: Any = MISSING
    counter_time: Time = NEVER
    empty_time: Time = NEVER
    children: dict[str, Node] = field(default_factory=dict)

    def map_time(self) -> Time:
        """When the map was last written."""
        return max([self.empty_time, *[child.time() for child in self.children.values()]])

    def time(self) -> Time:
        """When anything here was last written."""
        return max(self.register_time, self.counter_time, self.map_time())

    def value(self) -> Any:
        """What a reader sees."""
        time = self.time()
        if time == NEVER:
            return MISSING
        if time == self.map_time():
            return self.fields()
        return self.counter if time == self.counter_time else self.register

    def fields(self) -> dict[str, Any]:
        """The visible fields of a map, in the order of their names in UTF-8."""
        found = [(key, self.children[key].value()) for key in sorted(self.children, key=str.encode)]
        return {key: value for key, value in found if value is not MISSING}

    def copy(self) -> Node:
        """The same, to be written to; values are never changed."""
        children = {key: child.copy() for key, child in self.children.items()}
        return replace(self, children=children)

    # --- writes ---

    def at(self, path: tuple[str, ...]) -> Node:
        """The node at a path, made if need be."""
        node = self
        for key in path:
            node = node.children.setdefault(key, Node())
        return node

    def write(self, value: Any, time: Time) -> None:
        """Write a value: an object key by key, everything else as a whole."""
        if not isinstance(value, dict):
            self.register, self.register_time = value, time
            return
        if not value:
            self.empty_time = time
        for key, each in value.items():
            self.at((key,)).write(each, time)

    def remove(self, path: tuple[str, ...]) -> None:
        """Remove what is at a path and below, of every type."""
        self.at(path[:-1]).children.pop(path[-1], None)

    def keep(self, path: tuple[str, ...], time: Time) -> None:
        """See to it that there is an object at a path, though nothing is in it."""
        node = self.at(path)
        if node.value() is MISSING:
            node.empty_time = time

    def can_count(self) -> bool:
        """Whether there is a counter to be seen, or nothing."""
        return self.time() == NEVER or (self.counter_time == self.time() and self.map_time() != self.time())

    def increment(self, amount: Any, time: Time) -> None:
        """Add to the counter."""
        before = 0 if self.counter is MISSING else self.counter
        self.counter, self.counter_time = before + amount, time

    def restart(self, start: Any, time: Time) -> None:
        """Begin a counter anew."""
        self.counter, self.counter_time = start, time
