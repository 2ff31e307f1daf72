"""The task: its fields, what they refuse, and how it is written down."""

import dataclasses
import itertools
import json
import pickle

import gymnasium as gym
import numpy as np
import pytest

from mtrnn_envs import EvidenceTask

DEFAULTS = EvidenceTask()
ORTHANTS = tuple("".join(signs) for signs in itertools.product("+-", repeat=3))


def test_the_defaults_are_the_papers():
    assert (DEFAULTS.n_dims, DEFAULTS.n_tasks, DEFAULTS.sigma, DEFAULTS.dt) == (2, 24, 0.2, 100.0)
    assert tuple(DEFAULTS.longest) == (1, 20, 0, 1)
    assert (DEFAULTS.n_steps, DEFAULTS.n_features) == (22, 41)


@pytest.mark.parametrize(
    "task",
    [
        DEFAULTS,
        EvidenceTask(sigma=(0.1, 0.4), excluded_orthants=("+-",), stimulus=(3, 9), encoder=None),
        EvidenceTask(payoff="log", decision=0, n_dims=5, boundaries="spread"),
        EvidenceTask(cueing="one", boundaries="numpy:negative", n_tasks=2),
    ],
)
def test_a_task_survives_json_and_pickle(task):
    assert EvidenceTask.from_json(task.to_json()) == task
    assert hash(EvidenceTask.from_json(task.to_json())) == hash(task)
    assert pickle.loads(pickle.dumps(task)) == task
    assert json.loads(task.to_json()).keys() == {field.name for field in dataclasses.fields(EvidenceTask)}


def test_lists_and_numpy_numbers_become_plain_ones():
    given = {"n_tasks": np.int64(6), "sigma": [0.1, np.float32(0.5)], "stimulus": [4, 4], "excluded_orthants": ["++"]}
    task = EvidenceTask.from_fields(given)
    assert task == EvidenceTask(n_tasks=6, sigma=(0.1, 0.5), stimulus=4, excluded_orthants=("++",))
    assert type(task.n_tasks) is int


def test_a_task_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        DEFAULTS.n_tasks = 3  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"n_tasks": 0}, "n_tasks=0 is not a whole number from 1"),
        ({"n_tasks": 2.5}, "n_tasks=2.5 is not a whole number"),
        ({"n_dims": True}, "n_dims=True is not a whole number"),
        ({"sigma": 0}, r"sigma=0 is not a number in \(0, inf\)"),
        ({"sigma": float("nan")}, "sigma=nan is not a number"),
        ({"sigma": (0.1, 0.2, 0.3)}, "sigma=.* has 3 numbers; one, or one for each of n_dims=2"),
        ({"boundaries": "lines"}, "boundaries='lines' is not one of"),
        ({"boundaries": "no.such:thing"}, "boundaries='no.such:thing' cannot be imported"),
        ({"boundaries": "math:pi"}, "boundaries='math:pi' is not a function"),
        ({"boundaries": "math:sqrt"}, "boundaries='math:sqrt' fails on ndarray of shape"),
        ({"boundaries": "numpy:negative"}, r"boundaries='numpy:negative' gives .*\(1, 2\) for .* of shape \(1, 24\)"),
        ({"boundaries": "even", "n_dims": 3}, "boundaries='even' needs n_dims=2, got n_dims=3"),
        ({"boundaries": "product", "n_tasks": 6}, "n_tasks=6 is not a multiple of"),
        ({"noise": "pink"}, "noise='pink' is not allowed; use one of"),
        ({"noise": "gumbel", "autocorrelation": 0.5}, "autocorrelation=0.5 needs noise='gaussian'"),
        ({"autocorrelation": 1}, r"autocorrelation=1 is not a number in \(-1, 1\)"),
        ({"latent_correlation": -0.6, "n_dims": 3}, r"latent_correlation=-0.6 is not in \(-0.5"),
        ({"latent_correlation": 0.6, "n_dims": 1}, "latent_correlation=0.6 needs n_dims of 2 or more"),
        ({"excluded_orthants": ("+",)}, "excluded_orthants=.* is not a sequence of strings of n_dims=2 signs"),
        ({"excluded_orthants": ("++", "+-", "-+", "--")}, "excluded_orthants=.* leave one of 4 in"),
        (
            {"excluded_orthants": ORTHANTS[1:], "latent_correlation": -0.49999, "n_dims": 3},
            "excluded_orthants of 7 leave",
        ),
        ({"excluded_orthants": ("+" * 61,), "n_dims": 61}, "n_dims=61 is too many for excluded_orthants"),
        ({"stimulus": 0}, "stimulus=0 is not a whole number from 1"),
        ({"stimulus": (5, 2)}, "stimulus=.* has its shortest above its longest"),
        ({"stimulus": (1, 2, 3)}, "stimulus=.* is neither a number of steps nor a pair"),
        ({"decision": 0}, "decision=0 must be 1 or more with payoff='share'"),
        ({"payoff": "quadratic"}, "decision=1 must be 0 with payoff='quadratic'"),
        ({"encoder": "tanh"}, "encoder='tanh' is not allowed; use one of"),
        ({"encoder": None, "encoder_noise": 0.1}, "encoder_noise=0.1 needs an encoder"),
        ({"withhold": 1}, "withhold=1 is not allowed"),
        ({"withhold": True, "payoff": "log", "decision": 0}, "withhold=True goes with payoff='share'"),
        ({"commit": "common"}, "commit='common' needs a reaction-time payoff"),
        ({"action_encoding": "multi_binary", "cueing": "one"}, "action_encoding='multi_binary' goes with"),
        ({"time_cost": -0.1}, "time_cost=-0.1 is not a number in"),
    ],
)
def test_a_value_that_is_not_allowed_is_named_with_what_is(fields, message):
    with pytest.raises(ValueError, match=message):
        EvidenceTask(**fields)


@pytest.mark.parametrize(("name", "meant"), [("n_task", "n_tasks"), ("sigmas", "sigma"), ("encoders", "encoder")])
def test_an_unknown_field_says_which_was_meant(name, meant):
    with pytest.raises(ValueError, match=f"{name!r} is not a field of EvidenceTask; did you mean {meant!r}"):
        EvidenceTask.from_fields({name: 1})
    with pytest.raises(ValueError, match="the fields are n_tasks, n_dims"):
        EvidenceTask.from_fields({"zzz": 1})


def test_an_unknown_field_reads_like_an_unknown_keyword_to_those_who_try_which_are_taken():
    def takes_none():
        pass

    with pytest.raises(TypeError) as python:
        takes_none(frameskip=4)  # pyright: ignore[reportCallIssue]
    words = str(python.value).partition("got an ")[2]
    assert words == "unexpected keyword argument 'frameskip'"
    for give in (EvidenceTask.from_fields, lambda fields: gym.make("MultiTaskEvidence-v0", **fields)):
        with pytest.raises(TypeError, match=f"^{words}: 'frameskip' is not a field of EvidenceTask; the fields are"):
            give({"frameskip": 4})
