"""Exact mathematics on formulas: meanings, derivatives, normal forms, proofs, counterexamples, search. SymPy does the algebra."""
