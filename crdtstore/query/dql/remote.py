"""A statement for peers: `SYNC CONTEXT (PEERS WHERE condition) SELECT ..` taken apart.

Rules: the condition is an expression on what is known of a peer; what follows is a SELECT, which each peer that fulfils
it runs by itself. Places in what is refused are those of the whole text.

Not here: what is known of a peer, and running the SELECT (`crdtstore.http.store.remote_execute`).
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from crdtstore.query.dql.expression import Expression
from crdtstore.query.dql.profile import Profile
from crdtstore.query.dql.statement_parser import StatementParser

NOT_LINE_END: Final = re.compile(r"[^\n]")


class RemoteStatement(NamedTuple):
    """Which peers are asked, and what."""

    peers: Expression
    select: str


def parse_remote(text: str, profile: Profile) -> RemoteStatement:
    """Read a statement for peers; the SELECT is only looked for, not read.

    Raises:
        QuerySyntaxError: It does not begin as one, or no SELECT follows.
    """
    parser = StatementParser(text, profile)
    parser.expect_word("SYNC")
    parser.expect_word("CONTEXT")
    parser.expect_symbol("(")
    parser.expect_word("PEERS")
    parser.expect_word("WHERE")
    peers = parser.expression()
    parser.expect_symbol(")")
    if parser.word() != "SELECT":
        parser.unexpected("SELECT")
    begin = parser.peek().start
    return RemoteStatement(peers, NOT_LINE_END.sub(" ", text[:begin]) + text[begin:])
