"""Studies by name: a TOML file, an attribute of a module, or a study of `mtrnn reproduce`."""

from __future__ import annotations

from pathlib import Path

from mtrnn_envs.experiments.studies.paper import STUDIES
from mtrnn_envs.experiments.studies.study import Study
from mtrnn_envs.utils.validation import attribute_named, check_choice


def load_study(name: str) -> Study:
    """The study called `name`: "file.toml", "package.module:attribute", or the name of a study of `mtrnn reproduce`.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if `name` is none of the three.
    """
    if name.endswith(".toml"):
        if not Path(name).exists():
            raise FileNotFoundError(f"study={name!r}: there is no such file in {Path.cwd()}")
        return Study.from_toml(name)
    if ":" in name:
        try:
            there = attribute_named(name)
        except (ImportError, AttributeError) as error:
            raise ValueError(f"study={name!r} cannot be imported: {error}") from error
        if not isinstance(there, Study):
            raise ValueError(f"study={name!r} is a {type(there).__name__}, not a Study")
        return there
    return STUDIES[check_choice(name, STUDIES, "study", "mtrnn reproduce")]
