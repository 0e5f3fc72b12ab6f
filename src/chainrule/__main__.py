"""`python -m chainrule` is the command line."""

from .cli.app import app

app(prog_name="chainrule")
