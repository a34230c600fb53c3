"""The two rules about who imports whom that import-linter cannot see.

Rules: only `crdtstore/core.py` opens the compiled core, and no module is dead: another one imports it, or it
is where something from outside enters. The layers themselves are a contract in `pyproject.toml`, run by
`test_tools.py`.
"""

from __future__ import annotations

import ast
from pathlib import Path

from tests.tidy.project import ROOT, files, imports, lay, module_name, place, tree

DOOR = "crdtstore/core.py"
CORE = "crdtstore._core"

ENTRIES = {
    "crdtstore": "the public names",
    "crdtstore.client.blocking": "opened by programs of users",
    "crdtstore.cli.main": "the console script and `python -m crdtstore`",
    "crdtstore.__main__": "`python -m crdtstore`",
    "crdtstore._version": "read at build time",
    "crdtstore.query.dql.aggregates": "for statements that are run, which nothing does yet",
    "crdtstore.query.dql.condition": "for statements that are run, which nothing does yet",
    "crdtstore.query.dql.statement_print": "for statements that are run, which nothing does yet",
    "crdtstore.query.rql_search": "for things search over HTTP, which is not served yet",
    "crdtstore.storage.copy_process": "run by its path, in a process of its own",
    "crdtstore.storage.pack_process": "run by its path, in a process of its own",
}


def opened_elsewhere(root: Path) -> list[str]:
    """Find imports of the compiled core outside its one door; only tests hold it beside the plain twins."""
    return [
        f"{place(root, path, line)} imports {name}"
        for path in [*files(root, ".py", under="crdtstore"), *files(root, ".py", under="bench")]
        if path != root / DOOR
        for line, name in imports(tree(path))
        if name == CORE or name.startswith(CORE + ".")
    ]


def dead_modules(root: Path) -> list[str]:
    """Find modules of the package that no other module of it names in an import or as a dotted string."""
    paths = {module_name(root, path): path for path in files(root, ".py", under="crdtstore")}
    named = {name for module, path in paths.items() for name in names_in(path) if name != module}
    packages = {module for module, path in paths.items() if path.name == "__init__.py"}
    return [
        f"{module} is imported by no other module" for module in sorted(set(paths) - named - packages - set(ENTRIES))
    ]


def names_in(path: Path) -> set[str]:
    """Collect what a file imports, with the parents, and the dotted names that it imports by string."""
    module = tree(path)
    full = {name for _, name in imports(module)}
    text = {node.value for node in ast.walk(module) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return full | {name.rpartition(".")[0] for name in full} | {name for name in text if name.startswith("crdtstore.")}


def test_only_the_door_opens_the_core() -> None:
    assert opened_elsewhere(ROOT) == []


def test_a_second_door_is_found(tmp_path: Path) -> None:
    root = lay(
        tmp_path,
        {
            "crdtstore/core.py": "from crdtstore._core import merge\n",
            "crdtstore/store.py": "import os\nfrom crdtstore import _core\n",
            "bench/bench_merge.py": "def run() -> None:\n    import_module('crdtstore._core')\n",
            "tests/test_merge.py": "import crdtstore._core\n",
        },
    )
    assert opened_elsewhere(root) == [
        "crdtstore/store.py:2 imports crdtstore._core",
        "bench/bench_merge.py:2 imports crdtstore._core",
    ]


def test_no_module_is_dead() -> None:
    assert dead_modules(ROOT) == []


def test_a_dead_module_is_found(tmp_path: Path) -> None:
    root = lay(
        tmp_path,
        {
            "crdtstore/__init__.py": "from crdtstore.store import Store\n",
            "crdtstore/store.py": 'LAZY = "crdtstore.cli.serve"\n',
            "crdtstore/cli/__init__.py": "",
            "crdtstore/cli/main.py": "",
            "crdtstore/cli/serve.py": "import crdtstore.cli.serve\n",
            "crdtstore/cli/orphan.py": "import crdtstore.cli.orphan\n",
        },
    )
    assert dead_modules(root) == ["crdtstore.cli.orphan is imported by no other module"]
