"""What a permission means, said once more and apart: a table, and one function that reads it.

Rules: nothing here comes from `crdtstore.auth`, so that a mistake there is not repeated here. What is hidden in the
stores of the matrix has MARK in its ids and values, and in nothing that anybody sends.
"""

from __future__ import annotations

from typing import Final, NamedTuple

MARK: Final = "canary"
EVERYTHING: Final = frozenset({"*"})
NOTHING: Final[frozenset[str]] = frozenset()
MINE: Final = "mine"
THEIRS: Final = "theirs"
NOWHERE: Final = "nowhere"
SOME: Final = "some of mine"
"""Those documents of MINE whose `owner` is OWNER, by a rule."""

OWNER: Final = "me"
RULE: Final = f"owner == '{OWNER}'"
OTHER_MARK: Final = "parrot"
"""What is in ids and values of the other documents of MINE."""

FILLED: Final = frozenset({MINE, THEIRS})
"""The collections that hold something."""

MARKS: Final = {THEIRS: MARK, MINE: OTHER_MARK}
"""What says that somebody was told of a collection."""


class Need(NamedTuple):
    """One thing that a request must be allowed to do."""

    what: str
    """`read` or `write` a collection, be it some documents of it; `read whole`, `write whole`: every document of it;
    `read all`: the whole store; `write some`: any collection; `peers`, `full`; and `known`: any key will do."""

    collection: str = ""


class Held(NamedTuple):
    """Who asks, and what he was given; `known` says whether the credential is one at all."""

    name: str
    read: frozenset[str] = NOTHING
    write: frozenset[str] = NOTHING
    remote: bool = False
    known: bool = True


CALLERS: Final = (
    Held("none", known=False),
    Held("malformed", known=False),
    Held("wrong", known=False),
    Held("expired", known=False),
    Held("revoked", known=False),
    Held("token, forged", known=False),
    Held("token, ended", known=False),
    Held("account, wrong password", known=False),
    Held("nothing"),
    Held("reads all", read=EVERYTHING),
    Held("reads all and asks peers", read=EVERYTHING, remote=True),
    Held("writes all", write=EVERYTHING),
    Held("reads mine", read=frozenset({MINE})),
    Held("writes mine", write=frozenset({MINE})),
    Held("reads and writes mine", read=frozenset({MINE}), write=frozenset({MINE})),
    Held("reads mine, writes all", read=frozenset({MINE}), write=EVERYTHING),
    Held("reads all, writes mine", read=EVERYTHING, write=frozenset({MINE})),
    Held("reads some", read=frozenset({SOME})),
    Held("writes some", write=frozenset({SOME})),
    Held("reads and writes some", read=frozenset({SOME}), write=frozenset({SOME})),
    Held("reads mine, writes some", read=frozenset({MINE}), write=frozenset({SOME})),
    Held("reads some, writes mine", read=frozenset({SOME}), write=frozenset({MINE})),
    Held("token, reads mine, writes some", read=frozenset({MINE}), write=frozenset({SOME})),
    Held("account, reads some, writes mine", read=frozenset({SOME}), write=frozenset({MINE})),
    Held("everything", read=EVERYTHING, write=EVERYTHING, remote=True),
)
"""The credentials of the matrix."""


def is_allowed(held: Held, needs: tuple[Need, ...]) -> bool:
    """Whether somebody may do all that a request does."""
    return all(has(held, need) for need in needs)


def has(held: Held, need: Need) -> bool:
    """Whether somebody may do one thing."""
    reads_all, writes_all = held.read == EVERYTHING, held.write == EVERYTHING
    name = need.collection
    return {
        "known": True,
        "read": reads_all or name in held.read or (name == MINE and SOME in held.read),
        "read whole": reads_all or name in held.read,
        "write": writes_all or name in held.write or (name == MINE and SOME in held.write),
        "write whole": writes_all or name in held.write,
        "read all": reads_all,
        "write some": bool(held.write),
        "peers": reads_all and held.remote,
        "full": reads_all and writes_all,
    }[need.what]


def sees(held: Held, *, touches: bool) -> frozenset[str]:
    """What a store holds in which there is nothing but what concerns somebody's request.

    Args:
        held: Who asks.
        touches: Whether it writes documents by their ids, which are taken for everybody.
    """
    touched = held.read | held.write if touches else held.read
    if touched >= EVERYTHING:
        return FILLED
    return touched & (FILLED if MINE in touched else FILLED | {SOME})
