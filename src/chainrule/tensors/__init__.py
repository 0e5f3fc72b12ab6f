"""Tensors, and torch's functions on them with torch's meaning: `chainrule.torch` shows them under torch's names."""
