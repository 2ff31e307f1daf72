"""The package as it is imported, registered, built and installed."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import tarfile
import warnings
import zipfile
from importlib import metadata
from pathlib import Path

import gymnasium
import jaxtyping
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec

import mtrnn_envs

ROOT = Path(__file__).resolve().parents[2]
every_id = pytest.mark.parametrize("env_id", list(mtrnn_envs.IDS))

# What the base package must not load: each belongs to an extra.
HEAVY = {"torch", "sklearn", "matplotlib", "plotly", "pandas", "pygame", "stable_baselines3", "sb3_contrib", "tqdm"}
HEAVY |= {"numba", "tensorboard", "tyro", "PIL"}
OURS = {"mtrnn_envs", "mtrnn_agents", "mtrnn_analysis"}


def run(*command: str, cwd: Path | None = None) -> str:
    """What a command prints; it has to succeed."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def python(code: str, *options: str, cwd: Path) -> str:
    """What `code` prints in a Python of its own, warnings being errors.

    With -I, neither the working directory nor PYTHONPATH is among the places of import.
    """
    return run(sys.executable, "-I", "-W", "error", *options, "-c", code, cwd=cwd)


def test_importing_loads_nothing_heavy(tmp_path: Path) -> None:
    """Nor does the command line, before there is something to do, nor making and stepping every environment."""
    code = """
import sys, gymnasium, mtrnn_envs, mtrnn_envs.experiments.cli.main
for env_id in mtrnn_envs.IDS:
    env = gymnasium.make(env_id)
    env.reset(seed=0)
    env.step(env.action_space.sample())
    gymnasium.make_vec(env_id, 2).reset(seed=0)
print(*{name.split(".")[0] for name in sys.modules})
"""
    loaded = set(python(code, cwd=tmp_path).split())
    assert "mtrnn_envs" in loaded
    assert not loaded & (HEAVY | {"mtrnn_agents", "mtrnn_analysis"})


def test_agents_load_stable_baselines_only_where_it_is_asked_for(tmp_path: Path) -> None:
    code = "import sys, mtrnn_agents, mtrnn_agents.trial_ppo; print(*{name.split('.')[0] for name in sys.modules})"
    loaded = set(run(sys.executable, "-c", code, cwd=tmp_path).split())
    assert "mtrnn_agents" in loaded
    assert not loaded & {"stable_baselines3", "sb3_contrib", "mtrnn_analysis", "matplotlib", "pandas"}


def test_there_is_one_version() -> None:
    assert metadata.version("mtrnn-envs") == mtrnn_envs.__version__


def test_the_base_package_needs_four_others() -> None:
    needed = [line for line in metadata.requires("mtrnn-envs") or [] if "extra ==" not in line]
    assert {line.split(">")[0] for line in needed} == {"gymnasium", "numpy", "scipy", "jaxtyping"}


def test_registering_twice_is_silent() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        before = {env_id: gymnasium.spec(env_id) for env_id in mtrnn_envs.IDS}
        mtrnn_envs.register()
        mtrnn_envs.register()
    assert not caught
    assert {env_id: gymnasium.spec(env_id) for env_id in mtrnn_envs.IDS} == before


@every_id
def test_an_id_can_name_the_module_to_import(env_id: str, tmp_path: Path) -> None:
    code = f"import gymnasium; print(gymnasium.make('mtrnn_envs:{env_id}').spec.id)"
    assert python(code, cwd=tmp_path).strip() == env_id


@every_id
def test_a_spec_survives_json(env_id: str) -> None:
    made = gymnasium.make(env_id, sigma=[0.3, 0.2])
    assert made.spec is not None
    again = EnvSpec.from_json(made.spec.to_json())
    assert again == made.spec
    assert again.reward_threshold is not None
    np.testing.assert_array_equal(gymnasium.make(again).reset(seed=3)[0], made.reset(seed=3)[0])


def test_annotations_are_checked_in_tests() -> None:
    """Else the shapes in the signatures would be decoration; see `addopts` in pyproject.toml."""
    task = mtrnn_envs.EvidenceTask()
    with pytest.raises(jaxtyping.TypeCheckError):
        mtrnn_envs.observe(task)  # pyright: ignore[reportArgumentType]


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist of the checkout, and the wheel made from it."""
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT))
    return out


@pytest.mark.slow
def test_the_wheel_holds_what_it_should(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    info = f"mtrnn_envs-{mtrnn_envs.__version__}.dist-info"
    # A top-level `agents` or `analysis` would overwrite other people's package of that name.
    assert {name.split("/")[0] for name in names} == OURS | {info}
    assert {f"{package}/py.typed" for package in OURS} <= set(names)
    assert {f"mtrnn_analysis/report/{n}" for n in ("template.html.jinja", "report.css", "report.js")} <= set(names)
    assert f"{info}/licenses/LICENSE" in names
    assert not [name for name in names if name.endswith(".pyc")]
    with zipfile.ZipFile(wheel) as archive:
        entries = archive.read(f"{info}/entry_points.txt").decode()
    for line in (
        "mtrnn = mtrnn_envs.experiments.cli.main:main",
        "supervised = mtrnn_agents.supervised",
        "decoding = mtrnn_analysis.decoding.decoding:decode",
    ):
        assert line in entries.splitlines()


@pytest.mark.slow
def test_the_sdist_holds_what_it_should(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff", "Makefile"} <= names
    assert {"mtrnn_envs/__init__.py", "agents/mtrnn_agents/__init__.py", "tests/envs/test_package.py"} <= names
    assert not [name for name in names if name.startswith((".venv", "results"))]


@pytest.mark.slow
def test_the_installed_wheel_runs_outside_the_repository(built: Path, tmp_path: Path) -> None:
    (wheel,) = built.glob("*.whl")
    target, elsewhere = tmp_path / "site", tmp_path / "elsewhere"
    elsewhere.mkdir()
    run(sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--target", str(target), str(wheel))
    code = """
import gymnasium, mtrnn_agents, mtrnn_analysis, mtrnn_envs
for module in (mtrnn_envs, mtrnn_agents, mtrnn_analysis):
    print(module.__file__)
for env_id in mtrnn_envs.IDS:
    env = gymnasium.make(env_id)
    observation, info = env.reset(seed=0)
    terminated = False
    while not terminated:
        observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
    envs = gymnasium.make_vec(env_id, 2)
    envs.reset(seed=0)
    envs.step(envs.action_space.sample())
"""
    # Only the installed copy is to be found: the checkout comes in through a .pth file, which -S leaves unread.
    places = [str(target), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    files = python(f"import sys; sys.path[:0] = {places!r}\n{code}", "-S", cwd=elsewhere).split()
    assert len(files) == 3
    assert all(Path(file).is_relative_to(target) for file in files)
