"""The parts that all trainers share: runs, checkpoints, interrupts, progress bars, histories, the optimiser."""
