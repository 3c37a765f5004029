"""What a run shows while it goes on."""

import math

import torch
from torch import Tensor
from tqdm.auto import tqdm

from ganedu.samplers.base import Info, Kernel, innermost
from ganedu.samplers.diagnostics import split_rhat


class Bar:
    """A progress bar with acceptance, step size and R-hat: of log_prob and every coordinate, the worst."""

    def __init__(self, progress: bool | str, kernel: Kernel, first: int, steps: int):
        description = progress if isinstance(progress, str) else None
        self.bar = tqdm(initial=first, total=steps, desc=description, disable=not progress)
        self.kernel, self.every = kernel, max(steps // 20, 20)

    def update(self, steps: int, accepted: Tensor, z: Tensor, log_prob: Tensor) -> None:
        """One step further, ``steps`` in all, with how often each chain moved and what was kept so far."""
        self.bar.update()
        if self.bar.disable or steps % self.every:
            return
        rhat = split_rhat(torch.cat([z, log_prob[:, :, None]], dim=-1)).max() if len(z) >= 4 else math.nan
        self._show(float(accepted.mean()) / steps, {"R-hat": f"{float(rhat):.3f}"})

    def learn(self, kernel: Kernel, info: Info) -> None:
        """One step of a warm-up further."""
        self.bar.update()
        self.kernel = kernel
        if not self.bar.disable and self.bar.n % 10 == 0:
            self._show(float(info.accepted.double().mean()), {})

    def _show(self, acceptance: float, more: dict[str, str]) -> None:
        tau = getattr(innermost(self.kernel), "step_size", None)
        step_size = {} if tau is None else {"step size": f"{tau:.3g}"}
        self.bar.set_postfix({"acceptance": f"{acceptance:.2f}"} | step_size | more)

    def close(self) -> None:
        self.bar.close()
