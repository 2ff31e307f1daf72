"""What every trainer shares: checkpoints, interrupts, progress bars, and the history of training."""
