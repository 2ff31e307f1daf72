"""Similarity of the states of agents (`compare`: CKA, Procrustes, dissimilarities), of their dynamics (`dsa`), and of
states with x* (`rsa`).
"""

from mtrnn_analysis.similarity.agents import Comparison, cka, compare, procrustes
from mtrnn_analysis.similarity.dsa import dsa
from mtrnn_analysis.similarity.rsa import Rsa, rsa

__all__ = ["Comparison", "Rsa", "cka", "compare", "dsa", "procrustes", "rsa"]
