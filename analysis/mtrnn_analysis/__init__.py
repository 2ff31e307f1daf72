"""Analysis of recordings: what the states of an agent hold, and figures of it."""
