"""The environments: conformance over every id, and a thousand configurations drawn at random; what breaks it fails."""

import copy
import hashlib
import itertools
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

import mtrnn_envs
from mtrnn_envs import EvidenceTask, Stream, observe
from mtrnn_envs.components.boundaries import KINDS
from mtrnn_envs.components.encoder import layers
from mtrnn_envs.environments.env import EvidenceEnv
from mtrnn_envs.stream import block_size
from mtrnn_envs.testing.comparisons import assert_same, random_action, task_of
from mtrnn_envs.testing.envs import check_env, check_gymnasium, check_vector

FIXED = [id_ for id_, (fields, _) in mtrnn_envs.IDS.items() if "payoff" not in fields]
VARIANTS = {
    "default": {},
    "bare evidence": {"encoder": None},
    "squaring encoder": {"encoder": "square"},
    "noise behind the encoder": {"sigma": 0.0, "encoder_noise": 0.1},
    "drawn periods": {"fixation": (0, 3), "stimulus": (2, 9)},
    "drawn periods, noise behind the encoder": {"stimulus": (2, 5), "sigma": 0.0, "encoder_noise": 0.1},
    "Gumbel noise, correlated latents": {"noise": "gumbel", "latent_correlation": -0.5, "encoder": None},
    "AR(1) noise, an orthant left out": {"autocorrelation": 0.7, "excluded_orthants": ("+-",), "encoder": None},
    "no fixation": {"fixation": 0, "stimulus": 4, "encoder": None},
    "one dimension": {"n_dims": 1, "sigma": (0.3,), "encoder": None},
    "a wide task": {"n_dims": 3, "n_tasks": 40, "sigma": (0.1, 0.2, 0.3)},
}
FIXED_VARIANTS = {
    "withholding": {"withhold": True, "delay": 2, "encoder": None},
    "several decisions": {"decision": 3, "stimulus": 3, "encoder": None},
    "drawn everything": {"delay": (0, 2), "decision": (1, 3), "stimulus": (1, 4), "encoder": None},
}
RT_VARIANTS = {
    "common stop": {"commit": "common", "stimulus": 6, "encoder": None},
    "log": {"payoff": "log", "n_confidence": 1, "encoder": None},
    "accuracy, cued": {"payoff": "accuracy", "cueing": "one", "encoder": None},
}


def variants():
    for id_ in mtrnn_envs.IDS:
        own = FIXED_VARIANTS if id_ in FIXED else RT_VARIANTS
        for name, kwargs in (VARIANTS | own).items():
            yield pytest.param(id_, kwargs, id=f"{id_}: {name}")


@pytest.mark.parametrize(("id_", "kwargs"), list(variants()))
def test_single_sync_native_and_batch_are_the_same_bit_for_bit(id_, kwargs):
    check_env(id_, **kwargs)


@pytest.mark.parametrize("mode", AutoresetMode)
@pytest.mark.parametrize("id_", mtrnn_envs.IDS)
def test_many_blocks_of_trials_later_the_vectors_still_agree(id_, mode):
    check_vector(id_, mode, n_envs=5, n_steps=4 * 64 + 30, stimulus=2, encoder=None, seed=3)


@pytest.mark.parametrize("id_", mtrnn_envs.IDS)
@pytest.mark.parametrize("n_envs", [1, 7, 70])
def test_a_vector_shows_the_rows_of_the_streams(id_, n_envs):
    envs = gym.make_vec(id_, num_envs=n_envs, encoder=None)
    task = task_of(envs)
    seen, infos = envs.reset(seed=11)
    trials = [Stream(task, "train", 11 + i).take(1) for i in range(n_envs)]
    assert_same(infos["latents"], np.concatenate([trial.latents for trial in trials]), "latents")
    for t in range(5):
        assert_same(seen, np.concatenate([observe(trial)[:, t] for trial in trials]), f"observations of step {t}")
        waits = np.zeros_like(envs.action_space.sample())
        seen, *_ = envs.step(waits)


class Reshuffles(EvidenceEnv):
    """Repeats its first observation under a seed, but not its rollout."""

    def step(self, action):
        observation, reward, terminated, truncated, info = super().step(action)
        observation[1] += np.random.default_rng().random()
        return observation, reward, terminated, truncated, info


class PaysTwice(EvidenceEnv):
    def step(self, action):
        observation, reward, terminated, truncated, info = super().step(action)
        return observation, 2 * reward, terminated, truncated, info


@pytest.mark.parametrize(("broken", "message"), [("Reshuffles", "not equivalent"), ("PaysTwice", "against `score`")])
def test_broken_environments_fail(broken, message):
    gym.register("Broken-v0", entry_point=f"{__name__}:{broken}")
    try:
        with pytest.raises(AssertionError, match=message):
            check_env("Broken-v0", encoder=None)
    finally:
        gym.registry.pop("Broken-v0")


# A change here changes what published seeds mean: it needs a new version of the id, and a line under "results move".
GOLDEN = {
    "MultiTaskEvidence-v0": "676bfad9dce4ee79",
    "MultiTaskEvidenceRT-v0": "676bfad9dce4ee79",
    "MultiTaskEvidenceNonlinear-v0": "ee5b60307ce7a676",
    "MultiTaskEvidenceCued-v0": "53b129fc9e045281",
}


@pytest.mark.parametrize("id_", mtrnn_envs.IDS)
def test_the_first_trials_of_each_id_never_change(id_):
    task = task_of(gym.make(id_))
    trials = Stream(task, "train", 0).take(16)
    # Rounded, so that a mathematical library that errs in the last bit does not count as a change.
    parts = [trials.latents, trials.labels, trials.evidence, *itertools.chain(*layers(task.n_dims, task.encoder_seed))]
    parts += [] if trials.context is None else [trials.context]
    digest = hashlib.sha256(b"".join(np.round(part * 2.0**20).astype(np.int64).tobytes() for part in parts))
    assert digest.hexdigest()[:16] == GOLDEN[id_]


def test_splits_and_neighbouring_seeds_share_no_draw():
    task = EvidenceTask(encoder=None)
    streams = [Stream(task, split, seed).take(64) for split in ("train", "validation", "test") for seed in range(5)]
    latents = np.concatenate([trials.latents.ravel() for trials in streams])
    noise = np.concatenate([trials.noise.ravel() for trials in streams])
    assert len(np.unique(latents)) == len(latents)
    # Float32 normals collide by chance; 38,400 draws share at most a few, whole streams would share thousands.
    assert len(np.unique(noise)) > 0.98 * len(noise)


def test_a_stream_does_not_depend_on_how_it_is_taken():
    task = EvidenceTask(stimulus=(3, 6), cueing="one")
    whole, parts = Stream(task, "train", 5).take(200), Stream(task, "train", 5)
    for start, n in ((0, 1), (1, 62), (63, 2), (65, 135)):
        part = parts.take(n)
        for name in ("latents", "noise", "lengths", "context", "labels"):
            assert_same(getattr(part, name), getattr(whole, name)[start : start + n], name)


def test_only_the_test_split_shows_the_orthants_that_are_held_out():
    task = EvidenceTask(excluded_orthants=("+-", "--"))
    for split, shown in (("train", False), ("validation", False), ("test", True)):
        latents = Stream(task, split, 0).take(400).latents
        assert np.any(latents[:, 1] < 0) == shown
        env = gym.make("MultiTaskEvidence-v0", excluded_orthants=("+-", "--"), split=split)
        assert np.any([env.reset(seed=s)[1]["latents"][1] < 0 for s in range(20)]) == shown


def test_a_block_holds_64_trials_or_4096_evidence_values():
    assert block_size(EvidenceTask()) == 64
    assert block_size(EvidenceTask(n_dims=10, stimulus=20)) == 20
    assert block_size(EvidenceTask(n_dims=10, stimulus=(20, 4000))) == 1


def arrays_in(returned: Any) -> list[np.ndarray]:
    """All arrays in a nested structure."""
    if isinstance(returned, np.ndarray) and returned.dtype != object:
        return [returned]
    if isinstance(returned, dict):
        returned = list(returned.values())
    parts = returned if isinstance(returned, list | tuple | np.ndarray) else ()
    return [array for part in parts for array in arrays_in(part)]


@pytest.mark.parametrize("id_", mtrnn_envs.IDS)
@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP])
def test_observations_and_infos_are_the_users_to_keep(id_, mode):
    envs = gym.make_vec(id_, num_envs=3, autoreset_mode=mode.value, encoder=None, stimulus=3)
    kept: list[Any] = [envs.reset(seed=0)]
    copies = [copy.deepcopy(kept[0])]
    for _ in range(5 * 70):  # beyond the first block of trials, whose memory is then drawn anew
        kept.append(envs.step(envs.action_space.sample()))
        copies.append(copy.deepcopy(kept[-1]))
    for returned, copied in zip(kept, copies, strict=True):
        assert_same(returned, copied, "what was given, after later steps")
    for i, returned in enumerate(kept[:40]):
        for earlier in kept[:i]:
            assert not any(np.shares_memory(a, b) for a in arrays_in(returned) for b in arrays_in(earlier))


def test_what_users_do_to_what_they_are_given_changes_nothing():
    env, clean = (gym.make("MultiTaskEvidence-v0", stimulus=2, encoder=None) for _ in range(2))
    action = np.ones(24, np.int64)
    for _ in range(3):
        (seen, info), (other, _) = env.reset(seed=4), clean.reset(seed=4)
        info["labels"][...] = 0
        info["latents"][...] = 9
        seen[...] = 7
        for _ in range(4):
            seen, reward, *_ = env.step(action)
            other, right, *_ = clean.step(action)
            assert reward == right
            assert_same(seen, other, "observation")
            seen[...] = 7


# Errors come before anything is lost, and name what is wrong.


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"n_task": 3}, "'n_task' is not a field of EvidenceTask; did you mean 'n_tasks'"),
        ({"split": "trian"}, "split='trian' is not one of"),
        ({"render_mode": "ansi"}, "render_mode='ansi' is not one of"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*The environment is being initialised with render_mode='ansi'")
def test_a_wrong_argument_is_named(kwargs, message):
    with pytest.raises(ValueError, match=message):
        gym.make("MultiTaskEvidence-v0", **kwargs)
    with pytest.raises(ValueError, match=message):
        gym.make_vec("MultiTaskEvidence-v0", num_envs=2, **kwargs)


def test_wrong_seeds_and_vector_arguments_are_named():
    for seed in (-1, True):
        with pytest.raises(ValueError, match=f"seed={seed!r}"):
            gym.make("MultiTaskEvidence-v0").reset(seed=seed)
    with pytest.raises(ValueError, match="num_envs=0"):
        gym.make_vec("MultiTaskEvidence-v0", num_envs=0)
    with pytest.raises(ValueError, match="autoreset_mode='Never' is not an AutoresetMode"):
        gym.make_vec("MultiTaskEvidence-v0", num_envs=2, autoreset_mode="Never")
    envs = gym.make_vec("MultiTaskEvidence-v0", num_envs=2)
    with pytest.raises(ValueError, match=r"seed=\[1\] has 1 numbers for num_envs=2"):
        envs.reset(seed=[1])  # pyright: ignore[reportArgumentType]: a list is allowed by Gymnasium's vectors
    with pytest.raises(ValueError, match="reset_mask"):
        envs.reset(options={"reset_mask": np.zeros(2, bool)})
    with pytest.raises(gym.error.ResetNeeded, match="without a reset_mask first"):
        envs.reset(options={"reset_mask": np.array([True, False])})


@pytest.mark.parametrize(
    "bad", [np.full(24, 2), np.full(24, -1), np.ones(23, int), np.ones(24), np.full(24, 256), None, 1]
)
def test_an_action_that_counts_is_looked_at(bad):
    env = gym.make("MultiTaskEvidence-v0", stimulus=1, disable_env_checker=True)
    env.reset(seed=0)
    env.step(np.zeros(24, int))
    env.step(np.zeros(24, int))
    with pytest.raises(ValueError, match="action"):
        env.step(bad)
    _, reward, terminated, _, _ = env.step(np.ones(24, int))  # nothing was lost
    assert terminated
    assert float(reward) > 0


def test_a_wrong_level_of_confidence_is_named():
    envs = gym.make_vec("MultiTaskEvidenceRT-v0", num_envs=2, fixation=0)
    envs.reset(seed=0)
    with pytest.raises(ValueError, match=r"action=7 in component 0 of environment 0 is not one of 0 ... 6"):
        envs.step(np.full((2, 24), 7))


@pytest.mark.parametrize("mode", AutoresetMode)
def test_nothing_can_be_done_before_the_first_reset(mode):
    envs = gym.make_vec("MultiTaskEvidence-v0", num_envs=2, autoreset_mode=mode.value)
    with pytest.raises(gym.error.ResetNeeded, match="call reset"):
        envs.step(np.zeros((2, 24), int))
    with pytest.raises(gym.error.ResetNeeded, match="call reset"):
        gym.make("MultiTaskEvidence-v0").unwrapped.step(np.zeros(24, int))


def test_a_trial_that_ended_must_be_reset():
    env = gym.make("MultiTaskEvidence-v0", stimulus=1, fixation=0)
    with pytest.raises(gym.error.ResetNeeded):
        env.step(np.zeros(24, int))
    env.reset(seed=0)
    for _ in range(2):
        env.step(np.zeros(24, int))
    with pytest.raises(gym.error.ResetNeeded, match="call reset"):
        env.step(np.zeros(24, int))
    envs = gym.make_vec("MultiTaskEvidence-v0", num_envs=2, stimulus=1, fixation=0, autoreset_mode="Disabled")
    envs.reset(seed=0)
    for _ in range(2):
        envs.step(np.zeros((2, 24), int))
    with pytest.raises(gym.error.ResetNeeded, match="reset_mask"):
        envs.step(np.zeros((2, 24), int))


# Configurations at random: each builds, runs and passes, or is refused by name.


def _period(low):
    good = st.integers(low, 6)
    return st.one_of(good, st.tuples(good, good).map(sorted), st.sampled_from([-1, (3, 1), 1.5, "2", None, (1, 2, 3)]))


FIELDS = {
    "n_tasks": st.one_of(st.integers(1, 30), st.sampled_from([0, -3, 2.5, "6", True])),
    "n_dims": st.one_of(st.integers(1, 5), st.sampled_from([0, 1.0, None])),
    "boundaries": st.one_of(
        st.sampled_from(sorted(KINDS)), st.sampled_from(["curved", "math:sin", "no_such:thing", 3])
    ),
    "boundary_seed": st.one_of(st.integers(0, 2**40), st.just(-1)),
    "sigma": st.one_of(
        st.floats(0.01, 2), st.lists(st.floats(0.01, 2), min_size=1, max_size=3), st.just(0), st.just(np.nan)
    ),
    "noise": st.sampled_from(["gaussian", "gumbel", "pink"]),
    "autocorrelation": st.one_of(st.floats(-0.95, 0.95), st.sampled_from([1.0, "0.5"])),
    "latent_correlation": st.one_of(st.floats(-0.9, 0.9), st.just(2.0)),
    "excluded_orthants": st.one_of(st.lists(st.text("+-", min_size=1, max_size=3), max_size=4), st.just("+-")),
    "fixation": _period(0),
    "stimulus": _period(1),
    "delay": _period(0),
    "decision": _period(1),
    "dt": st.one_of(st.floats(1, 500), st.just(0)),
    "encoder": st.sampled_from([None, "relu", "square", "tanh"]),
    "encoder_seed": st.integers(0, 5),
    "encoder_noise": st.one_of(st.just(0), st.floats(0, 1), st.just(-1)),
    "cueing": st.sampled_from(["all", "one", "none"]),
    "payoff": st.sampled_from(["share", "quadratic", "log", "accuracy", "money"]),
    "commit": st.sampled_from(["each", "common", "never"]),
    "n_confidence": st.one_of(st.integers(1, 5), st.just(0)),
    "time_cost": st.one_of(st.floats(0, 0.1), st.just(-0.1), st.just(np.inf)),
    "withhold": st.sampled_from([False, True, 1]),
    "early_penalty": st.floats(0, 1),
    "action_encoding": st.sampled_from(["multi_discrete", "multi_binary", "box"]),
}
# A handful of fields at a time, so that many of the configurations are good ones.
SOME_FIELDS = st.lists(st.sampled_from(sorted(FIELDS)), max_size=6, unique=True).flatmap(
    lambda names: st.fixed_dictionaries({name: FIELDS[name] for name in names})
)


def test_every_field_is_drawn_below():
    assert FIELDS.keys() == EvidenceTask.__dataclass_fields__.keys()


@pytest.mark.slow
@settings(
    max_examples=1000,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
@given(id_=st.sampled_from(sorted(mtrnn_envs.IDS)), kwargs=SOME_FIELDS, seed=st.integers(0, 2**32))
def test_a_configuration_works_or_is_refused_by_name(id_, kwargs, seed):
    env, refusal = None, ""
    try:
        env = gym.make(id_, **kwargs)
    except ValueError as error:
        refusal = str(error)
    event("refused" if env is None else "works")
    if env is None:
        assert any(name in refusal for name in kwargs), f"{refusal} names none of {sorted(kwargs)}"
        return
    task = task_of(env)
    assert EvidenceTask.from_json(task.to_json()) == task == eval(repr(task))
    check_gymnasium(env)
    seen, _ = env.reset(seed=seed)
    rng, ended, n_steps = np.random.default_rng(seed), False, 0
    while not ended:
        assert seen in env.observation_space
        seen, reward, ended, _, _ = env.step(random_action(env.action_space, task, rng))
        assert np.isfinite(float(reward))
        n_steps += 1
    assert n_steps <= task.n_steps
    assert not np.any(seen)
