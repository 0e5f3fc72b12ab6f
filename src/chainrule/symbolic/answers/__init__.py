"""What is asked of the mathematics: proofs, counterexamples, points, judgements."""
