"""Studies: grids of tasks, agents and seeds, declared as data, run anywhere, and their results."""
