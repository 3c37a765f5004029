"""Consensus optimisation (Mescheder et al. 2017): both players also want the game to be at rest."""

from dataclasses import dataclass

from torch import Tensor

from ganedu.gans.game import Nets, TwoPlayer, fakes
from ganedu.gans.penalties import consensus
from ganedu.targets.base import check_positive


@dataclass(frozen=True)
class Consensus(TwoPlayer):
    """An objective whose players each add ``gamma`` times 1/2 |v|² of the whole game to their losses.

    Every turn needs both losses, and second derivatives of both networks. The theory is of simultaneous
    steps. It turns orbits into spirals inwards (``dynamics.with_consensus``), and is drawn to every point
    of rest, also to those that no player likes.

    Raises ValueError for a gamma that is not positive.
    """

    gamma: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("gamma", self.gamma)

    def loss(self, player: str, nets: Nets, x: Tensor, z: Tensor, mixing: Tensor) -> Tensor:
        critic, fake = nets["critic"], fakes(nets, z, x)
        losses = {
            "critic": self.critic_loss(critic, x, fake, mixing),
            "generator": self.generator_loss(critic, x, fake),
        }
        weights = [[w for w in nets[name].parameters() if w.requires_grad] for name in losses]
        return losses[player] + self.gamma * consensus(list(losses.values()), weights)
