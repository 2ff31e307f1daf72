"""A policy of Stable-Baselines3 or sb3-contrib as an agent: its actions, probabilities and states.

    model = RecurrentPPO("MlpLstmPolicy", make_sb3_env("MultiTaskEvidence-v0", 64)).learn(500_000)
    recording = record(StableBaselinesAgent(model, EvidenceTask()), gym.make_vec("MultiTaskEvidence-v0", 64), 1000, 0)

The recording then serves every probe, as that of any other agent.
"""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import stable_baselines3
import torch
from gymnasium import spaces
from jaxtyping import Float
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from stable_baselines3.common.vec_env import VecNormalize

from mtrnn_agents.decision_rule import answer_probabilities
from mtrnn_agents.networks.agent_state import checked_observation
from mtrnn_agents.networks.jacobians import torch_lstm
from mtrnn_agents.stable_baselines import history_features as features
from mtrnn_agents.stable_baselines import policies
from mtrnn_agents.stable_baselines.normalisation import Scaling, is_inside, widths
from mtrnn_agents.training import files as storage
from mtrnn_agents.training import history as columns
from mtrnn_agents.training.history import Columns
from mtrnn_agents.training.settings import checked_task
from mtrnn_envs import EvidenceTask, plugins
from mtrnn_envs.environments.spaces import action_space, observation_space
from mtrnn_envs.protocols import Dynamics
from mtrnn_envs.reward import action_sizes, is_discrete
from mtrnn_envs.rng.seeding import generator
from mtrnn_envs.utils.validation import check_int


class FeedForwardState(NamedTuple):
    """The state of an agent whose policy is not recurrent.

    Attributes:
        hidden: the last layer of the policy network, `[N, H]`.
        past: see `mtrnn_agents.stable_baselines.history_features`; empty if the policy sees observations alone.
    """

    hidden: Float[np.ndarray, "N H"]
    past: features.Past


PolicyState: TypeAlias = tuple[np.ndarray, np.ndarray] | FeedForwardState  # (h, c) of SB3, or of no LSTM


class StableBaselinesAgent:
    """An actor-critic policy of SB3 as an agent in the protocol of `mtrnn_envs`.

    The policy is that of the model, not a copy. Its weights are not changed; as by SB3's own `predict`, it is left in
    evaluation mode.

    `predict` has the signature of SB3's own and gives the same actions where it is deterministic; where it draws them,
    it draws from a generator of its own and leaves the global ones alone. The state of a recurrent policy is SB3's:
    (h, c) of `[layers, N, H]` each; that of another is a `FeedForwardState`.

    Arguments:
        model: a trained model (its `policy` is taken), or a policy: `ActorCriticPolicy` or
            `RecurrentActorCriticPolicy`, for one of the action spaces that the task can have.
        task: the task it was trained on.
        scaling: the scaling of observations by `VecNormalize`: these environments, or a `Scaling`; if None, that of
            the model's environments, if they are in one. A policy alone, or a model without its environments, has
            none, and answers wrongly without it. Frames may be scaled before they are stacked, or after.
        kind: the features of `mtrnn_agents.stable_baselines.history_features` that the policy sees: "frames", as
            `VecFrameStack(envs, task.n_steps)` gives them, or "mean"; None for observations.
        seed: of its draws, a whole number, 0 or more.
        run: all that determined its training, as JSON, if known.
        history: the training history, if known; its first column is "steps".

    Raises:
        ValueError: if the policy is of another kind, or it or the scaling does not fit the task.
    """

    def __init__(
        self,
        model: BaseAlgorithm | BasePolicy,
        task: EvidenceTask,
        *,
        scaling: Scaling | VecNormalize | None = None,
        kind: str | None = None,
        seed: int = 0,
        run: Mapping[str, Any] | None = None,
        history: Columns | None = None,
    ) -> None:
        task, policy = checked_task(task), model.policy if isinstance(model, BaseAlgorithm) else model
        if not isinstance(policy, ActorCriticPolicy):
            raise ValueError(
                f"model=<{type(model).__name__}>: its policy is not an ActorCriticPolicy, which has probabilities"
            )
        policies.check_fits(policy, task, kind)
        self.policy, self.task, self.kind = policy, task, kind
        if scaling is None and isinstance(model, BaseAlgorithm):
            scaling = model.get_vec_normalize_env()
            if kind == "mean" and scaling is not None and is_inside(scaling, model.get_env()):
                raise ValueError("kind='mean' of observations that were scaled before: use VecNormalize outside of it")
        self.scaling = Scaling.of(scaling) if isinstance(scaling, VecNormalize) else scaling
        if not isinstance(self.scaling, Scaling | None):
            raise ValueError(f"scaling={scaling!r} is neither a VecNormalize nor a Scaling")
        allowed = widths(task, kind)
        if self.scaling is not None and len(self.scaling.mean) not in allowed:
            raise ValueError(
                f"scaling is of {len(self.scaling.mean)} channels; the policy sees {' or '.join(map(str, allowed))}"
            )
        self.observation_space = observation_space(task)
        self.action_space = action_space(task)
        self.run, self.history = run, dict(history or {})
        self.seed = check_int("seed", seed, 0)
        self._rng = generator(self.seed, "actions")

    @property
    def recurrent(self) -> bool:
        """Whether the policy is recurrent."""
        return isinstance(self.policy, RecurrentActorCriticPolicy)

    @torch.no_grad()
    def predict(
        self,
        observation: np.ndarray,
        state: PolicyState | None = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = False,
    ) -> tuple[np.ndarray, PolicyState]:
        """Actions for `observation`, `[N, F]` or `[F]`, and the state in which it has been seen.

        `episode_start` `[N]` says which trials begin with this observation.

        Raises:
            ValueError: if the observation is not `task.n_features` wide.
        """
        shown = checked_observation(self.task, observation)
        n = len(shown)
        fresh = np.zeros(n, bool) if episode_start is None else np.asarray(episode_start, bool).reshape(n)
        self.policy.set_training_mode(False)
        state = self._recur(shown, state, fresh) if self.recurrent else self._see(shown, state, fresh)
        action = self._act(self._logits(self._latent(state)), deterministic)
        if is_discrete(self.task):
            action = action[:, 0]
        return (action.squeeze(axis=0) if np.ndim(observation) == 1 else action), state

    def hidden(self, state: PolicyState) -> Float[np.ndarray, "N H"]:
        """The units: h of the last layer of the actor's LSTM, or the last layer of a policy network without one."""
        return state.hidden if isinstance(state, FeedForwardState) else state[0][-1]

    @torch.no_grad()
    def probabilities(self, state: PolicyState) -> Float[np.ndarray, "N A"]:
        """The probability of +1 for every task asked; see `mtrnn_agents.decision_rule.answer_probabilities`."""
        self.policy.set_training_mode(False)
        return answer_probabilities(self.task, self._logits(self._latent(state))[-1])

    def dynamics(self) -> Dynamics:
        """The actor's LSTM as a dynamical system of observations, in float64: scaling and features are part of it.

        Its state is (h, c) of the last layer, then of those before.

        Raises:
            ValueError: if the policy is not recurrent.
        """
        policy = self.policy
        if not isinstance(policy, RecurrentActorCriticPolicy):
            raise ValueError(f"policy=<{type(policy).__name__}> has no recurrent state, and so no dynamics")
        extractor, scaling = copy.deepcopy(policy.pi_features_extractor).cpu().double().eval(), self.scaling

        def extract(shown: np.ndarray) -> np.ndarray:
            if scaling is not None:
                shown = scaling(shown)
            with torch.no_grad():
                return extractor(torch.tensor(shown, dtype=torch.float64)).numpy()

        return torch_lstm(policy.lstm_actor, extract)

    def untrained(self) -> StableBaselinesAgent:
        """The agent that training began with: the first weights of the same run.

        Raises:
            ValueError: if its run is not known, or not that of an agent plug-in.
        """
        run = self.run or {}
        if run.get("name") not in plugins.names("agent"):
            raise ValueError(f"run={self.run!r} names no agent plug-in: the first weights of this agent are not known")
        plugin: Any = plugins.agent(run["name"])
        return plugin.untrained(self.task, run["seed"], plugin.Training(**run["training"]))

    def _recur(self, shown: np.ndarray, state: PolicyState | None, fresh: np.ndarray) -> PolicyState:
        """The state of the LSTM after `shown`."""
        policy: Any = self.policy
        layers, _, units = policy.lstm_hidden_state_shape
        nothing = np.zeros((layers, len(shown), units), np.float32)
        parts = (nothing, nothing) if state is None else state
        before = tuple(torch.as_tensor(part, dtype=torch.float32, device=policy.device) for part in parts)
        starts = torch.as_tensor(fresh, dtype=torch.float32, device=policy.device)
        _, after = policy._process_sequence(self._features(shown), before, starts, policy.lstm_actor)
        return after[0].cpu().numpy(), after[1].cpu().numpy()

    def _see(self, shown: np.ndarray, state: PolicyState | None, fresh: np.ndarray) -> FeedForwardState:
        """The last layer of the policy network that sees `shown`, and the past."""
        past: features.Past = ()
        if self.kind is not None:
            if self._scaled_before:
                shown = self._scaled(shown)
            if state is None:
                past = features.begin(self.task, self.kind, len(shown))
            else:
                assert isinstance(state, FeedForwardState)
                past = state.past
            past, shown = features.extended(self.task, self.kind, past, shown, fresh)
        latent = self.policy.mlp_extractor.forward_actor(self._features(shown))
        return FeedForwardState(latent.cpu().numpy(), past)

    def _features(self, shown: np.ndarray) -> torch.Tensor:
        """The output of the policy's features extractor."""
        if self.scaling is not None and not self._scaled_before:
            shown = self._scaled(shown)
        tensor = torch.as_tensor(shown, device=self.policy.device)
        return BasePolicy.extract_features(self.policy, tensor, self.policy.pi_features_extractor)

    @property
    def _scaled_before(self) -> bool:
        """Whether frames are scaled before they are stacked."""
        return self.kind == "frames" and self.scaling is not None and len(self.scaling.mean) == self.task.n_features

    def _scaled(self, shown: np.ndarray) -> np.ndarray:
        """`shown`, scaled as by `VecNormalize`."""
        assert self.scaling is not None
        return self.scaling(shown).astype(np.float32)

    def _latent(self, state: PolicyState) -> torch.Tensor:
        """The last layer of the policy network in a state, `[N, H]`."""
        units = torch.as_tensor(self.hidden(state), device=self.policy.device)
        return self.policy.mlp_extractor.forward_actor(units) if self.recurrent else units

    def _logits(self, latent: torch.Tensor) -> list[np.ndarray]:
        """The logits of the components of an action, `[N, components, values]`; answers last, a common stop before."""
        n, sizes = len(latent), action_sizes(self.task)
        logits = self.policy.action_net(latent).cpu().numpy()
        if isinstance(self.policy.action_space, spaces.MultiBinary):
            return [np.stack([np.zeros_like(logits), logits], axis=-1)]
        if self.task.commit == "common":
            return [logits[:, None, : sizes[0]], logits[:, sizes[0] :].reshape(n, -1, sizes[-1])]
        return [logits.reshape(n, -1, sizes[-1])]

    def _act(self, logits: list[np.ndarray], deterministic: bool) -> np.ndarray:
        """Actions `[N, M]`: the likeliest, or drawn (of logits with Gumbel noise, the highest is)."""
        if not deterministic:
            logits = [part + self._rng.gumbel(size=part.shape) for part in logits]
        return np.concatenate([part.argmax(axis=-1) for part in logits], axis=1).astype(self.action_space.dtype)

    @property
    def evaluation(self) -> dict[str, float]:
        """The last evaluation in training, by name; empty if there was none."""
        return columns.evaluation(self.history)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes weights, task and a description of the policy to one safetensors file, without any code.

        Raises:
            ValueError: if the policy has parts that are not among those that a file can name.
        """
        about = {
            "task": json.loads(self.task.to_json()),
            "kind_of_features": self.kind,
            "policy": policies.describe(self.policy),
            "seed": self.seed,
            "run": self.run,
            "history": self.history,
            "clip": None if self.scaling is None else self.scaling.clip,
            "versions": {"stable_baselines3": stable_baselines3.__version__, "torch": torch.__version__},
        }
        arrays = {f"policy.{name}": v.detach().cpu().numpy() for name, v in self.policy.state_dict().items()}
        if self.scaling is not None:
            arrays |= {"scaling.mean": self.scaling.mean, "scaling.deviation": self.scaling.deviation}
        storage.write(path, "stable_baselines", arrays, about)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> StableBaselinesAgent:
        """The agent that `save` wrote.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if the file was not written by `save`, is not whole, or is of a version that is not known.
        """
        arrays, about = storage.read(path, "stable_baselines")
        task, kind = EvidenceTask.from_fields(about["task"]), about["kind_of_features"]
        policy = policies.build(about["policy"])
        weights = policy.state_dict()
        needed = {f"policy.{name}": tuple(v.shape) for name, v in weights.items()}
        if about["clip"] is not None:
            found = arrays["scaling.mean"].shape if "scaling.mean" in arrays else ()
            last, *before = ((n,) for n in widths(task, kind))
            shape = found if found in before else last
            needed |= dict.fromkeys(("scaling.mean", "scaling.deviation"), shape)
        policies.check_shapes(arrays, needed)
        policy.load_state_dict({name: torch.from_numpy(arrays[f"policy.{name}"]) for name in weights})
        scaling = None
        if about["clip"] is not None:
            scaling = Scaling(arrays["scaling.mean"], arrays["scaling.deviation"], about["clip"])
        history = columns.from_json(about["history"])
        return cls(policy, task, scaling=scaling, kind=kind, seed=about["seed"], run=about["run"], history=history)

    @classmethod
    def from_zip(
        cls,
        path: str | os.PathLike[str],
        algorithm: type[BaseAlgorithm],
        task: EvidenceTask,
        *,
        trust: bool = False,
        scaling: Scaling | VecNormalize | None = None,
        kind: str | None = None,
    ) -> StableBaselinesAgent:
        """The agent in a file that SB3's own `model.save` wrote, for example `from_zip(path, RecurrentPPO, task)`.

        Such a file holds pickles: to read it is to run whatever code is in it. So `trust=True` must be given, and
        should be for your own files alone.

        It does not hold what `VecNormalize` has learned, nor that there was one: an agent of a model that was trained
        in one answers wrongly, and nothing can notice, unless it is given as `scaling`. SB3 keeps it in another file:

            envs.save("scaling.pkl")  # after training
            envs = VecNormalize.load("scaling.pkl", make_sb3_env("MultiTaskEvidence-v0", 1))  # a pickle, too
            agent = StableBaselinesAgent.from_zip("model.zip", PPO, EvidenceTask(), trust=True, scaling=envs)

        The other arguments are those of the class.

        Raises:
            ValueError: if `trust` is not True, or the policy or the scaling does not fit the task.
        """
        task = checked_task(task)
        if trust is not True:
            raise ValueError(
                f"trust={trust!r}: reading {path} runs whatever code is in it, as SB3's files hold pickles; if you "
                "know where it comes from, give trust=True"
            )
        return cls(algorithm.load(os.fspath(path), device="cpu"), task, scaling=scaling, kind=kind)
