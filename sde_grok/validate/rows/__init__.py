"""The rows of the verdict table, in their order: one function of the evidence each."""

from sde_grok.validate.rows.core import CORE_ROWS
from sde_grok.validate.rows.evidence import gathered
from sde_grok.validate.rows.limit import LIMIT_ROWS
from sde_grok.validate.rows.moments import MOMENT_ROWS
from sde_grok.validate.rows.shells import SHELL_ROWS
from sde_grok.validate.rows.times import TIME_ROWS

__all__ = ["ROWS", "gathered"]

ROWS = (*SHELL_ROWS, *MOMENT_ROWS, *LIMIT_ROWS, *CORE_ROWS, *TIME_ROWS)
