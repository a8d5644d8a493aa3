"""The command line: one module a command."""

from __future__ import annotations

from sde_grok.cli.app import app, main
from sde_grok.cli.escape import escape
from sde_grok.cli.figures import figures
from sde_grok.cli.fit import fit
from sde_grok.cli.scan import scan
from sde_grok.cli.train import train
from sde_grok.cli.validate import validate

__all__ = ["app", "main"]

for command in (escape, figures, fit, scan, train, validate):
    app.command()(command)
