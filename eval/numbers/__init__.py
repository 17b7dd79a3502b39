"""Numbers with error bars from graded sweeps, and the verdict's rule: pure functions without input or output."""
