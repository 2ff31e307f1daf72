"""The type checker that `addopts` in pyproject.toml puts on every function of ours."""

from beartype import BeartypeConf, beartype

# The tower: where a float is asked for, an int will do, as PEP 484 says and pyright takes it.
checked = beartype(conf=BeartypeConf(is_pep484_tower=True))
