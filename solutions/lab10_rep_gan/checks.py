"""Hidden checks of lab 10: each calls the student's functions as data, on inputs that are new every time.

The references are written in float64 from the definitions, not from the notebook's solutions. Known mistakes
are named by running them on the same inputs: `hidden/` holds them, and answers that are unusual and right.
"""

import math
from pathlib import Path

import torch

from ganedu.grading import answers
from ganedu.grading.cases import normal, uniform
from ganedu.grading.checks import Lab, Named, check
from ganedu.grading.probe import Probe, cast, close_enough

from .reference import (
    acceptance_case,
    both_ways,
    breakdowns,
    chain_case,
    log_alpha,
    log_proposal,
    log_target,
    unadjusted,
    walled_case,
)

# The long cells sample the zoo's GAN and compare with the library's own samplers.
LONG = ("checkpoints", "data", "gans", "metrics", "nets", "samplers", "targets", "training", "zoo")
LONG = tuple(f"ganedu.{name}" for name in LONG)
PACKAGES = ("ipywidgets", "scikit-learn", "tqdm")  # beside torch, numpy and matplotlib
LAB = Lab("lab10_rep_gan", allow=("ganedu.rng", "ganedu.viz"), packages=PACKAGES, long=LONG)
HERE = Path(__file__).parent
REFERENCE = answers.solutions(HERE / "lab10_rep_gan.ipynb")
WRONG, RIGHT = answers.read(HERE / "hidden")


@check("latent_log_prob_test", points=2)
def latent_target(student, rng):
    """log p0(z) + d(G(z)) up to one constant, and its gradient; equation (10.5)."""
    probe = Probe(student, "latent_log_prob", WRONG)
    w1, b1, w2, b2 = (normal(rng, *shape) for shape in ((3, 4), (4,), (4, 3), (3,)))
    case = {
        "z": 1.3 * normal(rng, 5, 3),
        "generator": Named("tanh_mlp", w1=w1, b1=b1, w2=w2, b2=b2),
        "logit": Named("quadratic_logit", matrix=normal(rng, 3, 3), weight=normal(rng, 3), bias=0.7),
    }
    probe.manners(case)
    got, alone = probe.tensor(case), probe.tensor(case | {"z": case["z"][:2]})
    student.require(
        "one number a point",
        tuple(got.shape) == (5,),
        f"the result has shape {tuple(got.shape)}, expected (5,)",
        mistake="one number for the whole batch" if got.dim() == 0 else None,
    )
    student.require(
        "a point has the same log density whatever else is in the batch",
        close_enough(got[:2], alone),
        "the value of a point changed when other points left the batch: sum over the coordinates only",
        mistake="the sum runs over the batch too",
    )
    probe.close(
        "differences of log p_t(z) from the first point",
        case,
        from_first(log_target(**case)),
        part=from_first,
        equation="(10.5)",
        hint="which terms of (10.5) depend on z, and with which factor?",
    )
    steep = {
        "z": torch.tensor([[0.2, -1.0], [2.0, 0.3], [-2.0, 0.1]], dtype=torch.float64),
        "generator": Named("affine", weight=torch.eye(2).double(), bias=torch.zeros(2).double()),
        "logit": Named("linear_logit", weight=torch.tensor([100.0, 0.0]).double()),
    }
    probe.close(
        "log density where d = 200 and d = -200",
        steep,
        from_first(log_target(**steep)),
        part=from_first,
        equation="(10.5)",
        hint="D rounds to 0 or 1 there; d itself does not",
    )
    cotangent = normal(rng, 5)
    z = case["z"].clone().requires_grad_()
    (expect,) = torch.autograd.grad(log_target(**{**case, "z": z}), z, cotangent)
    single = cast(case, torch.float32)
    student.close(
        "gradient of log p_t with respect to z",
        student.vjp("latent_log_prob", wrt="z", cotangent=cotangent.float(), **single),
        expect,
        wrong={
            "the generator is cut off from the gradient": -case["z"] * cotangent[:, None],
            "the gradient is switched off": torch.zeros_like(expect),
        },
        rtol=1e-3,
        atol=1e-3,
        equation="(10.5)",
        hint="the gradient has to flow back through the discriminator and the generator to z",
    )


@check("langevin_mean_test", points=2)
def proposal_mean(student, rng):
    """The mean of the Langevin proposal; equation (10.6)."""
    probe = Probe(student, "langevin_mean", WRONG)
    case = {"z": normal(rng, 4, 3), "grad": 2 * normal(rng, 4, 3), "step_size": uniform(rng, 0.2, 0.4)}
    probe.manners(case, random="noise is added to the mean")
    expect = case["z"] + case["grad"] * case["step_size"] / 2
    probe.close("mean of the proposal", case, expect, equation="(10.6)", hint="(10.6) without its last term")
    still = case | {"step_size": 1e-12}
    probe.close("no step, no move", still, case["z"], equation="(10.6)")


@check("log_q_test", points=2)
def proposal_density(student, rng):
    """log N(z'; m(z), τI): values, normaliser, no underflow; equation (10.7)."""
    probe = Probe(student, "log_q", WRONG)
    case = {name: normal(rng, 5, 3) for name in ("to", "given")}
    case |= {"grad_given": 2 * normal(rng, 5, 3), "step_size": uniform(rng, 0.2, 0.4)}
    probe.manners(case)
    hint = "sum over the coordinates; the step size is the variance of each of them"
    probe.close("log q of 5 moves", case, log_proposal(**case), equation="(10.7)", hint=hint)

    line = torch.linspace(-6, 6, 121)
    to = torch.cartesian_prod(line, line)
    start = {name: normal(rng, 1, 2).clamp(-2, 2).expand(len(to), 2) for name in ("given", "grad_given")}
    density = probe.tensor({"to": to, **start, "step_size": 0.37}, shape=to.shape[:1]).exp()
    student.close(
        "q(. | z) integrates to one over the plane",
        density.double().sum() * float(line[1] - line[0]) ** 2,
        1.0,
        rtol=1e-3,
        equation="(10.7)",
        hint="how does the normaliser depend on the number of coordinates k?",
    )
    far = case | {"to": case["to"] + 40.0}
    hint = "the density itself is too small for a float here; its logarithm is not"
    probe.close("log q of a move that is too long", far, log_proposal(**far), equation="(10.7)", hint=hint)


@check("rep_log_alpha_test", points=3)
def acceptance(student, rng):
    """log α of theorem 1: values, detailed balance, MH-GAN as a limit, ±200, not finite; equation (10.10)."""
    probe = Probe(student, "rep_log_alpha", WRONG)
    case = acceptance_case(rng)
    probe.manners(case)
    hint = "which points and which gradient does each of the four densities in (10.10) need?"
    probe.close("log acceptance probability", case, log_alpha(**case), equation="(10.10)", hint=hint)

    flows = [log_flow + probe.tensor(move, log_flow.shape).double() for log_flow, move in both_ways(rng)]
    student.close(
        "detailed balance: as much goes from a to b as from b to a",
        *flows,
        atol=1e-3,
        equation="(10.8)",
        hint="p_t(a) q(b|a) α(a→b) has to equal p_t(b) q(a|b) α(b→a)",
    )
    z, z_new, d, d_new = normal(rng, 6, 3), normal(rng, 6, 3), normal(rng, 6), normal(rng, 6)
    prior = {"z": z, "z_new": z_new, "d": d, "d_new": d_new}
    prior |= {"grad": -2 * z, "grad_new": -2 * z_new, "step_size": 1.0}
    probe.close(
        "with q(z'|z) = p0(z') it is MH-GAN's min(0, d' - d)",
        prior,
        (d_new - d).clamp(max=0),
        equation="(10.11)",
        hint="the prior ratio and the proposal ratio cancel here",
    )
    extreme = case | {"d": torch.full((6,), 200.0).double()}
    extreme["d_new"] = torch.tensor([-200.0, 210.0, -200.0, -190.0, 230.0, -200.0]).double()
    probe.close(
        "from d = 200 to d = -200",
        extreme,
        log_alpha(**extreme),
        equation="(10.10)",
        hint="stay in log space to the end: D rounds to 0 or 1, and exp overflows beyond 88 in float32",
    )
    expect = log_alpha(**case).masked_fill(torch.arange(6) < 5, -math.inf)
    probe.close(
        "-inf where z', d' or the new gradient is not finite",
        breakdowns(case),
        expect,
        equation="(10.10)",
        hint="NaN compares false with everything, so decide first which proposals are finite",
    )


@check("rep_gan_chain_test", points=3)
def chain(student, rng):
    """The trajectory and the decisions under given noise and uniforms; equations (10.6) and (10.10)."""
    probe = Probe(student, "rep_gan_chain", WRONG)
    matrix = 0.3 * normal(rng, 2, 2) - torch.eye(2).double()  # steep enough for the chains to be rejected
    logit = Named("quadratic_logit", matrix=matrix, weight=normal(rng, 2), bias=-0.2)
    case, trace, accepted = chain_case(rng, logit)
    probe.manners(case, random="fresh random numbers instead of the arguments")
    got = probe.call(case)
    student.require(
        "the result is a pair (trace, accepted)",
        isinstance(got, (tuple, list)) and len(got) == 2,
        "return two tensors: the states (K, B, k), and which chains moved (K, B)",
    )
    loose = {"rtol": 1e-3, "atol": 1e-3}
    hint = "compare the first step by hand, then the first step after a rejection"
    probe.close("trace of 3 chains", case, trace, part=states, equation="(10.10)", hint=hint, **loose)
    probe.close(
        "which chains moved", case, accepted, part=decisions, equation="(10.10)", hint="one bool a chain"
    )

    other = case | {"z": case["z"].index_add(0, torch.tensor([0]), torch.ones(1, 2).double())}
    student.close(
        "chains 1 and 2 stay as they were when chain 0 starts elsewhere",
        probe.tensor(other, trace.shape, part=states)[:, 1:],
        trace[:, 1:],
        hint="each chain has its own uniform number, gradient and decision",
        **loose,
    )
    # Small steps, so that no alpha underflows to 0: u < alpha then says what log u < log alpha says.
    always = case | {"uniforms": torch.zeros_like(case["uniforms"]), "step_size": case["step_size"] / 8}
    probe.close(
        "uniforms of 0 accept every move: unadjusted Langevin, DDLS",
        always,
        unadjusted(always, logit),
        part=states,
        equation="(10.6)",
        hint="log 0 = -inf is below every finite log α",
        **loose,
    )
    walled, trace, _ = walled_case(rng, logit)
    probe.close(
        "a chain beside a region where d is NaN stays outside it",
        walled,
        trace,
        part=states,
        equation="(10.10)",
        hint="a rejected chain keeps its state, its d and its gradient: select them, do not multiply",
        **loose,
    )


def from_first(value):
    """A log density less its value at the first point: free of the constant that nobody needs."""
    return value - value[:1]


def states(answer):
    return answer[0]


def decisions(answer):
    return answer[1]
