"""Training: it learns, repeats, stops and goes on to the same bits, refuses what is not its own, and in numbers."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.interrupts import Interrupt
from safetensors.numpy import load_file, save_file

from mtrnn_agents import PRESETS, LeakyRNN, Training, load, train, untrained
from mtrnn_agents.networks.flat_weights import Layout
from mtrnn_agents.networks.registry import NETWORKS
from mtrnn_agents.supervised import ensemble, loop
from mtrnn_agents.supervised.batches import BLOCK, as_tensors, batch_of, blocks, draw_block, stack
from mtrnn_agents.supervised.ensemble_training import _as_one
from mtrnn_agents.supervised.settings import Evaluation, History
from mtrnn_agents.supervised.updates import loss as mean_loss
from mtrnn_agents.training import files as storage
from mtrnn_agents.training import resumable as keeping
from mtrnn_agents.training.run import Run, validation_trials
from mtrnn_agents.training.settings import SCHEDULES, from_fields, to_fields
from mtrnn_envs import EvidenceTask, observe, plugins
from mtrnn_envs.ideal_observer.ideal_performance import ideal_performance
from mtrnn_envs.rng.philox import Counter
from mtrnn_envs.targets import targets
from mtrnn_envs.trials import sample

TASK = EvidenceTask(n_tasks=4, stimulus=8)
QUICK = Training(network=LeakyRNN(n_units=24), n_updates=300, batch_size=16, learning_rate=1.5e-2, evaluate_every=100)
SMALL = {name: kind(n_units=16) for name, kind in NETWORKS.items()}


def flat(agent: Any) -> np.ndarray:
    return Layout.of(agent.weights).pack(agent.weights)


def accuracy(agent: Any, n: int = 2000) -> float:
    """Share of right answers at the last step of fresh trials."""
    trials = sample(agent.task, n, Counter(9, "test"))
    state = None
    for t, shown in enumerate(observe(trials).transpose(1, 0, 2)):
        _, state = agent.predict(shown, state, np.full(n, t == 0), deterministic=True)
    return float(np.mean((agent.probabilities(state) > 0.5) == (trials.asked > 0)))


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_learns_and_repeats(name: str) -> None:
    rate = 1e-2 if name == "leaky-rnn" else 5e-3
    training = replace(QUICK, network=SMALL[name], learning_rate=rate)
    before = torch.random.get_rng_state(), str(np.random.get_state())  # noqa: NPY002 (to see that it stays)
    agents = [train(TASK, seed, training, progress=False) for seed in (3, 3, 4)]
    assert torch.equal(before[0], torch.random.get_rng_state())
    assert before[1] == str(np.random.get_state())  # noqa: NPY002
    np.testing.assert_array_equal(flat(agents[0]), flat(agents[1]))
    assert agents[0].history == agents[1].history
    assert not np.array_equal(flat(agents[0]), flat(agents[2]))
    assert accuracy(agents[0]) > accuracy(untrained(TASK, 3, training)) + 0.15
    history = agents[0].history
    assert history is not None
    assert history.updates[-1] == 300
    assert history.cross_entropy[-1] < history.cross_entropy[0]


@pytest.mark.slow
def test_the_recipe_comes_close_to_the_ideal_observer_and_lays_the_plane_out() -> None:
    """A fifth of the updates of the preset: 24 lines, and x* is decoded in a quadrant that the decoder never saw."""
    from mtrnn_analysis.decoding import decode

    task = EvidenceTask()

    def metrics(states: np.ndarray, latents: np.ndarray) -> dict[str, float]:
        return {"r2_ood": decode(states, latents, np.random.default_rng(0)).out_of_distribution.r2_prior}

    agent = train(task, 0, replace(PRESETS["dense"], n_updates=30_000), progress=False, metrics=metrics)
    assert agent.history is not None
    assert abs(accuracy(agent, 8000) - ideal_performance(task).accuracy) < 0.006
    assert agent.history.cross_entropy[-1] < ideal_performance(task).cross_entropy + 0.012
    assert agent.history.metrics["r2_ood"][-1] > 0.85


def test_draws_of_a_block_do_not_depend_on_the_blocks_before() -> None:
    training = replace(QUICK, batch_size=512, network=LeakyRNN(n_units=5, noise=0.1), n_updates=10)
    streamed = [batch for (batch,) in blocks([Run(TASK, 1)], training, 0)]
    assert [len(batch.valid) for batch in streamed] == [4, 4, 2]  # BLOCK trials each, and what is left
    assert BLOCK == 4 * 512
    for block, batch in enumerate(streamed):
        for ours, theirs in zip(batch, draw_block(Run(TASK, 1), training, block), strict=True):
            np.testing.assert_array_equal(ours, theirs)
        on_torch = draw_block(Run(TASK, 1), training, block, torch.device("cpu"))
        np.testing.assert_allclose(batch.observations, on_torch.observations, atol=1e-5)
        np.testing.assert_array_equal(batch.values, on_torch.values)
    assert not np.array_equal(streamed[0].observations[:2], streamed[2].observations)
    assert streamed[0].noise is not None
    assert abs(streamed[0].noise.std() - 1) < 0.02


def test_validation_shares_nothing_with_training() -> None:
    training = replace(QUICK, batch_size=256)
    together = loop.set_up([Run(TASK, 0)], training, torch.device("cpu"))
    seen = {
        tuple(row)
        for block in range(3)
        for row in draw_block(Run(TASK, 0), training, block).observations[:, :, 3, 1:3].reshape(-1, 2).tolist()
    }
    assert len(seen) == 3 * BLOCK
    assert not seen & {tuple(row) for row in observe(together.trials[0])[:, 3, 1:3].tolist()}


def test_batches_are_the_trials_and_their_targets() -> None:
    task = EvidenceTask(stimulus=(2, 5), n_tasks=3)
    trials = sample(task, 12, Counter(0, "train"))
    batch = batch_of(trials, QUICK, 3)
    assert batch.observations.shape == (3, 4, task.n_steps, task.n_features)
    values, valid = targets(trials, "stimulus")
    np.testing.assert_array_equal(batch.observations.reshape(12, task.n_steps, -1), observe(trials))
    np.testing.assert_array_equal(batch.valid.reshape(12, -1), valid)
    np.testing.assert_array_equal(batch.values.reshape(values.shape)[valid], values[valid])
    assert (batch.values[~batch.valid] == 0.5).all()


@pytest.mark.parametrize("kind", ["cross_entropy", "squared_error"])
def test_loss_leaves_out_what_does_not_count(kind: str) -> None:
    logits, values = torch.zeros(2, 3, 2), torch.tensor([[[0.0], [1.0], [0.5]], [[1.0], [1.0], [0.0]]]).expand(2, 3, 2)
    counted = torch.tensor([[True, True, True], [True, True, False]])[..., None] & torch.tensor([True, False])
    logits[1, 2], logits[:, :, 1] = 100.0, -100.0
    expected = np.log(2) if kind == "cross_entropy" else 4 / 5 * 0.25
    assert mean_loss(logits, values, counted, kind).item() == pytest.approx(expected)


MASK = np.eye(6, dtype=np.float32)


def margins(latents: Any) -> Any:
    """A boundary of one's own: the line x1 = `SHIFT`."""
    return latents[:, :1] - SHIFT


SHIFT = 0.0


@pytest.mark.parametrize("name", ["leaky-rnn", "lstm"])
def test_going_on_gives_the_same_bits_as_never_stopping(name: str, tmp_path: Path) -> None:
    training = Training(
        network=SMALL[name], n_updates=700, evaluate_every=128, warmup=50, curriculum=300, start_sigma=2.0
    )
    whole = train(TASK, 5, training, progress=False, metrics=Interrupt(0))
    for at in (1, 2, 2):
        with pytest.raises(KeyboardInterrupt, match="the same call goes on from"):
            train(TASK, 5, training, folder=tmp_path, progress=False, metrics=Interrupt(at))
    resumed = train(TASK, 5, training, folder=tmp_path, progress=False, metrics=Interrupt(0))
    np.testing.assert_array_equal(flat(whole), flat(resumed))
    assert whole.history == resumed.history
    assert sorted(p.name for p in tmp_path.iterdir()) == ["agent.safetensors", "checkpoint.safetensors", "tensorboard"]
    # The finished agent is given, not trained again.
    again = train(TASK, 5, training, folder=tmp_path, progress=False, metrics=Interrupt(1))
    np.testing.assert_array_equal(flat(whole), flat(again))
    np.testing.assert_array_equal(flat(whole), flat(load(tmp_path)))


@pytest.mark.parametrize("n_updates", [200, 256])
def test_a_finished_state_without_its_agent_is_not_trained_on(n_updates: int, tmp_path: Path) -> None:
    training = replace(QUICK, n_updates=n_updates)
    first = train(TASK, 0, training, folder=tmp_path, progress=False)
    (tmp_path / "agent.safetensors").unlink()
    again = train(TASK, 0, training, folder=tmp_path, progress=False)
    np.testing.assert_array_equal(flat(first), flat(again))
    assert first.history == again.history


def test_interrupted_without_a_folder_says_that_nothing_was_kept() -> None:
    with pytest.raises(KeyboardInterrupt, match="nothing was kept, as no folder was given"):
        train(TASK, 5, QUICK, progress=False, metrics=Interrupt(1))


def test_other_runs_and_broken_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(TASK, 0, QUICK, folder=tmp_path, progress=False, metrics=Interrupt(2))
    checkpoint = tmp_path / "checkpoint.safetensors"
    for task, seed, training, message in (
        (replace(TASK, n_tasks=5), 0, QUICK, "task.n_tasks is 4 there and 5 here"),
        (TASK, 1, QUICK, "seed is 0 there and 1 here"),
        (TASK, 0, replace(QUICK, clip_norm=None), "training.clip_norm is 1.0 there and None here"),
        (TASK, 0, replace(QUICK, network=LeakyRNN(n_units=5)), "training.network.n_units is 24 there and 5 here"),
    ):
        with pytest.raises(ValueError, match=f"is of another run: {message}; give another folder"):
            train(task, seed, training, folder=tmp_path, progress=False)
    with pytest.raises(ValueError, match=r"holds 'checkpoint', where one of .*'agent'.* is needed"):
        load(checkpoint)
    whole = checkpoint.read_bytes()
    for end in (0, 7, 100, len(whole) - 1):
        checkpoint.write_bytes(whole[:end])
        with pytest.raises(ValueError, match="is not a whole safetensors file"):
            train(TASK, 0, QUICK, folder=tmp_path, progress=False)
    save_file({"a": np.zeros(1)}, checkpoint)
    with pytest.raises(ValueError, match="has schema None; this version reads schema 3 only"):
        train(TASK, 0, QUICK, folder=tmp_path, progress=False)
    checkpoint.write_bytes(whole)
    train(TASK, 0, QUICK, folder=tmp_path, progress=False)
    with pytest.raises(ValueError, match=r"agent.safetensors is of another run: seed is 0 there and 2 here"):
        train(TASK, 2, QUICK, folder=tmp_path, progress=False)


@pytest.mark.parametrize("changed", ["MASK", "SHIFT"])
def test_what_a_name_holds_is_part_of_a_run(changed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mask or a boundary that is edited makes another run: of one that was stopped, and of one that is finished."""
    task = EvidenceTask(n_tasks=1, boundaries=f"{__name__}:margins", stimulus=3)
    training = replace(QUICK, network=LeakyRNN(n_units=6, connectivity=f"{__name__}:MASK"))
    with pytest.raises(KeyboardInterrupt):
        train(task, 0, training, folder=tmp_path, progress=False, metrics=Interrupt(2))
    monkeypatch.setattr(sys.modules[__name__], changed, {"MASK": 1 - MASK, "SHIFT": 0.1}[changed])
    name = {"MASK": "connectivity", "SHIFT": "boundaries"}[changed]
    with pytest.raises(ValueError, match=f"is of another run: contents.{name} is"):
        train(task, 0, training, folder=tmp_path, progress=False)
    monkeypatch.undo()
    assert train(task, 0, training, folder=tmp_path, progress=False).history
    monkeypatch.setattr(sys.modules[__name__], changed, {"MASK": 1 - MASK, "SHIFT": 0.1}[changed])
    with pytest.raises(ValueError, match=f"agent.safetensors is of another run: contents.{name} is"):
        train(task, 0, training, folder=tmp_path, progress=False)


@pytest.mark.usefixtures("unannotated")
@pytest.mark.parametrize("theirs", ["supervised", "trial_ppo", "ppo_history"])
@pytest.mark.parametrize("name", ["supervised", "trial_ppo", "recurrent_ppo", "ppo_history"])
def test_settings_and_tasks_of_another_kind_are_refused(name: str, theirs: str) -> None:
    if name == theirs:
        theirs = "recurrent_ppo"
    agent, other = plugins.agent(name), plugins.agent(theirs)
    settings: Any = next(iter(other.PRESETS.values()))
    untyped: Any = agent.train
    with pytest.raises(ValueError, match=rf"is a {other.Training.__module__}.Training; a {agent.Training.__module__}"):
        untyped(TASK, 0, settings, progress=False)
    with pytest.raises(ValueError, match=r"training='dense' is a builtins\.str"):
        untyped(TASK, 0, "dense", progress=False)
    with pytest.raises(ValueError, match="task='MultiTaskEvidence-v0' is not an EvidenceTask"):
        untyped("MultiTaskEvidence-v0", 0, progress=False)


def test_divergence_names_the_update_and_keeps_the_state_before(tmp_path: Path) -> None:
    network = LeakyRNN(n_units=8)
    training = Training(network=network, n_updates=400, learning_rate=1e25, clip_norm=None, schedule="constant")
    with pytest.raises(
        FloatingPointError, match=r"gradient of update (\d+) is not finite.*is kept in .*checkpoint"
    ) as error:
        train(TASK, 0, training, folder=tmp_path, progress=False)
    update = int(str(error.value).split("of update ")[1].split()[0])
    arrays = load_file(tmp_path / "checkpoint.safetensors")
    assert np.isfinite(arrays["weights"]).all()
    assert not (tmp_path / "agent.safetensors").exists()
    # The state is the one of that update: training up to it does not diverge.
    if update > 1:
        short = train(TASK, 0, replace(training, n_updates=update - 1), progress=False)
        np.testing.assert_array_equal(flat(short), arrays["weights"])
    with pytest.raises(FloatingPointError, match=f"update {update} is not finite"):
        train(TASK, 0, training, folder=tmp_path, progress=False)


def test_states_that_are_not_finite_are_no_matter_for_metrics(tmp_path: Path) -> None:
    """One update of a block is enough to blow the weights up; the evaluation comes before the next finds out."""
    training = Training(network=LeakyRNN(n_units=8), n_updates=9, batch_size=2048, evaluate_every=1, learning_rate=1e20)

    def metrics(states: np.ndarray, latents: np.ndarray) -> dict[str, float]:
        assert np.isfinite(states).all()
        return {"size": float(np.abs(states).max())}

    with pytest.raises(FloatingPointError, match="is not finite"):
        train(TASK, 0, training, folder=tmp_path, progress=False, metrics=metrics)
    assert (tmp_path / "checkpoint.safetensors").exists()


def test_patience_stops_and_keeps_the_best_weights() -> None:
    """A rate so high that the loss soon rises again."""
    training = replace(QUICK, n_updates=3000, learning_rate=0.3, patience=2, schedule="constant", evaluate_every=50)
    agent = train(TASK, 0, training, progress=False)
    assert agent.history is not None
    losses = agent.history.validation_loss
    best = int(np.argmin(losses))
    assert len(losses) == best + 3
    assert agent.history.updates[-1] < 3000
    trials = validation_trials(Run(TASK, 0))
    state, positive = None, trials.asked > 0
    for t, shown in enumerate(observe(trials).transpose(1, 0, 2)):
        _, state = agent.predict(shown, state, np.full(len(trials), t == 0))
    assert state is not None
    found = np.mean((agent.probabilities(state) > 0.5) == positive)
    assert found == pytest.approx(agent.history.accuracy[best], abs=1e-3)


def test_patience_begins_behind_the_curriculum() -> None:
    """An easy start has losses that the task itself never has."""
    training = replace(QUICK, n_updates=1500, patience=1, evaluate_every=128, curriculum=1000, start_sigma=0.01)
    history = train(TASK, 0, training, progress=False).history
    assert history is not None
    assert history.updates[-1] > 1000


@pytest.mark.parametrize(("every", "kept"), [(1e9, 0), (-1, 128)])
def test_states_are_saved_at_first_and_from_time_to_time(
    every: float, kept: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that cannot be written to is refused at once; what ends a run without warning finds a state there."""
    monkeypatch.setattr(keeping, "SECONDS_BETWEEN_SAVES", every)
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        train(TASK, 0, QUICK, folder=tmp_path / "file" / "below", progress=False, metrics=Interrupt(1))
    with pytest.raises(ValueError, match="folder='' names no folder"):
        train(TASK, 0, QUICK, folder="", progress=False)

    def killed(states: np.ndarray, latents: np.ndarray) -> dict[str, float]:
        raise ZeroDivisionError

    # The first evaluation, which ends it, comes with the second block.
    with pytest.raises(ZeroDivisionError):
        train(TASK, 0, replace(QUICK, evaluate_every=200), folder=tmp_path / "new", progress=False, metrics=killed)
    assert loop_state(tmp_path / "new")["n_updates"] == kept


def loop_state(folder: Path) -> dict[str, Any]:
    """What a checkpoint says besides its arrays."""
    return storage.read(folder / "checkpoint.safetensors", "checkpoint")[1]["state"]


def test_settings_of_torch_are_of_no_matter() -> None:
    before = torch.get_default_dtype()
    training = replace(QUICK, n_updates=40)
    plain = [train(TASK, 0, replace(training, network=network), progress=False) for network in SMALL.values()]
    torch.set_default_dtype(torch.float64)
    try:
        with torch.no_grad():
            other = [train(TASK, 0, replace(training, network=network), progress=False) for network in SMALL.values()]
    finally:
        torch.set_default_dtype(before)
    for ours, theirs in zip(plain, other, strict=True):
        np.testing.assert_array_equal(flat(ours), flat(theirs))


def test_curriculum_leads_to_the_task() -> None:
    training = replace(QUICK, curriculum=100, start_sigma=3.0, start_stimulus=0.25)
    task = EvidenceTask(sigma=(0.1, 0.2), stimulus=(8, 20))
    first, middle, last = (training.task_at(task, n) for n in (0, 50, 100))
    assert first.sigma == pytest.approx((0.3, 0.6))
    assert first.stimulus == (2, 5)
    assert middle.sigma == pytest.approx((0.2, 0.4))
    assert middle.stimulus == (5, 12)
    assert last == task
    assert training.task_at(EvidenceTask(stimulus=1), 0).stimulus == 1
    assert draw_block(Run(TASK, 0), training, 0).observations.shape[2] == 4


def test_schedules() -> None:
    for name in SCHEDULES:
        training = Training(schedule=name, n_updates=100, learning_rate=0.5, warmup=10)
        rates = [training.rate(n) for n in range(100)]
        assert rates[0] == pytest.approx(0.05)
        assert max(rates) <= 0.5
        assert (np.diff(rates[10:]) <= 0).all()
        assert rates[-1] == (0.5 if name == "constant" else pytest.approx(0, abs=0.01))


def test_settings_survive_json_and_refuse_what_is_wrong() -> None:
    for name, preset in PRESETS.items():
        assert from_fields(Training, to_fields(preset)) == preset, name
    training = replace(QUICK, network=NETWORKS["transformer"](n_heads=4, positions=True), clip_norm=None)
    assert from_fields(Training, to_fields(training)) == training
    wrong: dict[str, Any] = {
        "n_updates": 0,
        "batch_size": True,
        "learning_rate": 0.0,
        "labels": "late",
        "loss": "hinge",
        "schedule": "step",
        "clip_norm": -1.0,
        "warmup": -1,
        "patience": 0,
        "bound": float("inf"),
        "start_stimulus": 2.0,
    }
    for name, value in wrong.items():
        with pytest.raises(ValueError, match=f"{name}="):
            Training(**{name: value})
    with pytest.raises(ValueError, match="labels='accumulator' are not probabilities; use loss='squared_error'"):
        Training(labels="accumulator")
    with pytest.raises(ValueError, match=r"curriculum=0 with start_sigma=2.0"):
        Training(start_sigma=2.0)
    with pytest.raises(ValueError, match="'n_update' is not a field of Training; did you mean 'n_updates'"):
        from_fields(Training, {"n_update": 3})
    with pytest.raises(ValueError, match="seed=-1 is not a whole number"):
        train(TASK, -1, QUICK)
    with pytest.raises(ValueError, match="boundaries='product' have no accumulators"):
        train(
            EvidenceTask(boundaries="product"), 0, Training(labels="accumulator", loss="squared_error"), progress=False
        )


RUNS = [(EvidenceTask(n_tasks=3, stimulus=6), 0), (EvidenceTask(n_tasks=5, n_dims=3, stimulus=(4, 8), sigma=0.3), 1)]


@pytest.mark.parametrize("name", NETWORKS)
def test_many_networks_as_one_problem_are_the_networks_one_by_one(name: str) -> None:
    """Other tasks, dimensions, lengths: padding changes nothing but rounding."""
    network = LeakyRNN(n_units=16, noise=0.1, connectivity=0.7, excitatory=0.8) if name == "leaky-rnn" else SMALL[name]
    training = replace(QUICK, network=network, n_updates=40, batch_size=64, evaluate_every=20, learning_rate=1e-3)
    cells = [(Run(*run), None) for run in RUNS]
    together = _as_one(cells, training, torch.device("cpu"), progress=False, metrics=None)
    for (task, seed), agent in zip(RUNS, together, strict=True):
        alone = train(task, seed, training, progress=False)
        assert not isinstance(agent, FloatingPointError)
        np.testing.assert_allclose(flat(agent), flat(alone), atol=2e-4)
        assert agent.history is not None
        assert alone.history is not None
        np.testing.assert_allclose(agent.history.loss, alone.history.loss, rtol=1e-4)
        np.testing.assert_allclose(agent.history.accuracy, alone.history.accuracy, atol=2e-3)


def test_ensemble_refuses_before_anything_is_trained(tmp_path: Path) -> None:
    training = replace(QUICK, labels="accumulator", loss="squared_error")
    with pytest.raises(ValueError, match="boundaries='product' have no accumulators"):
        ensemble([RUNS[0], (EvidenceTask(boundaries="product"), 0)], training, folder=tmp_path, progress=False)
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match="device='mps' is neither 'cpu' nor a CUDA device that is there"):
        ensemble(RUNS, training, device="mps")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("curriculum", [0, 20])
def test_ensemble_on_a_gpu_draws_and_learns_as_on_a_cpu(curriculum: int) -> None:
    training = replace(
        QUICK,
        n_updates=40,
        batch_size=64,
        learning_rate=1e-3,
        curriculum=curriculum,
        start_stimulus=0.5 if curriculum else 1.0,
    )
    for agent, (task, seed) in zip(ensemble(RUNS, training, device="cuda", progress=False), RUNS, strict=True):
        assert not isinstance(agent, FloatingPointError)
        np.testing.assert_allclose(flat(agent), flat(train(task, seed, training, progress=False)), atol=1e-3)


@pytest.mark.slow
def test_ensemble_keeps_its_states_when_interrupted(tmp_path: Path) -> None:
    """Ctrl-C in a terminal reaches the caller and its processes."""
    script = tmp_path / "script.py"
    script.write_text(
        "import signal\n"
        "from mtrnn_agents import LeakyRNN, Training, ensemble\n"
        "from mtrnn_envs import EvidenceTask\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "training = Training(network=LeakyRNN(n_units=8), n_updates=200_000)\n"
        "runs = [(EvidenceTask(n_tasks=2), seed) for seed in range(4)]\n"
        f"ensemble(runs, training, folder={str(tmp_path / 'runs')!r}, n_jobs=2)\n"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, str(script)], stderr=subprocess.PIPE, start_new_session=True, env=environment
    ) as process:
        try:
            # TensorBoard's files are there once training has begun.
            while len(list((tmp_path / "runs").glob("*/tensorboard/*"))) < 2:
                assert process.poll() is None
                time.sleep(0.1)
            time.sleep(1)
            os.killpg(process.pid, signal.SIGINT)
            said = process.communicate(timeout=120)[1].decode()
        finally:
            process.kill()
    assert re.search(r"KeyboardInterrupt: stopped; the same call goes on from .*runs", said)
    assert len(list((tmp_path / "runs").glob("*/checkpoint.safetensors"))) == 2
    assert not list((tmp_path / "runs").glob("*/.tmp-*"))


def test_ensemble_on_a_cpu_is_train_in_processes(tmp_path: Path) -> None:
    short = replace(QUICK, n_updates=60)
    agents = ensemble(RUNS, short, folder=tmp_path, n_jobs=2, progress=False)
    for (task, seed), agent in zip(RUNS, agents, strict=True):
        assert not isinstance(agent, FloatingPointError)
        assert (agent.task, agent.seed) == (task, seed)
        np.testing.assert_array_equal(flat(agent), flat(train(task, seed, short, progress=False)))
    assert len(os.listdir(tmp_path)) == 2
    # A second call finds them; a new one beside them is trained.
    more = ensemble([*RUNS, (RUNS[0][0], 7)], short, folder=tmp_path, n_jobs=1, progress=False)
    np.testing.assert_array_equal(flat(more[0]), flat(agents[0]))
    assert len(os.listdir(tmp_path)) == 3


def test_as_one_goes_on_from_where_each_was_stopped(tmp_path: Path) -> None:
    training = replace(QUICK, n_updates=300, evaluate_every=128)
    cells = [(Run(*run), tmp_path / str(i)) for i, run in enumerate(RUNS)]
    with pytest.raises(KeyboardInterrupt):
        train(*RUNS[0], training, folder=cells[0][1], progress=False, metrics=Interrupt(1))
    for agent, (task, seed) in zip(_as_one(cells, training, torch.device("cpu"), False, None), RUNS, strict=True):
        assert not isinstance(agent, FloatingPointError)
        assert agent.history is not None
        assert agent.history.updates[-1] == 300
        alone = train(task, seed, training, progress=False)
        assert accuracy(agent) == pytest.approx(accuracy(alone), abs=0.03)
        np.testing.assert_allclose(agent.history.loss, alone.history.loss if alone.history else (), rtol=0.05)


def test_a_network_that_diverges_leaves_the_others_alone() -> None:
    """Evidence of a size at which the first loss overflows."""
    broken = replace(RUNS[0][0], sigma=1e25)
    training = replace(QUICK, n_updates=60)
    cells = [(Run(broken, 0), None), (Run(*RUNS[1]), None)]
    for outcomes in (
        _as_one(cells, training, torch.device("cpu"), False, None),
        ensemble([(broken, 0), RUNS[1]], training, n_jobs=1, progress=False),
    ):
        assert isinstance(outcomes[0], FloatingPointError)
        assert "update 1 is not finite" in str(outcomes[0])
        assert not isinstance(outcomes[1], FloatingPointError)


def test_stacked_batches_are_padded_with_silence() -> None:
    batches = [as_tensors(draw_block(Run(*run), replace(QUICK, batch_size=1024), 0)) for run in RUNS]
    both = stack(batches)
    assert both.observations.shape == (2, 2, 1024, 10, 41)
    t, a = batches[0].values.shape[2:]
    assert torch.equal(both.values[0, :, :, :t, :a], batches[0].values)
    assert (both.values[0, ..., a:] == 0.5).all()
    assert not both.valid[0, :, :, t:].any()
    assert (both.observations[0, :, :, t:] == 0).all()


def test_history() -> None:
    found = Evaluation(0.6, 0.4, 0.9)
    history = History().extended(3, 0.5, found, {"r2": 0.7})
    history = history.extended(6, 0.4, found._replace(loss=0.5), {"size": 2.0}).extended(9, 0.3, found, {"r2": 0.8})
    assert history.updates == (3, 6, 9)
    assert history.best() == 1
    assert history.best(first=9) == 2
    np.testing.assert_array_equal(history.metrics["r2"], [0.7, np.nan, 0.8])
    np.testing.assert_array_equal(history.metrics["size"], [np.nan, 2.0, np.nan])


def test_tensorboard_has_the_curves(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    agent = train(TASK, 0, QUICK, folder=tmp_path, progress=False, metrics=lambda states, latents: {"r2": 0.5})
    assert agent.history is not None
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert {"loss", "validation_loss", "cross_entropy", "accuracy", "accuracy_ideal", "r2"} <= set(
        events.Tags()["scalars"]
    )
    assert [e.value for e in events.Scalars("accuracy")] == pytest.approx(agent.history.accuracy)
    assert [e.step for e in events.Scalars("accuracy")] == list(agent.history.updates)
    assert events.Scalars("accuracy_ideal")[0].value == pytest.approx(ideal_performance(TASK).accuracy)


def test_progress_bar_tells_loss_and_accuracy(capsys: pytest.CaptureFixture[str]) -> None:
    train(TASK, 0, QUICK, metrics=lambda states, latents: {"r2": 0.5})
    shown = capsys.readouterr().err
    assert f"of {ideal_performance(TASK).accuracy:.4f}" in shown
    assert "r2=0.500" in shown
    assert "300/300" in shown
