"""Networks: both forms of each against each other, against independent references, and at their start."""

import json
import math
from dataclasses import dataclass, replace
from functools import partial
from importlib import metadata
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load, save
from torch.nn.functional import gelu

from mtrnn_agents import supervised, trial_ppo
from mtrnn_agents.networks import FIXED, GRU, LSTM, NETWORKS, LeakyRNN, Sizes, Transformer, option, read
from mtrnn_agents.networks.base import State, Weights
from mtrnn_agents.networks.registry import from_fields, name_of, to_fields
from mtrnn_envs import EvidenceTask
from mtrnn_envs.experiments.cli.main import main
from mtrnn_envs.experiments.fingerprints import digest

H, SIZES = 16, Sizes(n_inputs=5, n_outputs=3, n_steps=7)
MASK = np.eye(H, k=1, dtype=np.float32)
MASK_OF_THREES, MASK_OF_OTHER_SIZE = 3 * MASK, MASK[1:]
MASK.flags.writeable = False

LEAKY = {
    "alpha": LeakyRNN(n_units=H, alpha=0.3),
    "not leaky": LeakyRNN(n_units=H, alpha=0.3, leaky=False),
    "tanh": LeakyRNN(n_units=H, activation="tanh"),
    "noise": LeakyRNN(n_units=H, noise=0.2, alpha=0.5),
    "orthogonal": LeakyRNN(n_units=H, initialization="orthogonal"),
    "sparse": LeakyRNN(n_units=H, initialization="sparse"),
    "connectivity": LeakyRNN(n_units=H, connectivity=0.4),
    "mask": LeakyRNN(n_units=H, connectivity="test_networks:MASK"),
    "Dale": LeakyRNN(n_units=H, excitatory=0.75),
    "all": LeakyRNN(
        n_units=H,
        alpha=0.3,
        leaky=False,
        activation="tanh",
        noise=0.1,
        initialization="sparse",
        connectivity=0.5,
        excitatory=0.8,
    ),
}
GATED = {"gru": (GRU(n_units=H), torch.nn.GRU), "lstm": (LSTM(n_units=H), torch.nn.LSTM)}
TRANSFORMERS = {
    "one head": Transformer(n_units=H, n_heads=1),
    "positions": Transformer(n_units=H, n_heads=4, positions=True),
    "2 layers": Transformer(n_units=H, n_heads=2, n_layers=2, positions=True),
}
KINDS = {name: kind(n_units=H) for name, kind in NETWORKS.items()}
ALL = KINDS | LEAKY | TRANSFORMERS
every = pytest.mark.parametrize("network", ALL.values(), ids=ALL.keys())
leaky = pytest.mark.parametrize("network", [LeakyRNN(n_units=H), *LEAKY.values()], ids=["default", *LEAKY])
gated = pytest.mark.parametrize(("network", "theirs"), GATED.values(), ids=GATED.keys())
transformers = pytest.mark.parametrize("network", TRANSFORMERS.values(), ids=TRANSFORMERS.keys())

close = partial(torch.testing.assert_close, rtol=1e-5, atol=1e-5)


def generator(seed):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(shape, generator=generator(seed))


def first(network, seed=0, sizes=SIZES):
    return network.first_weights(sizes, generator(seed))


def moved(network, seed=0, scale=0.3):
    """Weights far from their start, as training moves them: the trained ones, and no others."""
    rng = generator(seed + 1)
    weights = first(network, seed)
    return {
        k: v if k.startswith(FIXED) else v + scale * torch.randn(v.shape, generator=rng) for k, v in weights.items()
    }


def stepped(network, weights, observations, noise):
    """The hidden activity at every step of `step`, `[*M, N, T, H]`."""
    state, hidden = network.start(weights, observations.shape[-3]), []
    for u, xi in zip(observations.unbind(-2), noise.unbind(-2), strict=True):
        state = network.step(weights, state, u, xi)
        hidden.append(state[0])
    return torch.stack(hidden, -2)


def trials(n=4, n_steps=SIZES.n_steps, seed=2):
    """Observations and the noise of units."""
    return normal(n, n_steps, SIZES.n_inputs, seed=seed), normal(n, n_steps, H, seed=seed + 1)


def stack(weights):
    return {name: torch.stack([w[name] for w in weights]) for name in weights[0]}


# Both forms ------------------------------------------------------------------------------------------------------


@every
def test_steps_are_the_sequence(network):
    weights, (observations, noise) = moved(network), trials()
    hidden = network.sequence(weights, observations, noise)
    assert hidden.shape == (4, SIZES.n_steps, H)
    assert hidden.dtype == torch.float32
    close(stepped(network, weights, observations, noise), hidden)


@every
def test_a_shorter_sequence_is_the_beginning_of_a_longer_one(network):
    weights, (observations, noise) = moved(network), trials()
    close(
        network.sequence(weights, observations[:, :3], noise[:, :3]),
        network.sequence(weights, observations, noise)[:, :3],
    )


@every
def test_trials_of_a_batch_may_begin_at_different_times(network):
    """Rows of the state set to zero are fresh trials, whatever the other rows go through."""
    weights, (observations, noise) = moved(network), trials()
    fresh, begin = torch.tensor([False, True, False, True]), 3
    state, hidden = network.start(weights, 4), []
    for t in range(SIZES.n_steps):
        if t == begin:
            state = tuple(torch.where(fresh.view(4, *[1] * (v.ndim - 1)), torch.zeros_like(v), v) for v in state)
        state = network.step(weights, state, observations[:, t], noise[:, t])
        hidden.append(state[0])
    hidden, whole = torch.stack(hidden, 1), network.sequence(weights, observations, noise)
    close(hidden[~fresh], whole[~fresh])
    close(hidden[fresh, :begin], whole[fresh, :begin])
    close(hidden[fresh, begin:], network.sequence(weights, observations[fresh, begin:], noise[fresh, begin:]))


@every
def test_the_start_is_zeros_of_a_row_for_each_trial_and_hidden_activity_comes_first(network):
    weights = first(network)
    state = network.start(weights, 4)
    assert state[0].shape == (4, H)
    assert all(len(part) == 4 and not part.any() for part in state)
    after = network.step(weights, state, trials()[0][:, 0])
    assert [(v.shape, v.dtype) for v in after] == [(v.shape, v.dtype) for v in state]
    assert all(not part.any() for part in state)


@every
def test_networks_stacked_are_each_of_them_alone(network):
    alone, (observations, noise) = [moved(network, seed) for seed in (0, 10, 20)], trials(12)
    weights, observations, noise = stack(alone), observations.view(3, 4, 7, -1), noise.view(3, 4, 7, -1)
    assert [v.shape for v in network.start(weights, 4)] == [(3, *v.shape) for v in network.start(alone[0], 4)]
    hidden, steps = network.sequence(weights, observations, noise), stepped(network, weights, observations, noise)
    logits = read(weights, hidden)
    for m, own in enumerate(alone):
        expected = network.sequence(own, observations[m], noise[m])
        close(hidden[m], expected)
        close(steps[m], expected)
        close(logits[m], read(own, expected))


@every
def test_later_inputs_change_no_earlier_state(network):
    weights, (observations, noise) = moved(network), trials()
    before = network.sequence(weights, observations, noise)
    observations[:, 4:] += 1
    after = network.sequence(weights, observations, noise)
    torch.testing.assert_close(after[:, :4], before[:, :4], rtol=0, atol=1e-6)
    assert ((after - before)[:, 4:].abs() > 1e-3).any(-1).all()


@every
def test_gradients_reach_every_trained_weight(network):
    weights, (observations, noise) = first(network), trials(32)
    trained = {name: v.requires_grad_() for name, v in weights.items() if not name.startswith(FIXED)}
    logits = read(weights, network.sequence(weights, observations, noise))
    gradients = torch.autograd.grad((logits * normal(*logits.shape, seed=9)).sum(), list(trained.values()))
    for name, gradient in zip(trained, gradients, strict=True):
        assert gradient.isfinite().all(), name
        assert gradient.any(), name


@every
def test_stacked_networks_have_the_gradients_of_each_alone(network):
    alone, (observations, noise) = [moved(network, seed, 0.1) for seed in (0, 10)], trials(8)
    observations, noise = observations.view(2, 4, 7, -1), noise.view(2, 4, 7, -1)

    def gradients(weights, observations, noise):
        leaves = {name: v.clone().requires_grad_() for name, v in weights.items() if not name.startswith(FIXED)}
        logits = read(leaves, network.sequence(weights | leaves, observations, noise))
        return dict(zip(leaves, torch.autograd.grad(logits.square().sum(), list(leaves.values())), strict=True))

    together = gradients(stack(alone), observations, noise)
    for m, own in enumerate(alone):
        for name, gradient in gradients(own, observations[m], noise[m]).items():
            torch.testing.assert_close(together[name][m], gradient, rtol=1e-4, atol=1e-4)


# Against references ----------------------------------------------------------------------------------------------


@leaky
def test_the_leaky_network_is_its_formula(network):
    weights, (observations, noise) = moved(network), trials()
    w = {name: v.double().numpy() for name, v in weights.items()}
    matrix = w["recurrent.weight"]
    if network.excitatory is not None:
        n_excitatory = round(network.excitatory * H)
        matrix = np.abs(matrix) * np.array([1] * n_excitatory + [-1] * (H - n_excitatory))[:, None]
    if network.connectivity != 1:
        matrix = matrix * w["fixed.mask"]
    f = np.tanh if network.activation == "tanh" else lambda z: np.maximum(z, 0)
    a, s, r, expected = network.alpha, network.noise, np.zeros((4, H)), []
    for u, xi in zip(observations.unbind(1), noise.unbind(1), strict=True):
        z = u.numpy() @ w["input.weight"] + w["input.bias"] + r @ matrix + math.sqrt(2 / a) * s * xi.numpy()
        r = (1 - a if network.leaky else 1) * r + a * f(z)
        expected.append(r)
    expected = torch.from_numpy(np.stack(expected, 1)).float()
    close(network.sequence(weights, observations, noise), expected)


def test_without_noise_given_the_leaky_network_has_none():
    network, (observations, noise) = LEAKY["noise"], trials()
    weights = first(network)
    close(network.sequence(weights, observations), network.sequence(weights, observations, 0 * noise))
    close(
        network.step(weights, network.start(weights, 4), observations[:, 0])[0],
        network.sequence(weights, observations)[:, 0],
    )


def test_the_noise_of_units_has_its_standard_deviation_over_time_constants():
    """A linear unit's activity is an AR(1) of variance 2 s² / (2 - a), nearly s² at small a: tanh at small activity."""
    network = LeakyRNN(n_units=1, alpha=0.1, activation="tanh", noise=0.01)
    weights = {name: torch.zeros_like(v) for name, v in first(network).items()}
    n = 20_000
    hidden = network.sequence(weights, torch.zeros(n, 80, SIZES.n_inputs), normal(n, 80, 1))[:, -1]
    expected = 0.01 * math.sqrt(2 / (2 - 0.1))
    assert hidden.std().item() == pytest.approx(expected, rel=5 / math.sqrt(2 * n))


@gated
def test_gated_networks_are_pytorchs(network, theirs):
    """States and gradients; PyTorch's two biases are drawn apart, so that what is merged here is put to the test."""
    (observations, _), weights = trials(), moved(network)
    n_gates = weights["recurrent.weight"].shape[1] // H
    split = normal(n_gates * H, seed=5)
    if isinstance(network, GRU):
        split[2 * H :] = weights["recurrent.bias"]
    rest = weights["input.bias"] - split
    if isinstance(network, GRU):
        rest[2 * H :] = weights["input.bias"][2 * H :]
    module = theirs(SIZES.n_inputs, H, batch_first=True)
    given = {
        "weight_ih_l0": weights["input.weight"].T,
        "weight_hh_l0": weights["recurrent.weight"].T,
        "bias_ih_l0": rest,
        "bias_hh_l0": split,
    }
    module.load_state_dict(given)
    leaves = {name: v.requires_grad_() for name, v in weights.items()}
    hidden, expected = network.sequence(leaves, observations), module(observations)[0]
    close(hidden, expected)
    ours = torch.autograd.grad(
        hidden.square().sum(), [leaves[name] for name in ("input.weight", "recurrent.weight", "input.bias")]
    )
    reference = torch.autograd.grad(expected.square().sum(), list(module.parameters())[:3])
    for gradient, wanted in zip(ours, reference, strict=True):
        torch.testing.assert_close(gradient, wanted.T if wanted.ndim == 2 else wanted, rtol=1e-4, atol=1e-4)


def test_the_gru_has_the_gradient_of_pytorchs_candidate_bias():
    network, observations = GRU(n_units=H), trials()[0]
    weights, module = {k: v.requires_grad_() for k, v in moved(network).items()}, torch.nn.GRU(5, H, batch_first=True)
    bias = torch.cat([torch.zeros(2 * H), weights["recurrent.bias"].detach()])
    given = (weights["input.weight"].T, weights["recurrent.weight"].T, weights["input.bias"], bias)
    module.load_state_dict(dict(zip(module.state_dict(), given, strict=True)))
    (ours,) = torch.autograd.grad(network.sequence(weights, observations).square().sum(), weights["recurrent.bias"])
    theirs = torch.autograd.grad(module(observations)[0].square().sum(), list(module.parameters()))[3]
    torch.testing.assert_close(ours, theirs[2 * H :], rtol=1e-4, atol=1e-4)


def test_the_lstm_refuses_weights_that_do_not_fit():
    """PyTorch's function behind it would read beyond their end."""
    weights = first(LSTM(n_units=H))
    with pytest.raises(ValueError, match="are not for 6 inputs and n_units=16: make or load others"):
        LSTM(n_units=H).sequence(weights, torch.zeros(4, 7, 6))
    with pytest.raises(ValueError, match="are not for 5 inputs and n_units=32: make or load others"):
        LSTM(n_units=32).sequence(weights, torch.zeros(4, 7, 5))


def test_the_lstm_carries_pytorchs_cell_in_its_second_part():
    network, (observations, _) = LSTM(n_units=H), trials(n_steps=1)
    weights = moved(network)
    module = torch.nn.LSTMCell(5, H)
    given = (weights["input.weight"].T, weights["recurrent.weight"].T, weights["input.bias"], torch.zeros(4 * H))
    module.load_state_dict(dict(zip(module.state_dict(), given, strict=True)))
    state = (normal(4, H, seed=6), normal(4, H, seed=7))
    for ours, theirs in zip(
        network.step(weights, state, observations[:, 0]), module(observations[:, 0], state), strict=True
    ):
        close(ours, theirs)


@transformers
def test_the_transformer_is_pytorchs_blocks_with_a_causal_mask(network):
    (observations, _), weights = trials(n_steps=6), moved(network)
    x = observations @ weights["input.weight"] + weights["input.bias"]
    if network.positions:
        x = x + weights["positions"][:6]
    mask = torch.nn.Transformer.generate_square_subsequent_mask(6)
    for block in (f"block{i}" for i in range(network.n_layers)):
        layer = torch.nn.TransformerEncoderLayer(
            H, network.n_heads, 4 * H, 0.0, partial(gelu, approximate="tanh"), norm_first=True, batch_first=True
        )
        names = ("attention.from", "attention.to", "mlp.from", "mlp.to", "attention.norm", "mlp.norm")
        parts = (v for name in names for v in (weights[f"{block}.{name}.weight"], weights[f"{block}.{name}.bias"]))
        parts = (v.T if v.ndim == 2 else v for v in parts)
        layer.load_state_dict(dict(zip(layer.state_dict(), parts, strict=True)))
        x = layer(x, mask, is_causal=True)
    x = torch.nn.functional.layer_norm(x, (H,), weights["norm.weight"], weights["norm.bias"])
    close(network.sequence(weights, observations), x.detach())


def test_one_layer_tells_the_order_of_what_it_saw_by_positions_alone():
    observations = trials()[0]
    shuffled = torch.cat([observations[:, [3, 1, 0, 2]], observations[:, 4:]], 1)
    for positions in (False, True):
        network = Transformer(n_units=H, positions=positions)
        weights = moved(network)
        ends = [network.sequence(weights, u)[:, -1] for u in (observations, shuffled)]
        assert ((ends[0] - ends[1]).abs().max() < 1e-4) != positions


@transformers
def test_a_trial_longer_than_the_transformer_is_made_for_is_refused(network):
    for weights, shape in ((first(network), ()), (stack([first(network), first(network, 1)]), (2,))):
        observations = torch.zeros(*shape, 4, SIZES.n_steps + 1, SIZES.n_inputs)
        with pytest.raises(ValueError, match="observations have 8 steps, the network is made for n_steps=7 at most"):
            network.sequence(weights, observations)
        state = network.start(weights, 4)
        state = (state[0], torch.where(torch.arange(4) == 2, SIZES.n_steps, state[1]), *state[2:])
        with pytest.raises(ValueError, match=r"goes on after n_steps=7.*; give episode_start where trials begin"):
            network.step(weights, state, observations[..., 0, :])


# What is not trained ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Dale", "all"])
def test_with_dales_law_a_unit_keeps_its_sign(name):
    network = LEAKY[name]
    assert network.excitatory is not None
    n_excitatory = round(network.excitatory * H)
    for weights in (first(network), moved(network, scale=3.0), stack([first(network), moved(network)])):
        recurrent = network.recurrent(weights)
        assert (recurrent[..., :n_excitatory, :] >= 0).all()
        assert (recurrent[..., n_excitatory:, :] <= 0).all()
        assert (recurrent > 0).any()
        assert (recurrent < 0).any()


@pytest.mark.parametrize("name", ["connectivity", "mask", "all"])
def test_connections_that_do_not_exist_stay_away(name):
    network = LEAKY[name]
    mask = first(network)[FIXED + "mask"]
    assert set(mask.unique().tolist()) == {0, 1}
    for weights in (first(network), moved(network, scale=3.0)):
        assert not network.recurrent(weights)[mask == 0].any()
    assert network.recurrent(moved(network))[mask == 1].all()


def test_a_named_mask_is_copied():
    mask = first(LEAKY["mask"])[FIXED + "mask"]
    np.testing.assert_array_equal(mask, MASK)
    mask[:] = 0
    assert MASK.any()


def test_with_dales_law_connections_grow_from_a_sparse_start():
    """The derivative of |W| is not 0 at W = 0: every connection that exists is trained."""
    network = LEAKY["all"]
    weights = first(network)
    matrix = weights["recurrent.weight"].requires_grad_()
    hidden = network.sequence(weights, *trials(32))
    (gradient,) = torch.autograd.grad((hidden * normal(*hidden.shape, seed=9)).sum(), matrix)
    assert gradient[(weights[FIXED + "mask"] == 1) & (matrix == 0)].all()


# The start -------------------------------------------------------------------------------------------------------


@every
def test_first_weights_depend_on_the_generator_alone(network):
    def drawn(global_seed, seed):
        torch.manual_seed(global_seed)
        return first(network, seed)

    before, state = torch.random.get_rng_state(), np.random.get_state()  # noqa: NPY002 (that it is not touched)
    one, same, other = drawn(0, 1), drawn(5, 1), drawn(0, 2)
    first_state = torch.manual_seed(0).get_state()
    first(network)
    assert torch.equal(torch.random.get_rng_state(), first_state)
    assert str(np.random.get_state()) == str(state)  # noqa: NPY002
    torch.random.set_rng_state(before)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


@every
def test_weights_survive_safetensors(network):
    """Which refuses tensors that share memory, as views of one another would."""
    weights = first(network)
    loaded = load(save(weights))
    assert loaded.keys() == weights.keys()
    assert all(torch.equal(loaded[name], v) and v.dtype == torch.float32 for name, v in weights.items())


@pytest.mark.parametrize(
    ("network", "bounds"),
    [
        (LeakyRNN(n_units=64), {"input.weight": 100, "input.bias": 100, "recurrent.weight": 64}),
        (GRU(n_units=64), dict.fromkeys(("input.weight", "input.bias", "recurrent.weight", "recurrent.bias"), 64)),
        (LSTM(n_units=64), dict.fromkeys(("input.weight", "input.bias", "recurrent.weight"), 64)),
    ],
    ids=["leaky-rnn", "gru", "lstm"],
)
def test_recurrent_networks_start_uniform(network, bounds):
    """Within ±1/sqrt(k), and with a mean square of 1 / 3 k (its variance: 4 / 45 k²)."""
    weights = first(network, sizes=Sizes(100, 24, 22))
    for name, k in (bounds | {"output.weight": 64, "output.bias": 64}).items():
        w = weights.pop(name)
        assert w.abs().max() <= 1 / math.sqrt(k), name
        assert w.min() < 0 < w.max(), name
        assert w.square().mean().item() == pytest.approx(1 / (3 * k), abs=5 * math.sqrt(4 / 45 / w.numel()) / k), name
    assert not weights


def test_an_orthogonal_start_is_orthogonal():
    matrix = first(LeakyRNN(n_units=64, initialization="orthogonal"))["recurrent.weight"]
    close(matrix @ matrix.T, torch.eye(64))


def test_a_sparse_start_has_a_tenth_of_the_connections_and_keeps_variance():
    matrix = first(LeakyRNN(n_units=200, initialization="sparse"))["recurrent.weight"]
    drawn = matrix[matrix != 0]
    assert len(drawn) / 200**2 == pytest.approx(0.1, abs=5 * math.sqrt(0.1 * 0.9) / 200)
    assert drawn.square().mean().item() * 200 * 0.1 == pytest.approx(1, abs=5 * math.sqrt(2 / len(drawn)))


def test_a_share_of_connections_exists():
    mask = first(LeakyRNN(n_units=200, connectivity=0.3))[FIXED + "mask"]
    assert mask.mean().item() == pytest.approx(0.3, abs=5 * math.sqrt(0.3 * 0.7) / 200)


def test_with_dales_law_excitation_and_inhibition_start_in_balance():
    """160 excitatory rows of mean 1 / 2 sqrt(H) against 40 inhibitory of four times as much."""
    network = LeakyRNN(n_units=200, excitatory=0.8)
    recurrent = network.recurrent(first(network))
    each, n = 1 / math.sqrt(200), 200 * 200
    # The variance of |uniform| is bound² / 12; the few inhibitory weights are 4 times as large, 16 in variance.
    deviation = each * math.sqrt((0.8 + 16 * 0.2) * n / 12)
    assert recurrent.sum().item() == pytest.approx(0, abs=5 * deviation)
    assert recurrent.abs().sum().item() == pytest.approx(2 * 0.8 * n * each / 2, abs=5 * deviation)


@pytest.mark.parametrize("n_layers", [1, 3])
def test_the_transformer_starts_as_gpt_2(n_layers):
    weights = first(Transformer(n_layers=n_layers, positions=True), sizes=Sizes(100, 24, 22))
    for name, w in weights.items():
        if name.endswith("bias"):
            assert not w.any(), name
        elif name.endswith("norm.weight"):
            assert (w == 1).all(), name
        else:
            scale = 0.02 / math.sqrt(2 * n_layers) if ".to." in name else 0.02
            assert w.std().item() == pytest.approx(scale, rel=5 / math.sqrt(2 * w.numel())), name
            assert abs(w.mean().item()) < 5 * scale / math.sqrt(w.numel()), name


def test_sizes_are_those_of_the_task():
    assert Sizes.of(EvidenceTask()) == (41, 24, 22)
    assert Sizes.of(EvidenceTask(cueing="one", encoder=None, stimulus=(3, 9))) == (27, 1, 11)


# What is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        *((kind, {"n_units": 0}, "n_units=0 is not a whole number, 1 or more") for kind in NETWORKS),
        ("leaky-rnn", {"alpha": 0}, r"alpha=0 is not a number in \(0, 1\]"),
        ("leaky-rnn", {"alpha": math.nan}, r"alpha=nan is not a number in \(0, 1\]"),
        ("leaky-rnn", {"alpha": True}, r"alpha=True is not a number in \(0, 1\]"),
        ("leaky-rnn", {"leaky": "no"}, "leaky='no' is neither True nor False"),
        ("leaky-rnn", {"noise": -0.1}, r"noise=-0.1 is not a number in \[0, "),
        ("leaky-rnn", {"activation": "gelu"}, r"activation='gelu' is not one of \['relu', 'tanh'\]"),
        ("leaky-rnn", {"initialization": "zero"}, r"initialization='zero' is not one of \['orthogonal', 'sparse', '"),
        ("leaky-rnn", {"excitatory": 1.1}, r"excitatory=1.1 is not a number in \[0, 1\]"),
        ("leaky-rnn", {"connectivity": 0}, r"connectivity=0 is not a number in \(0, 1\]"),
        ("leaky-rnn", {"connectivity": "test_networks:NOWHERE"}, "imported as 'module:attribute': AttributeError"),
        ("leaky-rnn", {"connectivity": "nowhere"}, "cannot be imported as 'module:attribute': ModuleNotFoundError"),
        ("leaky-rnn", {"n_units": H, "connectivity": "test_networks:MASK_OF_THREES"}, r"of 0 and 1 of shape \(16, 16"),
        ("leaky-rnn", {"n_units": H, "connectivity": "test_networks:MASK_OF_OTHER_SIZE"}, r"of shape \(15, 16\); one"),
        ("transformer", {"n_heads": 0}, "n_heads=0 is not a whole number, 1 or more"),
        ("transformer", {"n_layers": 1.5}, "n_layers=1.5 is not a whole number, 1 or more"),
        ("transformer", {"n_heads": 6}, "n_heads=6 does not divide n_units=64"),
        ("transformer", {"positions": 1}, "positions=1 is neither True nor False"),
    ],
)
@pytest.mark.usefixtures("unannotated")
def test_a_value_that_is_not_allowed_is_named_with_what_is(kind, fields, message):
    with pytest.raises(ValueError, match=message):
        from_fields({"kind": kind, **fields})


@pytest.mark.usefixtures("unannotated")
def test_numbers_of_any_kind_become_those_of_python():
    """So that a network survives JSON, and is the same whichever kind of 1 was given."""
    given: dict[str, Any] = {"n_units": np.int64(5), "alpha": np.float32(0.5), "noise": 0, "connectivity": 1}
    network = LeakyRNN(**given)
    assert type(network.n_units) is int
    assert {type(v) for v in (network.alpha, network.noise, network.connectivity)} == {float}
    assert network == LeakyRNN(n_units=5, alpha=0.5)
    with pytest.raises(ValueError, match=r"alpha=True is not a number in \(0, 1\]"):
        LeakyRNN(alpha=True)


# Names -----------------------------------------------------------------------------------------------------------


@every
def test_a_network_survives_json(network):
    fields = to_fields(network)
    assert fields["kind"] == name_of(network)
    assert from_fields(json.loads(json.dumps(fields))) == network


@pytest.mark.parametrize("kind", NETWORKS)
def test_fields_that_are_not_given_have_their_defaults(kind):
    assert from_fields({"kind": kind}) == NETWORKS[kind]()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"n_units": 3}, "{'n_units': 3} has no 'kind'; the kinds are leaky-rnn, gru, lstm, transformer"),
        ({"kind": "gruu"}, "'gruu' is not a kind of network; did you mean 'gru'"),
        ({"kind": "zzz"}, "'zzz' is not a kind of network; the kinds are leaky-rnn, gru, lstm, transformer"),
        ({"kind": None}, "None is not a kind of network; the kinds are leaky-rnn"),
        ({"kind": "gru", "n_unit": 3}, "'n_unit' is not a field of gru; did you mean 'n_units'"),
        ({"kind": "lstm", "alpha": 3}, "'alpha' is not a field of lstm; the fields are n_units"),
    ],
)
def test_a_name_that_is_not_known_says_which_was_meant(fields, message):
    with pytest.raises(ValueError, match=message):
        from_fields(fields)


def test_a_class_that_is_not_registered_is_refused():
    class Other(GRU):
        pass

    with pytest.raises(ValueError, match=r"network=.*Other.* is of no registered kind: give one of LeakyRNN, GRU,"):
        to_fields(Other())


# Of another package ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class SlowGRU(GRU):
    """A GRU of another package."""

    slowness: float = option(0.5, "share of the state that is kept", low=0, high=1)

    def step(self, weights: Weights, state: State, observation: torch.Tensor, noise: Any = None) -> State:
        (after,) = super().step(weights, state, observation)
        return (torch.lerp(after, state[0], self.slowness),)

    def sequence(self, weights: Weights, observations: torch.Tensor, noise: Any = None) -> torch.Tensor:
        state, states = self.start(weights, observations.shape[-3]), []
        for observation in observations.unbind(-2):
            state = self.step(weights, state, observation)
            states.append(state[0])
        return torch.stack(states, -2)


def installed_as(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    entries, entry = metadata.entry_points, metadata.EntryPoint(name, value, "mtrnn.networks")
    monkeypatch.setattr(
        metadata, "entry_points", lambda **of: [entry] if of.get("group") == entry.group else entries(**of)
    )


def test_a_network_of_another_package_is_chosen_trained_kept_and_hashed_by_its_name(tmp_path, monkeypatch):
    """By the command line, by settings of a study, and by other settings of it into another folder of an ensemble."""
    installed_as("slow-gru", "test_networks:SlowGRU", monkeypatch)
    network = SlowGRU(n_units=5, slowness=0.25)
    assert to_fields(network) == {"kind": "slow-gru", "n_units": 5, "slowness": 0.25}
    small = "--task.n-tasks 2 --task.stimulus 3 --training.n-updates 2 --training.batch-size 4"
    chosen = "training.network:slow-gru --training.network.n-units 5 --training.network.slowness 0.25"
    assert main(["train", "--folder", str(tmp_path), *small.split(), *chosen.split()]) == 0
    agent = supervised.load(tmp_path)
    assert agent.network == network
    fields = {"network": to_fields(network), "n_updates": 2, "batch_size": 4}
    training = supervised.from_fields(json.loads(json.dumps(fields)))
    assert training == agent.training
    again = supervised.train(
        agent.task, agent.seed, training, folder=tmp_path, progress=False
    )  # the agent that is there
    np.testing.assert_array_equal(again.weights["input.weight"], agent.weights["input.weight"])
    other = replace(training, network=SlowGRU(n_units=5, slowness=0.75))
    with pytest.raises(ValueError, match=r"another run: training.network.slowness is 0.25 there and 0.75 here"):
        supervised.train(agent.task, agent.seed, other, folder=tmp_path, progress=False)
    by_reward = trial_ppo.Training(network=network, n_iterations=1, n_trials=16, n_minibatches=2)
    assert trial_ppo.train(agent.task, 0, by_reward, progress=False).dynamics().n_units == 5
    ids = {digest("supervised", agent.task, 0, each) for each in (training, other)}
    assert len(ids) == 2


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("gru", "test_networks:SlowGRU", "network 'gru' of test_networks:SlowGRU has the name of another"),
        ("slow", "test_networks:SlowGRU", "name its entry point 'slow-gru', after the class"),
        ("slow-gru", "test_networks:Nothing", "network 'slow-gru': test_networks:Nothing cannot be imported"),
    ],
)
def test_an_entry_point_that_names_no_network_is_refused(name, value, message, monkeypatch):
    installed_as(name, value, monkeypatch)
    with pytest.raises(ValueError, match=message):
        from_fields({"kind": "slow-gru"})
    assert from_fields({"kind": "gru"}) == GRU()  # those of this package work all the same
