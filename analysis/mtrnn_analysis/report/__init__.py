"""Reports: the table and figures of the demo, tables as text, and (in `html`) one page about studies."""

from mtrnn_analysis.report.demo import multitask_report
from mtrnn_analysis.report.tables import table

__all__ = ["multitask_report", "table"]
