"""The analysis of a study: its networks, its figures, and its claims tested by intervals over networks."""

from mtrnn_analysis.studies.claims import Judged, judge, sentence
from mtrnn_analysis.studies.figures import Drawn, check, figures
from mtrnn_analysis.studies.networks import Networks, networks

__all__ = ["Drawn", "Judged", "Networks", "check", "figures", "judge", "networks", "sentence"]
