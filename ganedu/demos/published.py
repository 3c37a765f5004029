"""What was measured of REP-GAN on CIFAR-10: by its authors, and on this course's checkpoints.

Paper: Wang et al. 2021, tables 2 and 3 (seed slide 000). Ours: ``benchmarks/results/rep_gan_tables.json``
(calibration with the ceiling, 5 seeds of 128 chains) and ``samplers.json``, to three digits.
"""

EPOCHS = (20, 21, 22, 23, 24)

# Inception Score, DCGAN.
SCORE = {
    "GAN": (2.482, 3.836, 3.154, 3.383, 3.219),
    "MH-GAN": (2.356, 3.891, 3.278, 3.458, 3.225),
    "DDLS": (2.419, 3.332, 2.996, 3.255, 3.152),
    "REP-GAN": (2.487, 3.954, 3.294, 3.534, 3.541),
}
# Inception Score on CIFAR-10 and on CelebA, of table 2; the first is that of epoch 24 above.
CIFAR10 = {
    "DCGAN": {"GAN": 3.219, "DRS": 3.073, "MH-GAN": 3.225, "DDLS": 3.152, "REP-GAN": 3.541},
    "WGAN": {"GAN": 3.740, "DRS": 3.137, "MH-GAN": 3.851, "DDLS": 3.547, "REP-GAN": 4.035},
}
CELEBA = {
    "DCGAN": {"GAN": 2.332, "DRS": 2.869, "MH-GAN": 3.106, "DDLS": 2.534, "REP-GAN": 2.686},
    "WGAN": {"GAN": 2.788, "DRS": 2.861, "MH-GAN": 2.889, "DDLS": 2.862, "REP-GAN": 2.943},
}
# Mean and the "std" beside it, by epoch.
MH_GAN_ACCEPTANCE = ((0.028, 0.143), (0.053, 0.188), (0.060, 0.199), (0.021, 0.126), (0.027, 0.141))

ACCEPTANCE = {
    "REP-GAN, ours": (0.937, 0.946, 0.942, 0.976, 0.971),
    "REP-GAN, the paper": (0.435, 0.350, 0.287, 0.208, 0.471),
    "MH-GAN, ours": (0.283, 0.320, 0.321, 0.589, 0.542),
    "MH-GAN, the paper": tuple(mean for mean, _ in MH_GAN_ACCEPTANCE),
}
# Score of REP-GAN minus the GAN's from the same starts, and half of the 95% t interval over seeds.
OUR_GAIN = ((-0.109, 0.392), (-0.105, 0.372), (0.005, 0.423), (-0.216, 0.262), (-0.002, 0.212))

# Effective samples per 1,000 gradients, worst of four quantities: lower end of the 95% interval.
KERNELS = {
    "pCN, β = 0.95": 329.0,
    "prior proposal (MH-GAN)": 315.2,
    "Ex²MCMC": 163.4,
    "tempering": 123.0,
    "HMC": 76.8,
    "NUTS": 68.1,
    "pCN-Langevin": 66.9,
    "MALA, τ = 0.5": 51.8,
    "elliptical slice": 48.4,
}
ONE_IN_640 = 1000 / 640  # a draw for 640 gradients, the published use of MALA with τ = 0.01


def gains(sampler: str) -> tuple[float, ...]:
    """The paper's Inception Score of ``sampler`` minus that of the GAN, by epoch."""
    return tuple(ours - base for ours, base in zip(SCORE[sampler], SCORE["GAN"], strict=True))
