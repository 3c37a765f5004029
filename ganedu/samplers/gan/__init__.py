"""Samplers of a trained GAN: each is a standard kernel on the latent target p0(z) exp d(G(z)).

======== =========================================== ======================================
name     kernel                                      law
======== =========================================== ======================================
drs      rejection from the prior                    exact for gamma = 0
mh_gan   MetropolisHastings(Independence(prior))     exact
ddls     Langevin(step_size)                         biased by its step size
rep_gan  MetropolisHastings(Langevin(step_size))     exact, and so with any adjusted kernel
======== =========================================== ======================================

"Exact" means: the chain's stationary law is the data's if D is optimal.
"""

from ganedu.samplers.gan.ddls import ddls
from ganedu.samplers.gan.draws import Draws, Evaluations
from ganedu.samplers.gan.drs import drs
from ganedu.samplers.gan.mh_gan import mh_gan
from ganedu.samplers.gan.rep_gan import rep_gan

__all__ = ["Draws", "Evaluations", "ddls", "drs", "mh_gan", "rep_gan"]
