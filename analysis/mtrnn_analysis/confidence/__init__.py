"""Confidence of the agent: whether reported probabilities come true as often (`calibration`), and whether they are
higher for right answers than for wrong ones (`metacognition`). Inputs: see `mtrnn_analysis.behavior`.
"""

from mtrnn_analysis.confidence.calibration import Brier, Calibration, calibration
from mtrnn_analysis.confidence.metacognition import Metacognition, metacognition

__all__ = ["Brier", "Calibration", "Metacognition", "calibration", "metacognition"]
