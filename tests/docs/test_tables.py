"""Tables of the pages that repeat what the code says: bounds, errors, layers, planted bugs, files.

Rules: the tables between markers are written by the functions here. When one differs, the failure shows the
text that belongs there.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator

import pytest

from crdtstore import errors, limits
from tests.docs.pages import ROOT, marked_block, pages
from tests.laws.planted import PLANTED, PLANTED_IN_JOINS
from tests.laws.test_joins import left_out_unasked
from tests.laws.test_planted_in_specification import IN_JOINS, IN_LOGS, IN_SPECIFICATION

SECTION = re.compile(r"^# --- (.*) ---$")
MENTIONED = re.compile(r"`((?:crdtstore|ext|tests|bench|docs)/[\w/.]+|\.ci/run|setup\.py|pyproject\.toml)`")
WHO_ACTS = {
    errors.CallerError: "the caller: something in the call must change",
    errors.RetryLater: "nobody: the same call may work later",
    errors.StoreError: "whoever runs the store: disk, directory, process",
    errors.ReplicationError: "whoever delivers records: they do not fit this store",
}


def page_of(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def marked(page: str, name: str) -> str:
    """Return what stands between two markers of a page."""
    return page.partition(f"<!-- {name}: begin -->\n")[2].partition(f"<!-- {name}: end -->")[0]


# --- errors ---


def kinds(base: type[errors.CrdtStoreError]) -> Iterator[type[errors.CrdtStoreError]]:
    """Yield the classes below one, in the order of their tree."""
    for kind in base.__subclasses__():
        if kind.__module__ == errors.__name__:
            yield kind
            yield from kinds(kind)


def error_table() -> str:
    """Write who acts on which errors."""
    rows = [
        f"| `{base.__name__}` | {who} | {', '.join(f'`{kind.__name__}`' for kind in kinds(base))} |"
        for base, who in WHO_ACTS.items()
    ]
    return "\n".join(["| class | who must act | errors |", "|---|---|---|", *rows, ""])


def test_every_error_has_somebody_who_acts() -> None:
    assert set(WHO_ACTS) == set(errors.CrdtStoreError.__subclasses__())


# --- bounds ---


def limit_tables(source: str) -> str:
    """Write every bound under the heading of its section, with its value and reason."""
    headings = {
        number: match[1] for number, line in enumerate(source.splitlines(), 1) if (match := SECTION.match(line))
    }
    lines: list[str] = []
    group: list[str] = []
    for node in ast.parse(source).body:
        for number in sorted(number for number in headings if number < node.lineno):
            heading = headings.pop(number)
            title = heading if heading.isupper() else heading[0].upper() + heading[1:]
            lines += ["", f"### {title}", "", "| bound | value | reason |", "|---|---|---|"]
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            group.append(node.target.id)
        elif group and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            names = "<br>".join(f"`{name}`" for name in group)
            values = "<br>".join(value_text(getattr(limits, name)) for name in group)
            lines.append(f"| {names} | {values} | {' '.join(str(node.value.value).split())} |")
            group = []
    return "\n".join([*lines[1:], ""])


def value_text(value: float) -> str:
    """Write a bound's value."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,g}"


def limits_of_the_code() -> str:
    return limit_tables((ROOT / "crdtstore" / "limits.py").read_text(encoding="utf-8"))


@pytest.mark.parametrize(("name", "table"), [("errors", error_table()), ("limits", limits_of_the_code())])
def test_the_tables_of_embedding_are_those_of_the_code(name: str, table: str) -> None:
    found = marked(page_of("embedding.md"), name)
    assert found == table, f"Between the markers `{name}` of docs/embedding.md belongs:\n{table}"


def test_every_bound_stands_in_the_tables() -> None:
    bounds = {name for name in vars(limits) if name.isupper()}
    assert bounds <= set(re.findall(r"`([A-Z_]+)`", limits_of_the_code()))


def test_bounds_that_share_a_reason_share_a_row() -> None:
    source = (
        '# --- versions ---\n\nWAITERS_MAX: int = 1\nREADERS_MAX: int = 1\n"""One\nreason."""\n\n'
        '# --- HTTP ---\n\nWAIT_SECONDS_DEFAULT: float = 1\n"""Other."""\n'
    )
    assert limit_tables(source) == (
        "### Versions\n\n| bound | value | reason |\n|---|---|---|\n"
        "| `WAITERS_MAX`<br>`READERS_MAX` | 10,000<br>1,024 | One reason. |\n\n"
        "### HTTP\n\n| bound | value | reason |\n|---|---|---|\n"
        "| `WAIT_SECONDS_DEFAULT` | 5 | Other. |\n"
    )


# --- layers ---


def layers_of_the_picture() -> list[list[str]]:
    """Read the lines of the picture: the packages on one line, from above."""
    picture = marked_block(page_of("architecture.md"), "layers")
    return [re.findall(r"[a-z_]+", line.partition("  ")[0]) for line in picture.splitlines()]


def layers_of_the_project() -> list[list[str]]:
    """The layers that import-linter holds the package to, as far as they exist; entry points left out."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    [contract] = [each for each in config["tool"]["importlinter"]["contracts"] if each["type"] == "layers"]
    named = [[name for name in re.findall(r"\w+", layer) if name[0] != "_"] for layer in contract["layers"]]
    package = ROOT / "crdtstore"
    existing = [
        [name for name in names if (package / name / "__init__.py").exists() or (package / f"{name}.py").exists()]
        for names in named
    ]
    return [names for names in existing if names]


def test_the_picture_shows_the_layers() -> None:
    assert layers_of_the_picture() == layers_of_the_project()


# --- planted bugs and files ---


def test_every_planted_bug_stands_on_the_page_of_merging() -> None:
    planted = {bug.plant.__name__ for bug in (*IN_SPECIFICATION, *IN_LOGS, *IN_JOINS)}
    planted |= {bug.bug.__name__ for bug in (*PLANTED, *PLANTED_IN_JOINS)} | {left_out_unasked.__name__}
    table = page_of("merge.md").partition("| rule | without it | planted |\n")[2].partition("\n\n")[0]
    named = [name for row in table.splitlines()[1:] for name in re.findall(r"`(\w+)`", row.split("|")[3])]
    assert sorted(named) == sorted(planted)


def missing_files(text: str) -> list[str]:
    """Find files of the project that a text names and that do not exist."""
    return [name for name in MENTIONED.findall(text) if not (ROOT / name).exists()]


def test_every_file_that_a_page_names_exists() -> None:
    assert {
        str(page.relative_to(ROOT)): missing
        for page in pages()
        if (missing := missing_files(page.read_text(encoding="utf-8")))
    } == {}
    assert missing_files("`tests/docs`, `tests/nowhere.py`, `setup.py`") == ["tests/nowhere.py"]
