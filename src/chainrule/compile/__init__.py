"""Graphs become running or printed code."""
