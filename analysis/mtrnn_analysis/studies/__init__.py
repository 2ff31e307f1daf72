"""The results of a study: its figures, and its claims held against intervals over networks."""
