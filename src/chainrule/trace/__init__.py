"""Python, NumPy calls and text become graphs."""
