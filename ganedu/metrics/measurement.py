"""A figure with the facts without which it means nothing."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Measurement:
    """``value`` of ``name`` over ``n`` images in the features or logits of ``network``.

    Figures with another n or another network are not comparable, so printing shows both.
    """

    value: float
    n: int
    name: str
    network: str
    sha256: str
    standard_error: float | None = None

    def __str__(self) -> str:
        error = "" if self.standard_error is None else f" ± {self.standard_error:.2g}"
        return f"{self.name} {self.value:.4g}{error} (n = {self.n}, {self.network} {self.sha256[:8]})"
