"""Reports: pages of HTML about studies and about the benchmark, and tables as text."""

from mtrnn_analysis.report.leaderboard import read as read_leaderboard
from mtrnn_analysis.report.leaderboard import write as write_leaderboard
from mtrnn_analysis.report.studies import write as write_report
from mtrnn_analysis.report.tables import table

__all__ = ["read_leaderboard", "table", "write_leaderboard", "write_report"]
