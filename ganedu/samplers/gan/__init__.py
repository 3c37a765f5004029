"""Samplers of a trained GAN: most are a standard kernel on the latent target p0(z) exp d(G(z)).

======== =============================================== ======================================
name     kernel                                          law
======== =============================================== ======================================
drs      rejection from the prior                        exact for gamma = 0
mh_gan   MetropolisHastings(Independence())              exact
rep_gan  MetropolisHastings(Langevin(step_size))         exact, and so with any adjusted kernel
ex2      Ex2(MetropolisHastings(Langevin(step_size)))    exact
ddls     Langevin(step_size)                             biased by its step size
dg_flow  Langevin(2ηγ) without the prior                 biased: a short ascent of D with noise
dot      gradient descent, anchored where it set out     biased: an optimum near each prior draw
======== =============================================== ======================================

"Exact" means: the chain's stationary law is the data's if D is optimal. ``Draws.law`` says it for each
run, because options change it: coordinates held fixed (rep_gan, ddls), a diversity term (ddls).
"""

from ganedu.samplers.gan.ddls import ddls
from ganedu.samplers.gan.dg_flow import dg_flow
from ganedu.samplers.gan.dot import dot
from ganedu.samplers.gan.draws import Draws, Evaluations
from ganedu.samplers.gan.drs import drs
from ganedu.samplers.gan.ex2 import ex2
from ganedu.samplers.gan.mh_gan import mh_gan
from ganedu.samplers.gan.rep_gan import rep_gan

__all__ = ["Draws", "Evaluations", "ddls", "dg_flow", "dot", "drs", "ex2", "mh_gan", "rep_gan"]
