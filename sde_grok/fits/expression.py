"""Expressions of a user in columns of a table: checked first, so that an error is one line."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import numpy as np

from sde_grok.checks import ParameterError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["evaluate", "names_in"]

FUNCTIONS = ("log", "exp", "sqrt", "abs", "log10")
OF_EVALUATION = (  # pandas documents none, and lets Python's through
    *(ArithmeticError, AssertionError, AttributeError, LookupError, NameError),
    *(RuntimeError, SyntaxError, TypeError, ValueError),
)
QUOTED = re.compile(r"`([^`\n]*)`")


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
    names_in(field, expression, list(frame.columns))
    try:
        with np.errstate(all="ignore"):
            found = frame.eval(expression.strip(), engine="python")
    except OF_EVALUATION as error:
        raise unreadable(field, expression, error) from None
    if getattr(found, "shape", None) != (len(frame),):
        raise ParameterError(field, expression, "an expression with one value a row")
    return found


def names_in(field: str, expression: str, columns: Collection[str]) -> set[str]:
    """Columns that an expression refers to, or raise `ParameterError`."""
    quoted: dict[str, str] = {}

    def stand_in(match: re.Match[str]) -> str:
        name = f"quoted{len(quoted)}_"
        quoted[name] = match[1]
        return name

    try:
        tree = ast.parse(QUOTED.sub(stand_in, expression).strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise unreadable(field, expression, error) from None
    nodes = list(ast.walk(tree))
    called = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
    names = [node for node in nodes if isinstance(node, ast.Name)]
    used = {quoted.get(node.id, node.id) for node in names if id(node) not in called}
    functions = {node.id for node in names if id(node) in called}
    banned = any(isinstance(node, (ast.Attribute, ast.MatMult, ast.Lambda)) for node in nodes)
    if banned or not functions <= set(FUNCTIONS):
        allowed = f"made of columns, numbers, operators and {', '.join(FUNCTIONS)} alone"
        raise ParameterError(field, expression, allowed)
    if unknown := sorted(used - set(columns)):
        allowed = f"made of columns, not {', '.join(unknown)}; there are {', '.join(columns)}"
        raise ParameterError(field, expression, allowed)
    return used


def unreadable(field: str, expression: str, error: Exception) -> ParameterError:
    """The error of an expression, in a line."""
    reason = " ".join(str(getattr(error, "msg", error)).split()) or type(error).__name__
    hint = (
        "; write lam, or lambda in backticks" if re.search(r"(?<!`)\blambda\b", expression) else ""
    )
    return ParameterError(
        field, expression, f"an expression that can be evaluated ({reason}{hint})"
    )
