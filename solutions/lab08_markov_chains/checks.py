"""Hidden checks of lab 8: each calls the student's functions as data, on inputs that are new every time.

The references are written in float64 from the definitions, not from the notebook's solutions. Known mistakes
are named by running them on the same inputs: `hidden/` holds them, and answers that are unusual and right.
"""

import math
from pathlib import Path

import torch

from ganedu.grading import answers
from ganedu.grading.cases import normal, uniform
from ganedu.grading.checks import Lab, Named, check
from ganedu.grading.probe import Probe

from .reference import (
    behind_a_wall,
    both_ways,
    drifting,
    ess,
    five_places,
    hmc,
    hmc_case,
    leapfrog,
    log_alpha,
    mala,
    mala_case,
    one_leapfrog_step,
    rhat,
    telling_draws,
    ula,
)

# The long cells sample a posterior of the library's and draw autocorrelations with its diagnostics.
LONG = tuple(f"ganedu.{name}" for name in ("checkpoints", "data", "gans", "nets", "samplers", "targets"))
PACKAGES = ("ipywidgets", "scikit-learn", "tqdm")  # beside torch, numpy and matplotlib
LAB = Lab("lab08_markov_chains", allow=("ganedu.rng", "ganedu.viz"), packages=PACKAGES, long=LONG)
HERE = Path(__file__).parent
REFERENCE = answers.solutions(HERE / "lab08_markov_chains.ipynb")
WRONG, RIGHT = answers.read(HERE / "hidden")
FRESH = "fresh random numbers instead of the argument"


@check("mh_log_alpha_test", points=2)
def acceptance(student, rng):
    """log α of (8.6): values, exact detailed balance on five places, ±200, not finite."""
    probe = Probe(student, "mh_log_alpha", WRONG)
    case = {name: normal(rng, 6) for name in ("log_p", "log_q_there", "log_q_back")}
    doubtful = torch.tensor([-0.4, 0.8, -2.3, -3.7, 1.9, -1.1]).double()
    case["log_p_new"] = doubtful + case["log_p"] + case["log_q_there"] - case["log_q_back"]
    probe.manners(case)
    hint = "what belongs to the move that was made, and what to the move that would undo it?"
    probe.close("log acceptance probability", case, log_alpha(**case), equation="(8.6)", hint=hint)

    p, q = five_places(rng)
    x, x_new = torch.cartesian_prod(torch.arange(5), torch.arange(5)).T
    pairs = {"log_p": p[x].log(), "log_p_new": p[x_new].log()}
    pairs |= {"log_q_there": q[x, x_new].log(), "log_q_back": q[x_new, x].log()}
    moves = q * probe.tensor(pairs, (25,)).double().exp().reshape(5, 5)
    flow = p[:, None] * moves
    student.close(
        "detailed balance on five places: as much flows from a to b as from b to a",
        flow,
        flow.T,
        equation="(8.5)",
        hint="p(a) q(b|a) α(a→b) has to equal p(b) q(a|b) α(b→a)",
    )
    step = moves - torch.diag(moves.sum(1) - 1)
    student.close("the law of five places is kept by one step", p @ step, p, equation="(8.4)")

    extreme = case | {"log_p": torch.full((6,), 200.0).double()}
    extreme["log_p_new"] = torch.tensor([-200.0, 210.0, -200.0, -190.0, 230.0, -200.0]).double()
    hint = "stay in log space to the end: exp overflows beyond 88 in float32, and underflows below -104"
    probe.close(
        "from log p = 200 to log p = -200", extreme, log_alpha(**extreme), equation="(8.6)", hint=hint
    )

    broken = {name: value.clone() for name, value in case.items()}
    broken["log_p_new"][:3] = torch.tensor([math.nan, math.inf, -math.inf])
    broken["log_q_back"][3:5] = torch.tensor([math.nan, math.inf])
    expect = log_alpha(**case).masked_fill(torch.arange(6) < 5, -math.inf)
    hint = "NaN compares false with everything, so decide first which proposals are finite"
    probe.close(
        "-inf where log p(x') or log q(x|x') is not finite", broken, expect, equation="(8.6)", hint=hint
    )
    outside = case | {"log_p": case["log_p"].masked_fill(torch.arange(6) < 3, -math.inf)}
    expect = log_alpha(**case).masked_fill(torch.arange(6) < 3, 0.0)
    hint = "p(x) = 0 at the start makes the ratio infinite: any proposal with p(x') > 0 is accepted"
    probe.close("from outside the support every finite proposal is accepted", outside, expect, hint=hint)


@check("ula_step_test", points=2)
def unadjusted(student, rng):
    """The step of unadjusted Langevin (8.8), and its stationary variance 1/(1 - τ/4) of (8.10)."""
    probe = Probe(student, "ula_step", WRONG)
    log_prob = Named("latent_quadratic", matrix=normal(rng, 3, 3), weight=normal(rng, 3))
    case = {"x": normal(rng, 5, 3), "log_prob": log_prob, "step_size": uniform(rng, 0.2, 0.4)}
    case["noise"] = normal(rng, 5, 3)
    probe.manners(case, random=FRESH)
    hint = "what is the factor of the gradient, and what that of the noise?"
    probe.close("one step of 5 chains", case, ula(**case), equation="(8.8)", hint=hint)
    bent = {"x": normal(rng, 1, 2), "noise": normal(rng, 1, 2), "step_size": 0.3}
    bent["log_prob"] = Named("banana", std=1.5, curvature=uniform(rng, 0.3, 0.6))
    probe.close("one step of a single chain on a banana", bent, ula(**bent), equation="(8.8)", hint=hint)

    tau = uniform(rng, 0.5, 2.0)
    apart = {"x": torch.tensor([[1.0], [0.0]]), "noise": torch.tensor([[0.0], [1.0]])}
    keep, stir = probe.tensor(
        apart | {"log_prob": Named("standard_normal"), "step_size": tau}, (2, 1)
    ).flatten()
    student.close(
        "on N(0, 1) the variance settles at 1/(1 - τ/4)",
        stir**2 / (1 - keep**2),
        1 / (1 - tau / 4),
        equation="(8.10)",
        hint="a step makes x' = a x + b ξ: which a and b does (8.8) give on N(0, 1)?",
    )


@check("mala_step_test", points=3)
def adjusted(student, rng):
    """States and decisions of MALA under given noise and uniforms, detailed balance; (8.6), (8.11)."""
    probe = Probe(student, "mala_step", WRONG)
    case, states, accept = mala_case(rng)
    step_checks(student, probe, case, states, accept, "(8.11)")

    # Small steps, so that no alpha underflows to 0: u < alpha then says what log u < log alpha says.
    always = case | {"uniforms": torch.zeros_like(case["uniforms"]), "step_size": case["step_size"] / 8}
    moved = ula(case["x"], case["log_prob"], always["step_size"], case["noise"])
    hint = "log 0 = -inf is below every finite log α"
    probe.close("uniforms of 0 accept every move", always, moved, part=new, equation="(8.8)", hint=hint)
    moves, shares = both_ways(rng)
    accepted = probe.tensor(moves, (len(moves["x"]),), part=decisions)
    student.close(
        "detailed balance: as much flows from a to b as from b to a",
        *(shares * accepted.double().reshape(*shares.shape, -1).mean(2)),
        atol=2e-3,
        equation="(8.5)",
        hint="p(a) q(b|a) α(a→b) has to equal p(b) q(a|b) α(b→a)",
    )
    wall_and_company(student, rng, probe, case, mala)


@check("hmc_step_test", points=3)
def hamiltonian(student, rng):
    """States and decisions of HMC under given momenta and uniforms, reversibility; (8.13), (8.14)."""
    probe = Probe(student, "hmc_step", WRONG)
    case, states, accept = hmc_case(rng)
    step_checks(student, probe, case, states, accept, "(8.14)")

    always = case | {"uniforms": torch.zeros_like(case["uniforms"]), "step_size": 0.2}
    way = {name: value for name, value in always.items() if name != "uniforms"}
    x_new, end = leapfrog(**way)
    hint = "half a kick, a whole drift, half a kick: that is the same read backwards"
    back = always | {"x": x_new, "momentum": -end}
    probe.close(
        "with its momentum turned round, a trajectory leads back",
        back,
        case["x"],
        part=new,
        equation="(8.13)",
        hint=hint,
    )
    one, expect = one_leapfrog_step(rng)
    probe.close("one leapfrog step is MALA with τ = ε²", one, expect, part=new, equation="(8.14)")

    size, count = uniform(rng, 0.5, 0.9), 7
    turn = 2 * math.asin(size / 2)
    swing = always | {"log_prob": Named("standard_normal"), "step_size": size, "n_leapfrog": count}
    expect = math.cos(count * turn) * case["x"]
    expect = expect + math.sin(count * turn) / math.cos(turn / 2) * case["momentum"]
    hint = "how many kicks and drifts are there in L steps, and which are halves?"
    probe.close(
        "7 steps on N(0, I), where the leapfrog turns in an ellipse",
        swing,
        expect,
        part=new,
        equation="(8.13)",
        hint=hint,
    )
    wall_and_company(student, rng, probe, case | {"n_leapfrog": 1}, hmc)


@check("split_rhat_test", points=2)
def agreement(student, rng):
    """Split R-hat of chains that agree, disagree, drift, and have an odd number of draws; equation (8.16)."""
    probe = Probe(student, "split_rhat", WRONG)
    for draws, kind in ((12, "an even"), (13, "an odd")):
        x = telling("split_rhat", rhat, lambda draws=draws: drifting(rng, draws, 4))
        if draws == 12:
            probe.manners({"x": x})
        hint = "which draws belong to a half, and how many are there in it?"
        probe.close(
            f"R-hat of 4 chains of {kind} number of draws", {"x": x}, rhat(x), equation="(8.16)", hint=hint
        )
    drift = torch.linspace(0, 5, 40).double()[:, None] + 0.5 * normal(rng, 40, 3)
    hint = "chains that drift together agree with each other, and not with their own halves"
    probe.close(
        "R-hat of chains that drift together", {"x": drift}, rhat(drift), equation="(8.16)", hint=hint
    )
    moved = {"x": 20 - 3 * drift}
    probe.close("R-hat is the same in other units", moved, rhat(drift), equation="(8.16)", rtol=1e-3)


@check("ess_test", points=3)
def effective_draws(student, rng):
    """Effective draws of chains that agree, disagree and alternate; equations (8.18) to (8.20)."""
    probe = Probe(student, "ess", WRONG)
    for draws, kind in ((40, "an even"), (41, "an odd")):
        x = telling("ess", ess, lambda draws=draws: telling_draws(rng, draws, 3))
        if draws == 40:
            probe.manners({"x": x})
        hint = "print the P_k: which is the first that is not positive, and does one rise before it?"
        probe.close(
            f"effective draws of 3 chains of {kind} number of draws",
            {"x": x},
            ess(x),
            equation="(8.20)",
            hint=hint,
        )
    apart = x + torch.tensor([0.0, 4.0, -3.0]).double()
    hint = "b of (8.18) grows when the chains' means differ"
    what = "chains that disagree are worth little"
    probe.close(what, {"x": apart}, ess(apart), equation="(8.18)", hint=hint)
    signs = torch.tensor([1.0, -1.0]).double().repeat(20)[:, None]
    alternate = signs * uniform(rng, 0.9, 1.1, 40, 2)
    hint = "without the floor, T is next to zero or below it"
    what = "draws that alternate meet the floor of T"
    probe.close(what, {"x": alternate}, ess(alternate), equation="(8.20)", hint=hint)
    moved = {"x": 5 - 3 * x}
    probe.close("the same draws in other units", moved, ess(x), equation="(8.20)", rtol=1e-3)


def telling(function, right, draw):
    """Draws on which any two known mistakes differ, so that each can be named; else RuntimeError."""
    for _ in range(100):
        x = draw()
        found = answers.values(WRONG[function], function, {"x": x}).values()
        apart = torch.stack([value / right(x) for value in found if value.dim() == 0]).sort().values
        apart = apart[(apart - 1).abs() > 1e-3]
        if (apart.diff() > 1e-3 * apart[1:].abs()).all():
            return x
    raise RuntimeError(f"telling: two mistakes of {function} always agree")


def step_checks(student, probe, case, states, accept, equation):
    """What MALA and HMC have in common: manners, a pair, the states and the decisions of 128 chains."""
    probe.manners(case, random=FRESH)
    got = probe.call(case)
    student.require(
        "the result is a pair (x_new, accepted)",
        isinstance(got, (tuple, list)) and len(got) == 2,
        "return two tensors: the new states (B, d), and which chains moved (B,)",
    )
    hint = "take one chain whose decision is wrong and compute its α by hand"
    loose = {"rtol": 1e-3, "atol": 1e-3}
    probe.close("states of 128 chains", case, states, part=new, equation=equation, hint=hint, **loose)
    probe.close(
        "which chains moved", case, accept, part=decisions, equation=equation, hint="one bool a chain"
    )
    raised = case | {"log_prob": Named("mixture", **case["log_prob"].parameters, bias=200.0)}
    hint = "the exponential of a log density may overflow: take the difference first"
    probe.close("a constant in log p changes nothing", raised, states, part=new, hint=hint, **loose)


def wall_and_company(student, rng, probe, case, move):
    """A chain that meets NaN stays; and what one chain does is no other chain's business."""
    walled, expect = behind_a_wall(rng, case, move)
    probe.close(
        "chains beside a region where log p is NaN stay outside it",
        walled,
        expect,
        part=new,
        equation="(8.6)",
        hint="mh_log_alpha refuses what is not finite: does it decide here?",
        rtol=1e-3,
        atol=1e-3,
    )
    other = case | {"x": case["x"].index_add(0, torch.tensor([0]), torch.ones(1, 2).double())}
    before = probe.tensor(case, case["x"].shape, part=new)
    student.close(
        "the other chains do the same when chain 0 starts elsewhere",
        probe.tensor(other, case["x"].shape, part=new)[1:],
        before[1:],
        hint="each chain has its own gradient, uniform number and decision",
    )


def new(answer):
    return answer[0]


def decisions(answer):
    return answer[1]
