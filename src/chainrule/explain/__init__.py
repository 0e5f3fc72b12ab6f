"""Showing a computation: programs, tables, drawings, reports."""
