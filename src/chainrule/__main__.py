"""`python -m chainrule` is the command line."""

from .cli import app

app(prog_name="chainrule")
