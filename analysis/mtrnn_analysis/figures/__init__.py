"""Figures: functions from results to matplotlib figures, one a figure; `save` writes them for print."""

from mtrnn_analysis.figures.radar import radar_figure, radars_figure
from mtrnn_analysis.figures.style import save
from mtrnn_analysis.figures.tasks import tasks_figure
from mtrnn_analysis.figures.trajectories import trajectories_3d, trajectories_figure

__all__ = ["radar_figure", "radars_figure", "save", "tasks_figure", "trajectories_3d", "trajectories_figure"]
