"""Where Django looks for tag libraries; nothing else."""
