"""Policies of Stable-Baselines3 as plain data, from which one is built again: a file of it has no code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import FlattenExtractor
from torch import nn

from mtrnn_agents.stable_baselines import history_features as features
from mtrnn_envs import EvidenceTask
from mtrnn_envs.environments.spaces import action_space
from mtrnn_envs.utils.validation import check_choice

KINDS: dict[str, type[ActorCriticPolicy]] = {
    "MlpPolicy": ActorCriticPolicy,
    "MlpLstmPolicy": RecurrentActorCriticPolicy,
}
ACTIVATIONS: dict[str, type[nn.Module]] = {kind.__name__: kind for kind in (nn.Tanh, nn.ReLU, nn.ELU, nn.SiLU, nn.GELU)}

SPACES: dict[str, type[spaces.Space[Any]]] = {
    kind.__name__: kind for kind in (spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)
}


def takes_binary(task: EvidenceTask) -> bool:
    """Whether a policy may give its answers as `MultiBinary`: one Bernoulli variable each instead of two logits."""
    return not task.reaction_time and not task.withhold


def check_fits(policy: ActorCriticPolicy, task: EvidenceTask, kind: str | None) -> None:
    """Raises `ValueError` unless the policy takes the observations of `task` (or features of them) and its actions."""
    recurrent = isinstance(policy, RecurrentActorCriticPolicy)
    shown = (task.n_features if kind is None else features.width(task, kind),)
    sees, name = policy.observation_space.shape, f"model=<{type(policy).__name__}>"
    if recurrent and kind is not None:
        raise ValueError(f"kind={kind!r}: {name} is recurrent, and sees observations alone; give kind=None")
    if sees != shown:
        as_kind = "" if kind is None else f" as kind={kind!r}"
        raise ValueError(
            f"{name} sees observations of shape {sees}; the task shows {shown}{as_kind}"
            f"{'' if recurrent else _stacked(sees or (), task, kind)}"
        )
    needed: list[spaces.Space] = [action_space(task)]
    if takes_binary(task):
        needed.append(spaces.MultiBinary(task.n_answers))
    if policy.action_space not in needed:
        raise ValueError(f"{name} acts in {policy.action_space}; the task takes {needed[0]}")


def _stacked(sees: tuple[int, ...], task: EvidenceTask, kind: str | None) -> str:
    """The next step for a policy whose observations `sees` are stacked frames of `task`; else an empty string."""
    if len(sees) != 1 or sees[0] % task.n_features:
        return ""
    n_frames = sees[0] // task.n_features
    if n_frames == task.n_steps:
        return "; for stacked frames of the whole trial, give kind='frames'"
    if n_frames == 1:
        return "; for a policy that sees observations alone, give kind=None" if kind == "frames" else ""
    return (
        f"; for {n_frames} stacked frames there is no kind: kind='frames' needs those of the whole trial, "
        f"task.n_steps={task.n_steps}"
    )


def describe(policy: ActorCriticPolicy) -> dict[str, Any]:
    """The description of a policy for `build`, as JSON.

    Raises:
        ValueError: if the policy has custom parts: an extractor of features, an activation, or weights.
    """
    recurrent = isinstance(policy, RecurrentActorCriticPolicy)
    acts: Any = policy.action_space
    sizes = acts.nvec.tolist() if isinstance(acts, spaces.MultiDiscrete) else int(acts.n)
    about: dict[str, Any] = {
        "kind": "MlpLstmPolicy" if recurrent else "MlpPolicy",
        "n_inputs": spaces.flatdim(policy.observation_space),
        "actions": (type(acts).__name__, sizes),
        "net_arch": policy.net_arch,
        "activation": policy.activation_fn.__name__,
        "share_features_extractor": policy.share_features_extractor,
    }
    if type(policy.features_extractor) is not FlattenExtractor:
        raise ValueError(f"features_extractor=<{type(policy.features_extractor).__name__}> cannot be written to a file")
    if ACTIVATIONS.get(about["activation"]) is not policy.activation_fn:
        raise ValueError(
            f"activation_fn={policy.activation_fn!r} cannot be written to a file; use one of {[*ACTIVATIONS]}"
        )
    if recurrent:
        about["lstm"] = {
            "lstm_hidden_size": policy.lstm_actor.hidden_size,
            "n_lstm_layers": policy.lstm_actor.num_layers,
            "shared_lstm": policy.shared_lstm,
            "enable_critic_lstm": policy.enable_critic_lstm,
        }
    ours, theirs = ({name: v.shape for name, v in p.state_dict().items()} for p in (build(about), policy))
    if ours != theirs:
        odd = sorted(name for name in {*ours, *theirs} if ours.get(name) != theirs.get(name))
        raise ValueError(
            f"model=<{type(policy).__name__}> has weights of its own, which cannot be written to a file: "
            f"{', '.join(odd)}"
        )
    return about


def build(about: Mapping[str, Any]) -> ActorCriticPolicy:
    """A policy of this description; its weights are of no meaning.

    Raises:
        ValueError: if it is of no known kind.
    """
    kind = KINDS[check_choice(about["kind"], KINDS, "kind", "policies")]
    space, *sizes = about["actions"]
    with torch.random.fork_rng(devices=[]):
        return kind(
            spaces.Box(-np.inf, np.inf, (about["n_inputs"],), np.float32),
            SPACES[check_choice(space, SPACES, "action space", "policies")](*sizes),
            lambda _: 0.0,
            net_arch=about["net_arch"],
            activation_fn=ACTIVATIONS[check_choice(about["activation"], ACTIVATIONS, "activation", "policies")],
            ortho_init=False,
            share_features_extractor=about["share_features_extractor"],
            **about.get("lstm", {}),
        )


def check_shapes(arrays: Mapping[str, np.ndarray], needed: Mapping[str, tuple[int, ...]]) -> None:
    """Raises `ValueError` unless `arrays` are those that are needed, by name and shape."""
    for name in dict.fromkeys([*needed, *arrays]):
        have, need = arrays[name].shape if name in arrays else None, needed.get(name)
        if have != need:
            raise ValueError(f"arrays[{name!r}] has shape {have}; the policy needs {need}")
