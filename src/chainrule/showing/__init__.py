"""Showing a computation: programs, tables, drawings, reports.

The folder is not called `explain`: importing it would put a module in the place of the function `chainrule.explain`.
"""
