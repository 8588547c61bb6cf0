"""One word for one thing: no type name twice in the package, and variables that say what they are."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import cnitrail

PACKAGE = Path(cnitrail.__file__).parent


def trees() -> Iterator[tuple[str, ast.AST]]:
    """Yield the syntax trees of the package by path."""
    for path in sorted(PACKAGE.rglob("*.py")):
        yield str(path.relative_to(PACKAGE)), ast.parse(path.read_text(encoding="utf-8"))


def classes() -> dict[str, list[str]]:
    """Return the paths in which a class of each name is defined."""
    found: dict[str, list[str]] = defaultdict(list)
    for path, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                found[node.name].append(path)
    return found


class TestTypes:
    def test_no_two_public_types_have_the_same_name(self) -> None:
        twice = {
            name: paths for name, paths in classes().items() if len(paths) > 1 and not name.startswith("_")
        }
        assert twice == {}

    def test_no_private_type_has_a_public_name_with_an_underscore(self) -> None:
        found = classes()
        twice = {name: found[name] for name in found if name.startswith("_") and name.lstrip("_") in found}
        assert twice == {}


BY_POSITION = ["history/seconds.py: AddressAction", "model/answer.py: TimelineEntry"]
"""Made in one place each, for every row and every address: by name, that takes twenty times as long."""


class TestFields:
    def test_structs_of_five_or_more_fields_take_them_by_name_only(self) -> None:
        positional = [
            f"{path}: {node.name}"
            for path, tree in trees()
            for node in ast.walk(tree)
            if isinstance(node, ast.ClassDef)
            and any(isinstance(base, ast.Name) and base.id == "Struct" for base in node.bases)
            and sum(isinstance(statement, ast.AnnAssign) for statement in node.body) >= 5
            and "kw_only" not in {keyword.arg for keyword in node.keywords}
        ]
        assert sorted(positional) == BY_POSITION


class TestVariables:
    def test_no_variable_is_called_each(self) -> None:
        found = [
            f"{path}:{node.lineno}"
            for path, tree in trees()
            for node in ast.walk(tree)
            if (isinstance(node, ast.Name) and node.id == "each")
            or (isinstance(node, ast.arg) and node.arg == "each")
        ]
        assert found == []
