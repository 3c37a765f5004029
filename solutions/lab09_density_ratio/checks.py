"""Hidden checks of lab 9: each calls the student's functions as data, on inputs that are new every time.

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
    acceptance,
    all_pairs,
    blobs,
    energy,
    five_pictures,
    four_blobs,
    inverse_odds,
    langevin,
    law_after,
    linear_gan,
    platt,
    shares,
)

# The long cells draw a reliability diagram with the library's own bins.
LONG = ("ganedu.data", "ganedu.gans", "ganedu.nets")
PACKAGES = ("ipywidgets", "scikit-learn", "tqdm")  # beside torch, numpy and matplotlib
LAB = Lab("lab09_density_ratio", allow=("ganedu.rng", "ganedu.viz"), packages=PACKAGES, long=LONG)
HERE = Path(__file__).parent
REFERENCE = answers.solutions(HERE / "lab09_density_ratio.ipynb")
WRONG, RIGHT = answers.read(HERE / "hidden")


@check("platt_scale_test", points=3)
def platt_scaling(student, rng):
    """The minimum of the balanced loss: values, sizes, scale, a known D*, saturation; equation (9.4)."""
    probe = Probe(student, "platt_scale", WRONG)
    real, fake = 0.5 + 1.5 * normal(rng, 40), -0.8 + normal(rng, 25)
    real[0], fake[0] = fake.min() - 0.5, real.max() + 0.5  # so that the classes overlap
    case = {"real": real, "fake": fake}
    probe.manners(case)
    loose = {"rtol": 5e-3, "atol": 5e-3, "equation": "(9.4)"}
    hint = "is each class averaged on its own, with log D for real and log(1 - D) for fake?"
    expect = platt(**case)
    probe.close("slope and offset for 40 real and 25 fake logits", case, expect, hint=hint, **loose)
    probe.close(
        "three copies of every fake change nothing",
        case | {"fake": fake.repeat(3)},
        expect,
        hint="1/n and 1/m: the ratio p_d / p_g does not know how many points of each kind you have",
        **loose,
    )
    s, b = expect
    probe.close(
        "3 l - 7 in place of l gives the same calibrated logit",
        {"real": 3 * real - 7, "fake": 3 * fake - 7},
        torch.stack([s / 3, b + 7 * s / 3]),
        hint="is the minimum reached, whatever the scale of the raw logit?",
        **loose,
    )
    s, b = uniform(rng, 0.3, 0.6), uniform(rng, -1.0, 1.0)
    hint = "the loss is smallest where s l + b = log p_d - log p_g"
    known = five_pictures(s, b)
    probe.close("the logit of D* is recovered", known, torch.tensor([s, b]), hint=hint, **loose)
    fooled = known | {"fake": torch.cat([known["fake"], torch.tensor([40 / s]).double()])}
    hint = "D rounds to 1 there, and log(1 - D) is infinite: softplus or logsigmoid of the logit is not"
    probe.close("one fake among many fools D completely", fooled, platt(**fooled), hint=hint, **loose)


@check("drs_accept_prob_test", points=2)
def rejection(student, rng):
    """sigma(F): values, shifts, 25 blobs in equal shares, saturation, above the maximum; equation (9.6)."""
    probe = Probe(student, "drs_accept_prob", WRONG)
    d = 1.5 * normal(rng, 8)
    d_max = float(d.max()) + 0.7
    case = {"d": torch.cat([d, torch.tensor([d_max]).double()]), "d_max": d_max}
    dial = case | {"gamma": uniform(rng, 0.4, 0.9), "epsilon": 0.05}
    probe.manners(dial)
    hint = "Delta, then its logarithm, then gamma, and a sigmoid at the end"
    probe.close("probabilities with gamma and epsilon", dial, acceptance(**dial), equation="(9.6)", hint=hint)
    got, alone = (probe.tensor(dial, (n,)) for dial, n in ((dial, 9), (dial | {"d": d[:3]}, 3)))
    student.require(
        "a draw has the same probability whatever else is in the batch",
        close_enough(got[:3], alone),
        "the probability of a draw changed when other draws left the batch: d_max is an argument",
        mistake="the maximum of the batch instead of d_max",
    )
    plain = {"d": d.clamp(-3, 3), "d_max": 4.0}
    probe.close(
        "without the dial it is (1/D_max - 1) / (1/D - 1)",
        plain,
        inverse_odds(torch.tensor(4.0).double()) / inverse_odds(plain["d"]),
        equation="(9.2)",
        hint="1/D - 1 = e^-d, so this is e^(d - d_max)",
    )
    moved = dial | {"d": dial["d"] + 40.0, "d_max": d_max + 40.0}
    probe.close("d + 40 and d_max + 40 change nothing", moved, acceptance(**dial), equation="(9.6)")
    log_model, d_blob = blobs(rng)
    kept = probe.tensor({"d": d_blob, "d_max": float(d_blob.max())}, (25,)).double() * log_model.exp()
    student.close(
        "of 25 blobs that the GAN draws unequally, equal shares are kept",
        kept / kept.sum(),
        torch.full((25,), 1 / 25).double(),
        equation="(9.5)",
        hint="p_g times the probability has to be proportional to p_d",
    )
    far = {"d": torch.tensor([-300.0, 0.0, -301.0]).double(), "d_max": 0.0, "gamma": -300.0}
    hint = "e^-300 is 0 in float32, and its logarithm is not -300"
    expect = acceptance(**far, epsilon=1e-6)
    probe.close("Delta = -300 with gamma = -300", far, expect, equation="(9.6)", hint=hint)
    above = dial | {"d": d_max + torch.tensor([0.5, 3.0]).double()}
    hint = "what is Delta where d exceeds d_max?"
    probe.close("above the maximum: as at it", above, acceptance(**above), equation="(9.6)", hint=hint)


@check("mhgan_log_alpha_test", points=2)
def independence(student, rng):
    """log α of MH-GAN: values, odds, shifts, ±200, not finite, detailed balance, blobs; equation (9.7)."""
    probe = Probe(student, "mhgan_log_alpha", WRONG)
    d, d_new = 1.5 * normal(rng, 7), 1.5 * normal(rng, 7)
    d_new[:2], d_new[2:4] = d[:2] - 0.7, d[2:4] + 0.4
    case = {"d": d, "d_new": d_new}
    probe.manners(case)
    expect = (d_new - d).clamp(max=0)
    hint = "the new logit less the old, at most 0"
    probe.close("log acceptance probability", case, expect, equation="(9.7)", hint=hint)
    odds = (inverse_odds(d) / inverse_odds(d_new)).clamp(max=1).log()
    probe.close("the ratio of 1/D - 1 at old and new picture", case, odds, equation="(9.9)")
    moved = {"d": d + 40.0, "d_new": d_new + 40.0}
    probe.close("an offset of 40 in all logits changes nothing", moved, expect, equation="(9.7)")
    extreme = {
        "d": torch.tensor([200.0, 200.0, -200.0, 18.0, 90.0]).double(),
        "d_new": torch.tensor([-200.0, 210.0, -190.0, 17.0, -30.0]).double(),
    }
    probe.close(
        "from d = 200 to d = -200",
        extreme,
        torch.tensor([-400.0, 0.0, 0.0, -1.0, -120.0]).double(),
        equation="(9.7)",
        hint="stay in log space: D rounds to 0 or 1, and e^-120 is 0 in float32",
    )
    broken = {"d": d, "d_new": d_new.clone()}
    broken["d_new"][[1, 3, 5]] = torch.tensor([math.nan, math.inf, -math.inf]).double()
    probe.close(
        "-inf where d' is NaN or infinite",
        broken,
        expect.index_fill(0, torch.tensor([1, 3, 5]), -math.inf),
        equation="(9.7)",
        hint="NaN compares false with everything, so decide first which proposals are finite",
    )
    log_model, d_blob = blobs(rng)
    log_alpha = probe.tensor(all_pairs(d_blob), (625,)).double().reshape(25, 25)
    flow = log_model[:, None] + d_blob[:, None] + log_model + log_alpha  # log of p_d(a) p_g(b) α(a→b)
    student.close(
        "detailed balance between 25 blobs: as much goes from a to b as from b to a",
        flow,
        flow.T,
        atol=1e-3,
        equation="(9.8)",
        hint="p_d(a) p_g(b) α(a→b) has to equal p_d(b) p_g(a) α(b→a)",
    )
    student.close(
        "a long chain visits 25 blobs equally often, however unequally the GAN draws them",
        law_after(log_model, log_alpha.exp()),
        torch.full((25,), 1 / 25).double(),
        atol=1e-4,
        equation="(9.7)",
        hint="the law of the chain in the end is p_g e^d",
    )


@check("latent_energy_test", points=2)
def latent(student, rng):
    """E(z) up to one constant, its gradient, and a GAN whose p_t is known; equation (9.10)."""
    probe = Probe(student, "latent_energy", WRONG)
    w1, b1, w2, b2 = (normal(rng, *shape) for shape in ((3, 4), (4,), (4, 3), (3,)))
    raw = {"matrix": normal(rng, 3, 3), "weight": normal(rng, 3)}
    case = {
        "z": 1.3 * normal(rng, 5, 3),
        "generator": Named("tanh_mlp", w1=w1, b1=b1, w2=w2, b2=b2),
        "logit": Named("quadratic_logit", **raw, bias=0.7),
        "scale": uniform(rng, 0.3, 0.6),
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
        "a point has the same energy whatever else is in the batch",
        close_enough(got[:2], alone),
        "the energy of a point changed when other points left the batch: sum over the coordinates only",
        mistake="the sum runs over the batch too",
    )
    differences = {"part": from_first, "equation": "(9.10)"}
    hint = "which terms of (9.10) depend on z, with which sign, and what does the slope multiply?"
    expect = from_first(energy(**case))
    probe.close("differences of E from the first point", case, expect, hint=hint, **differences)
    lifted = case | {"logit": Named("quadratic_logit", **raw, bias=30.7)}
    hint = "a constant in the logit is a constant in the energy"
    probe.close("an offset of 30 in the logit is harmless", lifted, expect, hint=hint, **differences)
    steep = {
        "z": torch.tensor([[0.2, -1.0], [2.0, 0.3], [-2.0, 0.1]], dtype=torch.float64),
        "generator": Named("affine", weight=torch.eye(2).double(), bias=torch.zeros(2).double()),
        "logit": Named("linear_logit", weight=torch.tensor([200.0, 0.0]).double()),
        "scale": 0.5,
    }
    hint = "D rounds to 0 or 1 there; d itself does not"
    expect = from_first(energy(**steep))
    probe.close("energies where d = 200 and d = -200", steep, expect, hint=hint, **differences)
    scale, offset = uniform(rng, 0.3, 0.6), uniform(rng, -2.0, 2.0)
    generator, logit, log_data = linear_gan(rng, scale, offset)
    tractable = {"z": normal(rng, 6, 3), "generator": generator, "logit": logit, "scale": scale}
    hint = "with D optimal and G affine, p_t(z) is proportional to p_d(G(z))"
    expect = from_first(-log_data(generator(tractable["z"])))
    differences |= {"rtol": 1e-3, "atol": 1e-3}
    probe.close("a GAN that is linear: E is -log p_d(G(z))", tractable, expect, hint=hint, **differences)
    cotangent = normal(rng, 5)
    z = case["z"].clone().requires_grad_()
    (expect,) = torch.autograd.grad(energy(**{**case, "z": z}), z, cotangent)
    single = cast(case, torch.float32)
    student.close(
        "gradient of E with respect to z",
        student.vjp("latent_energy", wrt="z", cotangent=cotangent.float(), **single),
        expect,
        wrong={
            "the generator is cut off from the gradient": case["z"] * cotangent[:, None],
            "the gradient is switched off": torch.zeros_like(expect),
        },
        rtol=1e-3,
        atol=1e-3,
        equation="(9.10)",
        hint="the gradient has to flow back through the discriminator and the generator to z",
    )


@check("ddls_chain_test", points=3)
def langevin_chain(student, rng):
    """The way under given noise, a linear GAN, batch independence, four blobs from one; equation (9.12)."""
    probe = Probe(student, "ddls_chain", WRONG)
    density = {
        "weights": torch.tensor([0.2, 0.5, 0.3]).double(),
        "means": 1.2 * normal(rng, 3, 2),
        "std": torch.tensor([0.8, 1.1, 0.9]).double(),
    }
    case = {
        "z": normal(rng, 3, 2),
        "energy": Named("negative", function=Named("mixture", **density)),
        "step_size": uniform(rng, 0.2, 0.4),
        "noise": normal(rng, 6, 3, 2),
    }
    probe.manners(case, random="fresh random numbers instead of the argument")
    loose = {"rtol": 1e-3, "atol": 1e-3, "equation": "(9.12)"}
    trace = langevin(**case)
    hint = "compare the first step by hand: half of tau, downhill, noise of variance tau; then the second"
    probe.close("trace of 3 chains", case, trace, hint=hint, **loose)
    other = case | {"z": case["z"].index_add(0, torch.tensor([0]), torch.ones(1, 2).double())}
    student.close(
        "chains 1 and 2 stay as they were when chain 0 starts elsewhere",
        probe.tensor(other, trace.shape)[:, 1:],
        trace[:, 1:],
        hint="each chain has its own gradient and its own noise",
        rtol=1e-3,
        atol=1e-3,
    )
    root, weight = 0.5 * normal(rng, 2, 2), normal(rng, 2)
    precision = torch.eye(2).double() + root @ root.T
    linear = case | {"energy": Named("latent_quadratic", matrix=precision / 2, weight=-precision @ weight)}
    shrink = torch.eye(2).double() - linear["step_size"] / 2 * precision
    expect, away = [], linear["z"] - weight  # from the mean of p_t
    for xi in linear["noise"]:
        away = away @ shrink + math.sqrt(linear["step_size"]) * xi
        expect.append(away + weight)
    hint = "for a quadratic energy each step shrinks the way to the mean by 1 - tau/2 times the precision"
    probe.close("a GAN that is linear: the way is known", linear, torch.stack(expect), hint=hint, **loose)
    means, walk = four_blobs(rng)
    student.close(
        "64 chains that start in one of four blobs share themselves out over all",
        shares(probe.tensor(walk, walk["noise"].shape)[-1], means),
        shares(langevin(**walk)[-1], means),
        atol=0.03,
        equation="(9.12)",
        hint="100 steps of noise and slope carry the chains over the passes between the blobs",
    )


def from_first(value):
    """An energy less its value at the first point: free of the constant that nobody needs."""
    return value - value[:1]
