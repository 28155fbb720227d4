"""Commands: one file each; the only place that starts everything else."""
