"""Single units: how selective they are, and for what (`selectivity`), and whether they line up with the latents
(`unit_alignment`), which is not abstraction.
"""

from mtrnn_analysis.selectivity.directions import Directions
from mtrnn_analysis.selectivity.selectivity import Selectivity, selectivity
from mtrnn_analysis.selectivity.unit_alignment import UnitAlignment, unit_alignment

__all__ = ["Directions", "Selectivity", "UnitAlignment", "selectivity", "unit_alignment"]
