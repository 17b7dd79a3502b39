"""Numbers with error bars from graded sweeps, and the verdict's rule: pure functions, nothing is read or written."""
