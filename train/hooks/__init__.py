"""Actions at training steps: sweeps, metrics, checkpoints, the guard, the end of a run."""
