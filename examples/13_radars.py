"""Draws the radars of agents in the benchmark side by side, best first, as in the README.

python examples/13_radars.py examples/benchmark --agents gru leaky_rnn recurrent_ppo --to radars.png
"""

import argparse
from pathlib import Path

from mtrnn_analysis.figures import radars_figure
from mtrnn_analysis.report import read_leaderboard

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="the folder of files of results")
    parser.add_argument("--agents", nargs="+", help="which, by name; without it all")
    parser.add_argument("--to", type=Path, default=Path("radars.png"), help="the picture")
    parser.add_argument("--columns", type=int, default=4)
    a = parser.parse_args()
    scores = {agent.name: agent.scores for agent in read_leaderboard(a.results)}
    if unknown := set(a.agents or ()) - set(scores):
        parser.error(f"--agents {' '.join(sorted(unknown))}: in {a.results} there are {', '.join(scores)}")
    shown = {name: each for name, each in scores.items() if a.agents is None or name in a.agents}
    radars_figure(shown, a.columns).savefig(a.to, dpi=160)
    print(f"radars of {len(shown)} agents are in {a.to}")
