"""Text becomes statements: expressions with sizes, assumptions, and what somebody wrote."""
