"""Seeded random generators: streams that never share a draw, and numbers that numpy and torch draw alike."""
