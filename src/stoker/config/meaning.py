"""What each key means: the text below it in the schema, which is written for the user to read."""

from __future__ import annotations

import ast
import inspect
import sys
from functools import cache

import msgspec


@cache
def meanings(kind: type[msgspec.Struct]) -> dict[str, str]:
    """Field → meaning, of one table of the schema. A field without text has none."""
    found: dict[str, str] = {}
    body = _classes(kind.__module__)[kind.__name__].body
    for statement, following in zip(body, [*body[1:], ast.Pass()], strict=True):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            found[statement.target.id] = _text(following)
    return found


def purpose(kind: type[msgspec.Struct]) -> str:
    """What a section, or one entry of a list, is for."""
    return _text(_classes(kind.__module__)[kind.__name__].body[0])


@cache
def _classes(module: str) -> dict[str, ast.ClassDef]:
    """Read from the source: at run time Python keeps no text of fields."""
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    return {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}


def _text(statement: ast.stmt) -> str:
    if not isinstance(statement, ast.Expr) or not isinstance(statement.value, ast.Constant):
        return ""
    return " ".join(str(statement.value.value).split())
