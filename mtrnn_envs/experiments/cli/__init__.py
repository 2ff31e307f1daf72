"""The command `mtrnn`: `main` dispatches; agent_, study_ and benchmark_commands hold the commands and their options."""
