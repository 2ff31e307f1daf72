"""What came of studies, small enough to be kept with the code: the table of each without what follows, and its figures.

    python examples/11_keep_results.py results/reproduction --to examples/results

Weights stay where they are. A figure that can be turned is in the report.
"""

import argparse
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from mtrnn_analysis.studies.claims import judge, sentence
from mtrnn_analysis.studies.figures import figures
from mtrnn_analysis.studies.networks import networks
from mtrnn_envs.experiments.studies.results import as_csv, load
from mtrnn_envs.utils.atomic_write import atomic_write

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="the folder that studies were run in")
    parser.add_argument("--to", type=Path, default=Path("examples/results"), help="where the copies go")
    parser.add_argument("--dpi", type=int, default=110, help="of the figures")
    a = parser.parse_args()
    lines = []
    for path in sorted(a.results.glob("studies/*/study.json")):
        there = load(a.results, path.parent.name)
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
        with atomic_write(a.to / there.study.name / "table.csv") as temporary:
            temporary.write_text(as_csv(rows))
        for drawn in figures(there, a.results):
            if isinstance(drawn.figure, Figure):
                with atomic_write(a.to / there.study.name / f"{drawn.name}.png") as temporary:
                    drawn.figure.savefig(temporary, dpi=a.dpi)
        lines += [
            f"**{there.study.title}** (`{there.study.name}`, {there.n_cells} networks)",
            "",
        ]
        judged = judge(there, np.random.default_rng(0))
        lines += [*([f"- {claim.text}: {sentence(claim)}" for claim in judged] or ["- no claims"]), ""]
    with atomic_write(a.to / "claims.md") as temporary:
        temporary.write_text("\n".join(lines))
    print(f"claims.md, and tables and figures by study, are in {a.to.resolve()}")
