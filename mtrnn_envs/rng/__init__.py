"""Seeded random generators whose streams share no draw, and a generator whose draws agree in numpy and torch."""
