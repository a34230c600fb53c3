"""Every planted bug is caught, by a history of exactly the size at which it first shows.

Here they are planted in the model; `test_planted_in_specification` plants them in the modules of
`crdtstore`. The unbroken engines pass the same histories (`test_small_histories`), so what is caught is the
bug.
"""

from __future__ import annotations

import pytest

from tests.laws.checker import Laws, first_violation
from tests.laws.histories import CLIENTS, MENU, ORIGINS, shuffled_histories
from tests.laws.joins import JoinLaws
from tests.laws.operations import Put, Remove
from tests.laws.planted import PLANTED, PLANTED_IN_JOINS, NoCausalityCheck, Planted


def hold_against(planted: Planted, laws: type[Laws]) -> None:
    """The bug shows at its size and not before."""
    for smaller in range(1, planted.size):
        menu = planted.menu or (MENU if smaller == 1 else MENU[:4])
        assert first_violation(planted.bug(), shuffled_histories(smaller, menu), laws) is None, "it shows earlier"
    violation = first_violation(planted.bug(), shuffled_histories(planted.size, planted.menu or MENU), laws)
    assert violation is not None, "the bug was not caught"
    assert violation.law == planted.law, str(violation)


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.bug.__name__)
def test_bug_is_caught(planted: Planted) -> None:
    hold_against(planted, Laws)


@pytest.mark.parametrize("planted", PLANTED_IN_JOINS, ids=lambda planted: planted.bug.__name__)
def test_bug_in_joins_is_caught(planted: Planted) -> None:
    hold_against(planted, JoinLaws)


def test_names_of_bugs_are_their_own() -> None:
    bugs = [planted.bug for planted in (*PLANTED, *PLANTED_IN_JOINS)]
    assert len(set(bugs)) == len(bugs)


def test_the_harm_of_each_origins_own_order() -> None:
    """A writes, B has it and removes it; C hears B first: without the check C differs from B for ever."""
    engine = NoCausalityCheck()
    author, remover, late = (engine.open(origin, 1) for origin in ORIGINS[:3])
    put = engine.originate(author, CLIENTS[0], [Put(("d", "x"), 1)])
    engine.deliver(remover, put)
    removal = engine.originate(remover, CLIENTS[1], [Remove(("d",))])
    for record in (removal, put):
        engine.deliver(late, record)
    assert engine.visible(remover) == {}
    assert engine.visible(late) == {"d": {"x": 1}}
    assert remover.vector == late.vector
