"""The corpus: hostile submissions, which earn nothing that they do not deserve, and noisy ones, which do.

Every entry is data; `benchmarks.hostile` gives the same entries to other graders.
"""

from tests.grading.corpus import answers, exhaust, kernels, noisy, notebooks, places, shows, wire

HOSTILE = [
    entry
    for module in (answers, shows, kernels, wire, places, exhaust, notebooks)
    for entry in module.ENTRIES
]
NOISY = noisy.ENTRIES
