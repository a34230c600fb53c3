"""A session, as far as it is about statements: everything that they touch is asked for before they run.

Rules: as `session`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from functools import reduce

from crdtstore._version import __version__
from crdtstore.auth.held_store import HeldStore
from crdtstore.crdt.actor import format_actor
from crdtstore.crdt.value import Value
from crdtstore.query.dql.profile import Profile
from crdtstore.query.dql.reach import Reach, reach_of
from crdtstore.statement.answer import Executed
from crdtstore.statement.run import Streamed, parse_kept, stream


class StatementSession(HeldStore, frozen=True, eq=False):
    """One store and one permission."""

    def reach(self, statements: Sequence[str], profile: Profile) -> Reach:
        """What statements touch, all of which the permission covers.

        Raises:
            QuerySyntaxError: One cannot be parsed.
            Forbidden: The permission does not cover all of it.
        """
        reached = reduce(Reach.join, (reach_of(parse_kept(text, profile)) for text in statements), Reach())
        if reached.whole:
            self.permission.check_full()
        for collection in sorted(reached.reads):
            self.permission.check_no_series("read", collection)
        for collection in sorted(reached.reads & reached.writes):
            # Of what is only read, and may not be, there is nothing; what is written must be seen first.
            self.permission.check("read", collection)
        for collection in sorted(reached.writes):
            self.permission.check("write", collection)
        return reached

    def execute(
        self,
        statement: str,
        parameters: Mapping[str, Value] | None,
        *,
        profile: Profile,
        actor: bytes | None,
        after: int | None,
        at: int | None,
        seconds: float | None,
        dry: bool = False,
    ) -> Executed:
        """Run a statement, as `Store.execute`.

        Raises:
            Forbidden: The permission does not cover all that it touches.
        """
        self.reach([statement], profile)
        self.check_author(actor)
        return self.store.execute(
            statement,
            parameters,
            profile=profile,
            actor=actor,
            after=after,
            at=at,
            seconds=seconds,
            once=self.once,
            dry=dry,
        )

    def stream(
        self,
        statement: str,
        parameters: Mapping[str, Value] | None,
        *,
        profile: Profile,
        at: int | None,
        seconds: float | None,
    ) -> AbstractContextManager[Streamed]:
        """Read the rows of a SELECT while they are found, as `Store.stream`.

        Raises:
            Forbidden: The permission does not cover all that it touches.
        """
        self.reach([statement], profile)
        return stream(self.store, statement, parameters, profile=profile, at=at, seconds=seconds)

    def execute_together(
        self,
        statements: Sequence[str],
        parameters: Mapping[str, Value] | None,
        *,
        profile: Profile,
        actor: bytes | None,
        after: int | None,
        seconds: float | None,
        dry: bool = False,
    ) -> tuple[Executed, ...]:
        """Run statements as one transaction, as `Store.execute_together`.

        Raises:
            Forbidden: The permission does not cover all that they touch.
        """
        self.reach(statements, profile)
        self.check_author(actor)
        return self.store.execute_together(
            statements,
            parameters,
            profile=profile,
            actor=actor,
            after=after,
            seconds=seconds,
            once=self.once,
            dry=dry,
        )

    def as_peer(self) -> dict[str, Value]:
        """What statements for peers know of this store, which answers them with whatever it holds.

        Raises:
            Forbidden: The permission does not cover reading the whole store, or asking peers.
        """
        self.permission.check_remote_query()
        return {"peerKeyString": format_actor(self.whole.origin), "version": __version__}
