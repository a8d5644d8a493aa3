"""`python -m sde_grok.cli`."""

from sde_grok.cli import main

main()
