"""Figures: functions from results to matplotlib figures, one a figure; `save` writes them for print."""

from mtrnn_analysis.figures.learning import Course, Curve, courses_figure, learning_figure
from mtrnn_analysis.figures.networks import Reference, Result, r2_figure
from mtrnn_analysis.figures.style import save
from mtrnn_analysis.figures.tasks import tasks_figure
from mtrnn_analysis.figures.trajectories import trajectories_figure

__all__ = [
    "Course",
    "Curve",
    "Reference",
    "Result",
    "courses_figure",
    "learning_figure",
    "r2_figure",
    "save",
    "tasks_figure",
    "trajectories_figure",
]
