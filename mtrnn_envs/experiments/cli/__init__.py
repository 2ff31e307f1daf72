"""The command `mtrnn`."""
