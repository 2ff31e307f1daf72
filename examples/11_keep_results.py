"""Keeps the results of studies with the code: a table of each with its measures alone, its figures, and the claims.

    python examples/11_keep_results.py results/reproduction --to examples/results

Weights stay in the folder of the results. Figures that can be turned are in the report.
"""

import argparse
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from mtrnn_analysis.studies import figures, judge, networks, sentence
from mtrnn_envs.experiments.studies import as_csv, load_results

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="the folder that studies were run in")
    parser.add_argument("--to", type=Path, default=Path("examples/results"), help="where the copies go")
    parser.add_argument("--dpi", type=int, default=110, help="of the figures")
    a = parser.parse_args()
    lines = []
    for path in sorted(a.results.glob("studies/*/study.json")):
        there = load_results(a.results, path.parent.name)
        if len(there.entries) < there.n_cells:
            print(f"{there.study.name} is left out: {len(there.entries)} of {there.n_cells} networks are done")
            continue
        shown = ["cell", "status", *there.study.axes, "seed", "versions.mtrnn-envs", *there.study.measures.values()]
        rows = [{name: row[name] for name in dict.fromkeys(shown) if name in row} for row in there.rows()]
        done = networks(there)
        for title, measure in there.study.measures.items():
            if " where " in measure:  # of a curve, which is in no column
                values = dict(zip((row["cell"] for row in done.rows), done.numbers(measure), strict=True))
                for row in rows:
                    row[title] = values.get(row["cell"])
        folder = a.to / there.study.name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "table.csv").write_text(as_csv(rows))
        for drawn in figures(done, a.results):
            if isinstance(drawn.figure, Figure):
                drawn.figure.savefig(folder / f"{drawn.name}.png", dpi=a.dpi)
        lines += [
            f"**{there.study.title}** (`{there.study.name}`, {there.n_cells} networks)",
            "",
        ]
        judged = judge(done, np.random.default_rng(0))
        lines += [*([f"- {claim.text}: {sentence(claim)}" for claim in judged] or ["- no claims"]), ""]
    (a.to / "claims.md").write_text("\n".join(lines))
    print(f"claims.md, and tables and figures by study, are in {a.to.resolve()}")
