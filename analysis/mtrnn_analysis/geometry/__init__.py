"""The geometry of the code: do signs of x* carry over (`ccgp`, `parallelism`), what can a classifier read at all
(`shattering`), how many dimensions does it take up (`dimensionality`), along which axes (`axes`), and how evenly
(`distortion`)?
"""

from mtrnn_analysis.geometry.axes import Axes, axes
from mtrnn_analysis.geometry.ccgp import Ccgp, ccgp
from mtrnn_analysis.geometry.dimensionality import Dimensionality, dimensionality, participation_ratio
from mtrnn_analysis.geometry.distortion import Distortion, distortion
from mtrnn_analysis.geometry.parallelism import Parallelism, parallelism
from mtrnn_analysis.geometry.principal import PrincipalComponents, principal_components
from mtrnn_analysis.geometry.shattering import Shattering, shattering

__all__ = ["Axes", "Ccgp", "Dimensionality", "Distortion", "Parallelism", "PrincipalComponents", "Shattering"]
__all__ += ["axes", "ccgp", "dimensionality", "distortion"]
__all__ += ["parallelism", "participation_ratio", "principal_components", "shattering"]
