"""Expressions of a user in columns of a table: checked first, so that an error is one line."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from sde_grok.checks import ParameterError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["evaluate", "names_in", "plain"]

FUNCTIONS = ("log", "exp", "sqrt", "abs", "log10")
OF_EVALUATION = (  # pandas documents none, and lets Python's through
    *(ArithmeticError, AssertionError, AttributeError, LookupError, MemoryError, NameError),
    *(RuntimeError, SyntaxError, TypeError, ValueError),
)
ALLOWED = (
    *(ast.Expression, ast.Name, ast.Load, ast.Constant, ast.List, ast.Tuple, ast.Call),
    *(ast.BoolOp, ast.boolop, ast.UnaryOp, ast.unaryop, ast.Compare, ast.cmpop, ast.BinOp),
    *(ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.BitAnd, ast.BitOr),
)
QUOTED = re.compile(r"""('(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*")|`([^`\n]*)`""")


class Checked(NamedTuple):
    """An expression in names that are Python's, and the columns that these stand for."""

    text: str
    columns: dict[str, str]


def evaluate(field: str, expression: str, frame: pd.DataFrame) -> Any:
    """Value of an expression, one a row.

    Parameters
    ----------
    field : str
        Name of the parameter that it is, for errors.
    expression : str
        Of columns, numbers, strings, operators and log, exp, sqrt, abs, log10, as pandas reads it;
        a column whose name is no Python name is in backticks.
    frame : pandas.DataFrame
        n rows.

    Returns
    -------
    (n,) Series

    Raises
    ------
    ParameterError
        If it cannot be evaluated, or refers to anything but columns.
    """
    text, columns = checked(field, expression, list(frame.columns))
    seen = frame[list(columns.values())].set_axis(list(columns), axis=1)
    try:
        with np.errstate(all="ignore"):
            found = seen.eval(text, engine="python", local_dict={}, global_dict={})
    except OF_EVALUATION as error:
        raise unreadable(field, expression, error) from None
    if getattr(found, "shape", None) != (len(frame),):
        raise ParameterError(field, expression, "an expression with one value a row")
    return found


def names_in(field: str, expression: str, columns: Collection[str]) -> set[str]:
    """Columns that an expression refers to, or raise `ParameterError`."""
    return set(checked(field, expression, columns).columns.values())


def plain(field: str, expression: str, columns: Collection[str]) -> str:
    """An expression without spare blanks, parentheses or backticks, or raise `ParameterError`."""
    text, names = checked(field, expression, columns)
    try:
        written = ast.unparse(ast.parse(text, mode="eval"))
    except RecursionError as error:
        raise unreadable(field, expression, error) from None
    return names.get(written, written)


def checked(field: str, expression: str, columns: Collection[str]) -> Checked:
    """Check an expression: pandas is given what was parsed here, with no backtick left in it.

    Otherwise what pandas reads as code might be a string here.
    """
    quoted: dict[str, str] = {}

    def stand_in(match: re.Match[str]) -> str:
        if match[1]:  # a string
            return match[1]
        name = f"quoted{len(quoted)}_"
        quoted[name] = match[2]
        return name

    text = QUOTED.sub(stand_in, expression).strip()
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise unreadable(field, expression, error) from None
    nodes = list(ast.walk(tree))
    called = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
    names = [node for node in nodes if isinstance(node, ast.Name)]
    used = {node.id: quoted.get(node.id, node.id) for node in names if id(node) not in called}
    functions = {node.id for node in names if id(node) in called}
    if not all(map(harmless, nodes)) or not functions <= set(FUNCTIONS):
        allowed = f"made of columns, numbers, operators and {', '.join(FUNCTIONS)} alone"
        raise ParameterError(field, expression, allowed)
    if unknown := sorted(set(used.values()) - set(columns)):
        allowed = f"made of columns, not {', '.join(unknown)}; there are {', '.join(columns)}"
        raise ParameterError(field, expression, allowed)
    return Checked(" ".join(text.splitlines()), used)


def harmless(node: ast.AST) -> bool:
    """Whether evaluating a part of an expression takes neither other code nor hours."""
    if isinstance(node, ast.Constant):
        return isinstance(node.value, (int, float)) or (
            isinstance(node.value, str) and "`" not in node.value
        )
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and not node.keywords
    if isinstance(node, ast.BinOp):
        numbers = not any(
            isinstance(side, ast.List | ast.Tuple) for side in (node.left, node.right)
        )
        # Powers of whole numbers alone, as 9 ** 9 ** 9, have no end.
        ends = not isinstance(node.op, ast.Pow) or any(
            isinstance(part, ast.Name) for part in ast.walk(node.left)
        )
        return numbers and ends
    return isinstance(node, ALLOWED)


def unreadable(field: str, expression: str, error: Exception) -> ParameterError:
    """The error of an expression, in a line."""
    reason = " ".join(str(getattr(error, "msg", error)).split()) or type(error).__name__
    hint = (
        "; write lam, or lambda in backticks" if re.search(r"(?<!`)\blambda\b", expression) else ""
    )
    return ParameterError(
        field, expression, f"an expression that can be evaluated ({reason}{hint})"
    )
