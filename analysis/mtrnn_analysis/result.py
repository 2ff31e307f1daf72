"""The result of a probe: its value, the null distribution of the value, and the number of trials that it rests on."""

from __future__ import annotations

import base64
import html
import inspect
import io
import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from jaxtyping import Float

from mtrnn_envs import plugins

NO_NULL: np.ndarray = np.empty(0)
# The share of the draws of a null that its printed interval holds.
LEVEL = 0.95


class ShortRepr:
    """A dataclass (with `repr=False`) that prints arrays by their shapes and long collections by their sizes."""

    def __repr__(self) -> str:
        parts = (f"{part.name}={_short(getattr(self, part.name))}" for part in fields(self))  # pyright: ignore[reportArgumentType]
        return textwrap.shorten(f"{type(self).__name__}({', '.join(parts)})", 500, placeholder=" ...)")


def _short(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"array{list(value.shape)}"
    if isinstance(value, list | tuple | dict) and len(value) > 6:
        return f"{type(value).__name__} of {len(value)}"
    return f"{value:.4g}" if isinstance(value, float) else repr(value)


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class ProbeResult:
    """The result of a probe. Probes add fields of their own; those that are numbers become columns of tables.

    The class of a probe's result is named after the probe (`DriftDiffusion` of "drift_diffusion") and says
    `repr=False`, so that printing it gives at most eight lines.

    Attributes:
        value: the number that the probe is about.
        null: the same number where the null hypothesis holds, `[R]`; empty if the probe has no null.
        p: the share of `null` and `value` together that is at least as extreme as `value`; NaN without a null.
        n: the trials that it rests on, unless the probe counts something else.
        settings: all that was chosen, plain values by name.
    """

    value: float
    null: Float[np.ndarray, " R"] = field(default_factory=lambda: NO_NULL)
    p: float = float("nan")
    n: int
    settings: Mapping[str, Any]

    @property
    def probe(self) -> str:
        """The name of the probe, from that of the class."""
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(self).__name__).lower()

    def plot(self) -> Any:
        """The figure that belongs to the probe (entry-point group `mtrnn.figures`): matplotlib's, plotly's, or a
        mapping of several."""
        return plugins.figure(self.probe)(self)

    def __repr__(self) -> str:
        about = textwrap.wrap(f"{self.probe}: {self._purpose()}", 100, max_lines=3, placeholder=" ...")
        return "\n".join([*about, *(f"  {name:6}{text}" for name, text in self._rows().items())])

    def _repr_html_(self) -> str:
        """A table with the figure of the probe below it, for notebooks."""
        rows = "".join(f"<tr><th>{name}</th><td>{html.escape(text)}</td></tr>" for name, text in self._rows().items())
        about = f"<p><b>{html.escape(self.probe)}</b>: {html.escape(self._purpose())}</p>"
        return f"{about}<table>{rows}</table>{self._picture()}"

    def _rows(self) -> dict[str, str]:
        rows = {"value": f"{self.value:.4g}"}
        if len(self.null):
            with np.errstate(invalid="ignore"):  # a null may hold infinite draws
                low, high = np.quantile(self.null, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
            draws = f"{LEVEL:.0%} of {len(self.null)} draws"
            rows |= {"null": f"{self.null.mean():.4g} [{low:.4g}, {high:.4g}] ({draws})", "p": f"{self.p:.3g}"}
        return rows | {"n": str(self.n)}

    def _purpose(self) -> str:
        """The first paragraph of the docstring of the class; a dataclass without one has its signature instead."""
        text = inspect.cleandoc(type(self).__doc__ or "").split("\n\n")[0].replace("\n", " ").replace("`", "")
        return "" if text.startswith(f"{type(self).__name__}(") else text

    def _picture(self) -> str:
        """The figure of the probe as HTML. A notebook shows the table also where a figure cannot be drawn."""
        if self.probe not in plugins.names("figure"):
            return ""
        try:
            drawn = self.plot()
            return "".join(map(_as_html, drawn.values() if isinstance(drawn, Mapping) else [drawn]))
        except Exception as error:
            return f"<p>no figure: {html.escape(f'{type(error).__name__}: {error}')}</p>"


def _as_html(figure: Any) -> str:
    if hasattr(figure, "to_html"):
        return figure.to_html(full_html=False, include_plotlyjs="cdn")
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=110)
    return f'<img src="data:image/png;base64,{base64.b64encode(picture.getvalue()).decode()}">'
