"""Fixed points: CPU time of the search and of the probe, and how many are found, against Adam in the same run."""

import time

import numpy as np
import pytest
import torch

from mtrnn_agents import Training, one_thread, train
from mtrnn_agents.networks import GRU
from mtrnn_agents.networks.leaky_rnn import LeakyRNN
from mtrnn_analysis.dynamics import fixed_points
from mtrnn_analysis.dynamics.data_states import data_states, nearest
from mtrnn_analysis.dynamics.levenberg_marquardt import minimise_speed
from mtrnn_envs import EvidenceTask, Stream
from mtrnn_envs.dynamics import resting_observation

pytestmark = pytest.mark.benchmark(timer=time.process_time, min_rounds=3, warmup=False)
TASK = EvidenceTask()
NETWORKS = {"leaky": LeakyRNN(), "tanh": LeakyRNN(activation="tanh", alpha=0.5), "gru": GRU()}
FIXED = 1e-10


def adam(agent, inputs, starts, n_steps=10_000, rate=1e-2):
    """q after so many steps of Adam in float64, its rate falling to 0 as a cosine, and the points."""
    weights = {name: v.double() for name, v in agent.weights.items()}
    states = torch.tensor(starts, requires_grad=True)
    seen = torch.tensor(np.tile(inputs, (len(starts), 1)))
    optimiser = torch.optim.Adam([states], rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, n_steps)

    def q():
        return 0.5 * ((agent.network.step(weights, (states,), seen)[0] - states) ** 2).sum(1)

    for _ in range(n_steps):
        optimiser.zero_grad()
        q().sum().backward()
        optimiser.step()
        schedule.step()
    return states.detach().numpy(), q().detach().numpy()


@pytest.mark.parametrize("name", NETWORKS)
def test_search(benchmark, ratios, name):
    with one_thread():
        agent = train(TASK, 0, Training(network=NETWORKS[name], n_updates=10_000), progress=False)
        dynamics, trials = agent.dynamics(), Stream(TASK, "test", 0).take(256)
        data, rng = data_states(dynamics, trials), np.random.default_rng(0)
        starts = data.others[rng.choice(len(data.others), 128, replace=False)]
        starts = starts + 0.1 * data.deviations * rng.standard_normal(starts.shape)
        resting = resting_observation(TASK)

        def near(points):
            return nearest(points, data.reference) <= np.quantile(data.own, 0.99)

        def search():
            return minimise_speed(dynamics, resting, starts, longest_step=0.03 * data.scale)

        begin = time.process_time()
        points, q = adam(agent, resting, starts)
        theirs, ours = time.process_time() - begin, search()
        begin = time.process_time()
        search()
        seconds = time.process_time() - begin
        ratios(f"{name}: CPU s of 128 starts", seconds, "2 at most")
        ratios(f"{name}: CPU time of 10,000 steps of Adam, over ours", theirs / seconds, "above 1")
        n_ours, n_theirs = (np.count_nonzero((v < FIXED) & near(p)) for p, v in ((ours.states, ours.q), (points, q)))
        ratios(f"{name}: fixed points near the data", n_ours, f"{n_theirs} of Adam, at least")
        ratios(f"{name}: fixed points anywhere", np.count_nonzero(ours.q < FIXED), f"{np.count_nonzero(q < FIXED)}")
        begin = time.process_time()
        fixed_points(dynamics, TASK, trials, rng)
        ratios(f"{name}: CPU s of the whole probe, without the control", time.process_time() - begin, "2 at most")
        benchmark(search)
