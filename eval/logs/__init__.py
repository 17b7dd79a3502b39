"""Per-problem logs of other tools as graded thoughts: one module per tool."""
