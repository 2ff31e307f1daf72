"""The studies of `mtrnn reproduce`: the figures of the paper (arXiv:2407.11249), and the questions of its reviewers.

The file is long because it is data: one table a study. All studies have 5 networks of each setting; each network has
its own encoder and, where D > 2, its own random hyperplanes. Networks that several studies need are trained once.
Unless a study says otherwise, training is the recipe "dense" at a third of its length: 50,000 updates of 8 trials.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mtrnn_envs.experiments.studies.study import Study

PAPER, OWN = "arXiv:2407.11249", "this suite"
REVIEW = f"asked by the reviewers of {PAPER}"

R2 = {"OOD r²": "decoding.value", "ID r²": "decoding.in_distribution.r2_prior"}
RELEASED = {"OOD r², test of the public code": "released_holdout.value"}
ACCURACY = {"accuracy": "accuracy", "ideal accuracy": "ideal.accuracy"}
CONTROLS = {"untrained, OOD": "decoding.controls.untrained.ood", "above untrained": "decoding.above_untrained"}
BOUNDS = {"ideal observer": "decoding.controls.ideal.ood", "before training": "decoding.controls.untrained.ood"}

# The probes of networks with two latents: one list, so that studies share runs.
PROBES: dict[str, Any] = {
    name: {}
    for name in (
        *("decoding", "released_holdout", "decoding_course", "ccgp", "parallelism", "dimensionality", "axes"),
        *("selectivity", "fixed_points", "rollout", "multilateration", "sample_curve"),
    )
}
# The probes of networks with more latents, and so many orthants.
MANY = {"decoding": {"n_null": 0}, "released_holdout": {"n_null": 0}, "plane_decoding": {"n_null": 0}}

SHORT = {"training.n_updates": 50_000, "n_trials": 2000}
QUICK: Mapping[str, Any] = {"seeds": 3, "settings": {"training.n_updates": 12_000}}


def levels(path: str, *values: Any) -> dict[str, Any]:
    """An axis of the values of one setting."""
    return {"path": path, "values": values}


def quick(**axes: Any) -> dict[str, Any]:
    """The profile "quick", with shorter axes."""
    return {"quick": {**QUICK, "axes": axes}}


STUDIES: dict[str, Study] = {}  # in the order of `mtrnn reproduce all`


def add(name: str, title: str, text: str, **fields: Any) -> None:
    """Adds a study to `STUDIES`."""
    STUDIES[name] = Study(name=name, title=title, text=text, **fields)


def two(name: str, title: str, text: str, **more: Any) -> None:
    """Adds a study of networks with two latents, with the parts that most such studies share."""
    more = {"measures": R2 | ACCURACY | CONTROLS, "profiles": quick(), "probes": PROBES} | more
    add(name, title, text, **{**more, "settings": SHORT | more.get("settings", {})})


def claim(text: str, measure: str, expect: str, source: str = PAPER, **which: Any) -> dict[str, Any]:
    """A claim and its test; see `mtrnn_analysis.studies.claims`."""
    return {"text": text, "source": source, "measure": measure, "expect": expect, **which}


def curve(*y: str, x: str = "N", **more: Any) -> dict[str, Any]:
    """A figure of measures against an axis of numbers."""
    return {"kind": "curve", "x": x, **({"log_x": True} if x in ("N", "units") else {}), "y": list(y or R2), **more}


def dots(x: str, *y: str) -> dict[str, Any]:
    """A figure of measures by level."""
    return {"kind": "dots", "x": x, "y": list(y or R2)}


def scatter(x: str, y: str = "OOD r²", hue: str = "N") -> dict[str, Any]:
    """A figure of one measure against another."""
    return {"kind": "scatter", "x": x, "y": y, "hue": hue}


def abstract(axis: str, names: Iterable[str], bound: str = "> 0.9", text: str = "{}: abstract") -> list[dict[str, Any]]:
    """The claim that representations are abstract, at each of some levels."""
    return [claim(text.format(name), "OOD r²", bound, of={axis: name}) for name in names]


N = levels("task.n_tasks", 1, 2, 3, 6, 12, 24)
FEW_N = levels("task.n_tasks", 1, 2, 6, 24)
BY_N = {"axes": {"N": N}, "profiles": quick(N=FEW_N)}
DENSE_24 = {"N": 24, "recipe": "dense"}


def gated(n_updates: int) -> dict[str, Any]:
    """Levels of an axis: gated networks and the transformer, which take larger batches and fewer updates."""
    more = {"training.n_updates": n_updates, "training.batch_size": 16}
    kinds = {"GRU": "gru", "LSTM": "lstm", "transformer": "transformer"}
    return {name: {"training.network.kind": kind, **more} for name, kind in kinds.items()}


two(
    "fig1f",
    "Decoding of x* against the number of tasks",
    "A linear decoder of x* is fitted to three quadrants and tested on the fourth (OOD), or fitted to part of all "
    "four and tested on the rest (ID). How does r² depend on the number of tasks? The recipe of this suite stands "
    "beside the protocol of the public code (labels at the decision only, batches of 16, a constant rate of 1e-3, "
    "100,000 updates). The OOD test of the public code has a sampling error: it draws the trials of two of the "
    "four held-out quadrants from quadrants that the decoder was fitted to. The second figure shows both tests.",
    axes={"N": N, "recipe": {"dense": {}}},
    also=[
        {
            "labels": {"N": n, "recipe": "public code"},
            **{"preset": "paper", "task.n_tasks": n, "training.n_updates": 100_000},
        }
        for n in (2, 24)
    ],
    profiles={"quick": {**QUICK, "axes": {"N": FEW_N}, "also": []}},
    measures=R2 | RELEASED | ACCURACY | CONTROLS,
    figures=[curve(hue="recipe", references=BOUNDS), curve("OOD r²", *RELEASED, where={"recipe": "dense"})],
    claims=[
        claim("With many tasks x* is decoded out of distribution", "OOD r²", "> 0.9", of=DENSE_24),
        claim("With the public protocol, too", "OOD r²", "> 0.9", of={"N": 24, "recipe": "public code"}),
        claim(
            *("More tasks, better OOD decoding (24 against 2)", "OOD r²", "> 0"),
            of=DENSE_24,
            minus={"N": 2, "recipe": "dense"},
        ),
        claim(
            *("The gap between ID and OOD closes at N = 24", "ID r²", "< 0.02"),
            of=DENSE_24,
            minus_measure="decoding.value",
        ),
        claim(*("With fewer tasks than latents OOD decoding fails", "OOD r²", "< 0.5"), of={"N": 1, "recipe": "dense"}),
        claim("OOD r² rises with N (rank correlation)", "OOD r²", "> 0", trend="N", of={"recipe": "dense"}),
        claim(
            "Training adds to what an untrained network and the averaged input have",
            *("decoding.above_untrained", "> 0", OWN),
            of=DENSE_24,
        ),
    ],
)
add(
    name="fig1g",
    title="Decoding of x* against the numbers of tasks and of latents",
    text="N random hyperplanes divide D latents (evenly spaced lines for D = 2). With N < D the answers do not "
    "determine x*; from N = D on they do. Each of the 2^D orthants is held out in turn. One orthant of 1024 is "
    "hardly held out: its ten neighbours differ by one sign. So a quadrant of the plane of two latents is held out "
    "as well, which means the same at every D.",
    probes=MANY,
    settings=SHORT,
    axes={
        "D": {
            2: {"task.n_dims": 2},
            4: {"task.n_dims": 4},
            6: {"task.n_dims": 6, "n_trials": 4096},
            8: {"task.n_dims": 8, "n_trials": 8192},
            10: {"task.n_dims": 10, "n_trials": 32768},
        },
        "N": levels("task.n_tasks", 2, 4, 8, 24),
    },
    profiles=quick(D={2: {"task.n_dims": 2}, 4: {"task.n_dims": 4}}, N=levels("task.n_tasks", 2, 4, 24)),
    measures=R2 | {"OOD r², planes": "plane_decoding.value"} | ACCURACY | CONTROLS,
    figures=[
        {"kind": "heatmap", "x": "N", "y": "D", "value": "OOD r²"},
        {"kind": "heatmap", "x": "N", "y": "D", "value": "OOD r², planes"},
        curve("OOD r²", hue="D"),
    ],
    claims=[
        claim(
            f"D = {d}, N = {n}: {'high' if n >= d else 'low'}, as N {'>=' if n >= d else '<'} D",
            *("OOD r², planes", "> 0.8" if n >= d else "< 0.5"),
            of={"D": d, "N": n},
        )
        for d in (2, 4, 6, 8, 10)
        for n in (2, 4, 8, 24)
    ],
)
two(
    "fig1d",
    "States in their first three principal components",
    "The states of one network for each number of tasks, along trials, with the fixed and slow points of its "
    "dynamics at rest. Drag a figure to turn it.",
    **BY_N,
    measures={
        "share of the variance in three PCs": "dimensionality.three",
        "PCs with 95 %": "dimensionality.components.95",
        "participation ratio": "dimensionality.value",
        "OOD r²": "decoding.value",
    },
    figures=[{"kind": "trajectories", "level": [{"N": 2}, {"N": 24}]}, curve("participation ratio")],
    claims=[
        claim(
            "The first three PCs hold 85 % of the variance",
            *("share of the variance in three PCs", ">= 0.85"),
            of={"N": 24},
        )
    ],
)
two(
    "free_rt",
    "Free reaction time: decoding against the length of the evidence",
    "Networks may answer at any time; they are trained on labels at every step, or on the paper's accumulators of "
    "evidence. r² of the mean of t samples is 1 - 12 sigma²/t, for sigma = 0.2 1 - 0.48/t; the paper counts from "
    "0, and has 1 - 0.48/(t+1). Here networks receive all samples of all trials, whenever they answer.",
    probes={"decoding": {}, "released_holdout": {}, "evidence_course": {}, "dimensionality": {}},
    settings={"env_id": "MultiTaskEvidenceRT-v0"},
    axes={
        "labels": {
            "posterior": {},
            "accumulators": {"training.labels": "accumulator", "training.loss": "squared_error"},
        }
    },
    figures=[
        {
            "kind": "time_course",
            "x": "evidence_course.n_samples",
            "y": {"OOD": "evidence_course.ood"},
            "theory": {"1 - 0.48/(t+1), t from 0": "evidence_course.theory"},
            "hue": "labels",
        },
        dots("labels"),
    ],
    measures=R2
    | {
        "reward": "reward",
        "reward of optimal stopping": "ideal.reward",
        "OOD r² less the curve, mean over samples": "evidence_course.value",
    },
    claims=[
        claim(
            f"OOD r² is on the curve 1 - 0.48/(t+1), to 0.05 ({k})",
            *("OOD r² less the curve, mean over samples", "> -0.05"),
            of={"labels": k},
        )
        for k in ("posterior", "accumulators")
    ],
)
two(
    "nonlinear",
    "Boundaries that are not lines",
    "Hyperbolas in each quadrant: +1 where |x1 x2| is above a threshold.",
    settings={"env_id": "MultiTaskEvidenceNonlinear-v0"},
    axes={"N": levels("task.n_tasks", 4, 24)},
    figures=[curve(references=BOUNDS)],
    claims=[claim("Representations stay abstract", "OOD r²", "> 0.8", of={"N": 24})],
)
two(
    "architectures",
    "Other networks",
    "The same 24 tasks by other architectures: leaky RNN, its non-leaky form, tanh units, GRU, LSTM, transformer "
    "(8,000 updates of 16 trials for the last three).",
    axes={
        "network": {
            "leaky RNN": {},
            "non-leaky": {"training.network.leaky": False},
            "tanh": {"training.network.activation": "tanh"},
            **gated(8000),
        }
    },
    profiles=quick(network={"leaky RNN": {}, **gated(1500)}),
    figures=[dots("network")],
    claims=abstract("network", ("leaky RNN", "non-leaky", "GRU", "LSTM", "transformer")),
)
two(
    "angles",
    "Angles between the axes along which x* is coded",
    "Encoding axes (not rows of the decoder), and how far the code is from an isometry.",
    **BY_N,
    measures={
        "angle of encoding axes, degrees": "axes.value",
        "isometry": "axes.isometry",
        "parallelism": "parallelism.value",
        "CCGP": "ccgp.value",
    },
    figures=[curve("angle of encoding axes, degrees"), curve("parallelism", "CCGP")],
    claims=[
        claim(
            "The axes of the two latents are near orthogonal",
            *("angle of encoding axes, degrees", "> 75"),
            of={"N": 24},
        )
    ],
)
two(
    "noise",
    "Noise of the evidence in training",
    "Sigma of one sample in training; tested at 0.2.",
    settings={"test.sigma": 0.2},
    axes={"sigma": levels("task.sigma", 0.1, 0.2, 0.4, 0.6)},
    profiles=quick(sigma=levels("task.sigma", 0.1, 0.2, 0.6)),
    figures=[curve(x="sigma", references=BOUNDS)],
    claims=[claim("Abstract at the default noise", "OOD r²", "> 0.9", of={"sigma": 0.2})],
)
two(
    "correlated",
    "Correlated latents",
    "Latents correlated in training by a Gaussian copula; tested on independent ones.",
    settings={"test.latent_correlation": 0.0},
    axes={"correlation": levels("task.latent_correlation", 0.0, 0.4, 0.8)},
    figures=[curve(x="correlation", references=BOUNDS)],
    claims=[claim("Representations stay abstract", "OOD r²", "> 0.9", of={"correlation": 0.8})],
)
two(
    "encoder",
    "The encoder in front of the network",
    "ReLU, squaring, or the evidence itself.",
    axes={"encoder": {"relu": {}, "square": {"task.encoder": "square"}, "none": {"task.encoder": None}}},
    figures=[dots("encoder")],
    claims=abstract("encoder", ("relu", "square"), text="Abstract with encoder {}"),
)
two(
    "sparsity",
    "Sparsity of the units",
    "Lifetime sparseness (Treves & Rolls), and units that are never active.",
    **BY_N,
    measures={
        "lifetime sparseness": "selectivity.lifetime_mean",
        "live units of 64": "selectivity.n_live",
        "OOD r²": "decoding.value",
    },
    figures=[curve("lifetime sparseness"), curve("live units of 64"), scatter("live units of 64")],
    claims=[claim("Most units are silent", "live units of 64", "< 32", OWN, of={"N": 24})],
)
two(
    "eigenvalues",
    "Fixed points, eigenvalues and memory",
    "The paper calls the representation a continuous attractor: as many slow modes as latents at the states that "
    "the network visits, and memory over long delays without input.",
    **BY_N,
    measures={
        "share of states with D slow modes and a gap": "fixed_points.continuum.data",
        "share of starts to fixed points with D slow modes": "fixed_points.value",
        **{f"real part {i} of F - r": f"fixed_points.real_parts.data_{i}" for i in (1, 2, 3, 4)},
        **{f"time constant {i}, steps": f"fixed_points.time_constants.data_{i}" for i in (1, 2, 3)},
        "r² after as long again": "rollout.r2_after.1x",
        "r² after 10 times as long": "rollout.r2_after.10x",
    },
    figures=[
        curve("share of states with D slow modes and a gap"),
        curve(*(f"real part {i} of F - r" for i in (1, 2, 3, 4))),
        curve("r² after as long again"),
    ],
    claims=[
        claim(text, measure, "> 0.8", of={"N": 24})
        for text, measure in {
            "D slow modes at the states of the data": "share of states with D slow modes and a gap",
            "A continuum of fixed points": "share of starts to fixed points with D slow modes",
            "x* is held for as long again": "r² after as long again",
        }.items()
    ],
)
two(
    "cued",
    "One task at a time",
    "The control: a cue names one of the N tasks, and one answer is given.",
    settings={"training.batch_size": 16, "training.learning_rate": 5e-3},
    axes={
        "N": levels("task.n_tasks", 2, 24),
        "tasks": {"all at once": {}, "one at a time": {"env_id": "MultiTaskEvidenceCued-v0"}},
    },
    figures=[curve(hue="tasks")],
    claims=[
        claim("Not abstract with one task at a time", "OOD r²", "< 0.8", of={"N": 24, "tasks": "one at a time"}),
        claim(
            *("All at once are better than one at a time", "OOD r²", "> 0"),
            of={"N": 24, "tasks": "all at once"},
            minus={"N": 24, "tasks": "one at a time"},
        ),
    ],
)

SETTINGS_OF_WHY = {
    "recipe": {},
    "batch 64": {"training.batch_size": 64, "training.n_updates": 12_500},
    "batch 256": {"training.batch_size": 256, "training.n_updates": 4000},
    "rate 1e-3": {"training.learning_rate": 1e-3},
    "constant rate": {"training.schedule": "constant", "training.learning_rate": 3e-3},
    "labels at the decision": {"training.labels": "decision"},
    "16 units": {"training.network.n_units": 16},
    "rate 1e-3, 8 units": {"training.learning_rate": 1e-3, "training.network.n_units": 8},
    "rate 1e-3, 3 times as long": {"training.learning_rate": 1e-3, "training.n_updates": 150_000},
    "tanh": {"training.network.activation": "tanh"},
}
OTHERS = [name for name in SETTINGS_OF_WHY if name != "recipe"]

LEVELS = ("labels", "a reward for each task", "one reward")
GEOMETRY = {"CCGP": "ccgp", "parallelism": "parallelism"}
OTHER_PROBES = ("dimensionality", "selectivity")
MATCHED = "history.accuracy >= 0.94"
MATCHED_OF = {"OOD r²": "r2_ood", "ID r²": "r2_id", "accuracy": "accuracy"}
AT_94 = "OOD r² at accuracy 0.94"


def learned_from(n_updates: int, n_iterations: int) -> dict[str, Any]:
    """Levels of an axis: the teaching signal, with the length of training."""
    rollouts = {"agent": "trial_ppo", "training.n_iterations": n_iterations, "training.evaluate_every": 10}
    each = (
        {"training.n_updates": n_updates, "training.evaluate_every": 250},
        {**rollouts, "preset": "factored"},
        {**rollouts, "preset": "scalar"},
    )
    return dict(zip(LEVELS, each, strict=True))


two(
    "optimal_answers",
    "What makes the code abstract, at equal accuracy?",
    "Networks with the same accuracy can have different representations of x*. The same 24 tasks, learned in "
    "different ways: batches, rates, density of labels, few units. Each dot is a network. High rates and small "
    "batches leave few units alive. Do they act through the number of units? Then few units should have the same "
    "effect at a low rate.",
    axes={"training": SETTINGS_OF_WHY},
    profiles=quick(training={k: SETTINGS_OF_WHY[k] for k in ("recipe", "rate 1e-3", "labels at the decision")}),
    measures=R2
    | ACCURACY
    | {
        "cross-entropy": "cross_entropy",
        "participation ratio": "dimensionality.value",
        "parallelism": "parallelism.value",
        "lifetime sparseness": "selectivity.lifetime_mean",
        "live units": "selectivity.n_live",
    },
    figures=[
        dots("training", "OOD r²"),
        *(scatter(x, hue="training") for x in ("accuracy", "participation ratio", "live units")),
    ],
    claims=[
        *(
            claim(
                f"'{k}' answers as well as the recipe, to 0.002",
                *("accuracy", "> -0.002", OWN),
                of={"training": k},
                minus={"training": "recipe"},
            )
            for k in OTHERS
        ),
        *(
            claim(
                f"The recipe is more abstract than '{k}'",
                *("OOD r²", "> 0", OWN),
                of={"training": "recipe"},
                minus={"training": k},
            )
            for k in OTHERS
        ),
        claim(
            "Of 64 ReLUs, the fewer are alive, the more abstract (rank correlation)",
            *("OOD r²", "< 0", OWN),
            of={"training": [k for k in SETTINGS_OF_WHY if "units" not in k and k != "tanh"]},
            trend="live units",
        ),
        claim(
            "At a low rate, few units are more abstract than many",
            *("OOD r²", "> 0", OWN),
            of={"training": "rate 1e-3, 8 units"},
            minus={"training": "rate 1e-3"},
        ),
    ],
)
two(
    "sample_efficiency",
    "How many trials it takes",
    "r² out of distribution during training.",
    **BY_N,
    figures=[{"kind": "training_history", "x": "trials", "y": {"OOD r²": "history.r2_ood"}, "hue": "N"}],
)
two(
    "similar_tasks",
    "Few, similar and adversarial tasks",
    "Six lines spread over 180, 90, 30 or 10 degrees; and six crosses, whose labels x* and -x* share.",
    settings={"task.n_tasks": 6},
    axes={
        "boundaries": {
            "180 degrees": {},
            **{
                f"{d} degrees": {"task.boundaries": f"mtrnn_envs.experiments.similar_tasks:fan_{d}"}
                for d in (90, 30, 10)
            },
            "crosses": {"task.boundaries": "mtrnn_envs.experiments.similar_tasks:crosses"},
        }
    },
    figures=[dots("boundaries")],
    claims=[
        claim("Similar tasks are enough (10 degrees)", "OOD r²", "> 0.9", REVIEW, of={"boundaries": "10 degrees"}),
        claim("Adversarial tasks are not", "OOD r²", "< 0.5", REVIEW, of={"boundaries": "crosses"}),
    ],
)
two(
    "width",
    "Is there a least number of units?",
    "24 tasks, by networks of 2 to 128 units.",
    axes={"units": levels("training.network.n_units", 2, 4, 8, 16, 64, 128)},
    profiles=quick(units=levels("training.network.n_units", 2, 4, 16, 64)),
    figures=[curve(x="units")],
    claims=[claim("Four units are enough", "OOD r²", "> 0.9", OWN, of={"units": 4})],
)
two(
    "temporal",
    "Temporal structure of the evidence",
    "Noise that is correlated in time; periods of evidence and delays that are drawn anew in each trial.",
    axes={
        "evidence": {
            "as in the paper": {},
            "AR(1) noise, 0.7": {"task.autocorrelation": 0.7},
            "stimulus of 10 to 30": {"task.stimulus": (10, 30)},
            "delay of 0 to 20": {"task.delay": (0, 20)},
        }
    },
    figures=[dots("evidence")],
    claims=[claim("Abstract with a drawn delay", "OOD r²", "> 0.9", REVIEW, of={"evidence": "delay of 0 to 20"})],
)
two(
    "closed_form",
    "x* from the answers alone",
    "The closed form: with N >= D tasks x* follows from the probabilities of the answers, without a fitted decoder.",
    **BY_N,
    measures={"from the answers": "multilateration.value", **R2},
    figures=[curve("from the answers", "OOD r²")],
    claims=[
        claim(
            "The closed form is above the fitted decoder out of distribution",
            *("from the answers", "> 0", OWN),
            of={"N": 24},
            minus_measure="decoding.value",
        )
    ],
)
two(
    "internal_noise",
    "Sensory against internal noise",
    "Noise of the units, in training, beside the noise of the evidence; and noise behind the encoder instead of "
    "before it.",
    axes={
        "noise": {
            "evidence alone": {},
            "units, 0.1": {"training.network.noise": 0.1},
            "units, 0.3": {"training.network.noise": 0.3},
            "behind the encoder": {"task.sigma": 0.0, "task.encoder_noise": 0.1},
        }
    },
    figures=[dots("noise")],
    claims=[
        claim(
            "Noise of the units makes the code more linear",
            *("OOD r²", "> 0", REVIEW),
            of={"noise": "units, 0.1"},
            minus={"noise": "evidence alone"},
        )
    ],
)
add(
    name="labels_or_reward",
    title="Learned from labels, from a reward for each task, or from one reward",
    text="The same networks and tasks. Labels are given at every step; rewards at the decision alone, one for each "
    "task or their mean alone, by PPO on whole trials. How abstract are the representations? Networks of different "
    "accuracy must not be compared, so r² is also taken when accuracy on validation trials first is 0.94, between "
    "evaluations that are 250 updates of 8 trials, or 10 rollouts of 256, apart.",
    probes={name: {} for name in (*GEOMETRY.values(), "decoding", "released_holdout", *OTHER_PROBES)},
    settings={"n_trials": 2000},
    axes={"learned from": learned_from(50_000, 1500), "N": N},
    profiles={
        "quick": {"seeds": 3, "axes": {"learned from": learned_from(12_000, 300), "N": levels("task.n_tasks", 2, 24)}}
    },
    measures={f"{title} at accuracy 0.94": f"history.{name} where {MATCHED}" for title, name in MATCHED_OF.items()}
    | R2
    | ACCURACY
    | CONTROLS
    | {f"{title}, p": f"{name}.p" for title, name in GEOMETRY.items()}
    | {f"{title}, null": f"{name}.null_mean" for title, name in GEOMETRY.items()}
    | {title: f"{name}.value" for title, name in GEOMETRY.items()}
    | {"participation ratio": "dimensionality.value"},
    figures=[
        *(curve(y, hue="learned from") for y in (AT_94, "OOD r²", "accuracy", "CCGP", "parallelism")),
        scatter("accuracy", hue="learned from"),
    ],
    claims=[
        *(
            claim(
                *(f"{level}: many tasks make the code abstract", "OOD r²", "> 0.8", OWN),
                of={"learned from": level, "N": 24},
            )
            for level in LEVELS
        ),
        *(
            claim(f"{level}: {y} rises with N", y, "> 0", OWN, trend="N", of={"learned from": level})
            for level in LEVELS
            for y in (AT_94, "OOD r²")
        ),
        *(
            claim(
                f"At accuracy 0.94 labels do not make it more abstract than '{level}' (N = {n}, to 0.02)",
                *(AT_94, "< 0.02", OWN),
                of={"learned from": "labels", "N": n},
                minus={"learned from": level, "N": n},
            )
            for level in LEVELS[1:]
            for n in (3, 6, 12, 24)
        ),
    ],
)
add(
    name="many",
    title="Many tasks and many latents",
    text="N and D up to 100, raw evidence (40 encoder channels cannot hold 100 latents), 128 units, 10,000 updates "
    "of 16 trials.",
    probes={"plane_decoding": {"n_null": 0}, "dimensionality": {}},
    settings={
        **{"task.encoder": None, "training.network.n_units": 128, "training.n_updates": 10_000},
        **{"training.batch_size": 16, "n_trials": 4000},
    },
    axes={"D": levels("task.n_dims", 20, 100), "N": levels("task.n_tasks", 10, 20, 100, 200)},
    measures={"OOD r², planes": "plane_decoding.value", **ACCURACY},
    profiles={
        "quick": {
            "seeds": 3,
            "settings": {"training.n_updates": 2000},
            "axes": {"D": levels("task.n_dims", 20), "N": levels("task.n_tasks", 10, 20)},
        }
    },
    figures=[{"kind": "heatmap", "x": "N", "y": "D", "value": "OOD r², planes"}],
    claims=[
        claim(f"D = {d}: {word} with {n} tasks", "OOD r², planes", expect, REVIEW, of={"D": d, "N": n})
        for d, n, word, expect in (
            *((20, 10, "low", "< 0.6"), (20, 20, "high", "> 0.8"), (20, 200, "high", "> 0.8")),
            *((100, 20, "low", "< 0.6"), (100, 100, "high", "> 0.8"), (100, 200, "high", "> 0.8")),
        )
    ],
)
