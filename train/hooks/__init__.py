"""What happens at the steps of training: sweeps, metrics, checkpoints, the guard, the ends of a run."""
