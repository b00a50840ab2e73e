"""Changes to a template before it is compiled, so that nothing in it can run uncounted."""

from __future__ import annotations

from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.parser import Parser


class Generation(Extension):
    """`{% generation %}` marks what training counts as the answer. Here it only prints its body."""

    tags = {"generation"}  # noqa: RUF012

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return list(parser.parse_statements(("name:endgeneration",), drop_needle=True))


def bounded(tree: nodes.Template) -> nodes.Template:
    """Loops check the time at every turn; `a ~ b`, lists and dicts are made by the environment,
    which counts them."""
    for loop in tree.find_all(nodes.For):
        loop.body.insert(0, nodes.ExprStmt(_call("tick", []), lineno=loop.lineno))
        if loop.test is not None:
            loop.test = nodes.And(_call("tick", []), loop.test)
    _rewrite_children(tree)
    return tree


def _rewrite_children(node: nodes.Node) -> None:
    for field, value in list(node.iter_fields()):
        if isinstance(value, nodes.Node):
            setattr(node, field, _rewritten(value))
        elif isinstance(value, list):
            changed = [_rewritten(v) if isinstance(v, nodes.Node) else v for v in value]
            setattr(node, field, changed)


def _rewritten(node: nodes.Node) -> nodes.Node:
    _rewrite_children(node)
    match node:
        case nodes.Concat():
            return _call("concatenate", node.nodes)
        case nodes.List() | nodes.Dict():
            return _call("weighed", [node]) if _holds_variables(node) else node
        case nodes.Tuple(ctx="load"):
            return _call("weighed", [node]) if _holds_variables(node) else node
    return node


def _holds_variables(node: nodes.Node) -> bool:
    return next(node.find_all((nodes.Name, nodes.Call, nodes.Filter)), None) is not None


def _call(method: str, arguments: list[nodes.Expr]) -> nodes.Call:
    return nodes.Call(nodes.EnvironmentAttribute(method), arguments, [], None, None)
