"""Running experiments: agents and probes found by name, one run, and the command `mtrnn`."""
