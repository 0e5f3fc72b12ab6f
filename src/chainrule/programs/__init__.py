"""Staged programs: forward lines and the backward lines that undo them, as data, as text in every language, and counted."""
