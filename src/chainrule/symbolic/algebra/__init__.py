"""The mathematics: meanings, derivatives, normal forms, intervals, decisions."""
