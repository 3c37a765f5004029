"""The plots of chains show the numbers that they are given, and show what is wrong."""

import math
import subprocess
import sys
import warnings

import pytest
import torch
from matplotlib.colors import to_hex
from torch import Tensor

from ganedu import viz
from ganedu.samplers.diagnostics import autocorrelation, autocorrelation_time, ess_bulk, ess_tail
from ganedu.viz.diagnostics import autocorrelation_plot, ess_plot, overview, rank_plot, trace_plot

PLOTS = (trace_plot, rank_plot, autocorrelation_plot, ess_plot)


def normal(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def the_axis(fig):
    (axis,) = fig.axes
    return axis


def named(axis) -> list[str]:
    return [text.get_text() for text in axis.get_legend().get_texts()]


def test_a_trace_of_few_chains_is_these_chains():
    x = normal(50, 3)
    axis = the_axis(trace_plot(x, "z[1]"))
    assert named(axis) == ["chain 0", "chain 1", "chain 2"]
    for line, chain in zip(axis.lines, x.T, strict=True):
        assert line.get_xdata().tolist() == list(range(50))
        assert line.get_ydata().tolist() == chain.tolist()
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("draw", "z[1]")


def test_of_many_chains_the_extreme_ones_are_drawn_and_a_still_one_on_top():
    x = normal(200, 40)
    x[:, 5] += 3
    x[:, 11] -= 3
    x[:, 17] *= 4
    x[:, 23] = 0.2
    axis = the_axis(trace_plot(x))
    assert named(axis) == ["10-90% of 40 chains", "chain 5", "chain 11", "chain 17", "chain 23"]
    on_top = max(axis.lines, key=lambda line: line.get_zorder())
    assert on_top.get_ydata().tolist() == [0.2] * 200
    band = axis.collections[0].get_paths()[0].vertices
    low, high = torch.quantile(x[100], torch.tensor([0.1, 0.9], dtype=x.dtype)).tolist()
    there = band[band[:, 0] == 100][:, 1]
    assert [there.min(), there.max()] == pytest.approx([low, high])


def test_long_traces_are_drawn_by_a_thousand_points():
    (line,) = the_axis(trace_plot(normal(12_345, 1))).lines
    assert len(line.get_xdata()) <= 1000 and line.get_xdata()[-1] > 12_300


def bars(axis) -> list[list[float]]:
    """Of each chain from the bottom up, over the level that all would have."""
    levels = [line.get_ydata()[0] for line in axis.lines]
    heights = []
    for stairs, level in zip(axis.patches, levels, strict=True):
        values, _, row = stairs.get_data()
        heights.append([float(value - row) / float(level - row) for value in values])
    return heights


def test_ranks_are_counted_chain_by_chain():
    """Draws 0 .. 199 dealt in turn are level; the halves of them are at two levels and at none."""
    dealt = torch.arange(200.0).reshape(100, 2)
    assert bars(the_axis(rank_plot(dealt))) == [pytest.approx([1.0] * 20)] * 2
    low_high = torch.arange(200.0).reshape(2, 100).T
    low, high = bars(the_axis(rank_plot(low_high)))
    assert low == pytest.approx([2.0] * 10 + [0.0] * 10) and high == pytest.approx(low[::-1])


def test_ranks_of_many_chains_show_the_least_level_and_cut_what_is_too_high():
    x = normal(400, 30)
    x[:, 4] = 0.0
    x[:, 21] += 2
    axis = the_axis(rank_plot(x, "log_prob"))
    shown = [tick.get_text() for tick in axis.get_yticklabels()]
    assert len(shown) == 4 and {"4", "21"} < set(shown) and shown == sorted(shown, key=int)
    assert max(bars(axis)[shown.index("4")]) == pytest.approx(4.0)
    assert axis.get_ylabel() == "chain (least level of 30)"


def test_ties_share_a_rank():
    """Five values, each as often in each chain: five bars in the middle of their ranks."""
    x = torch.arange(5.0).repeat(20)[:, None].expand(100, 2)
    heights = bars(the_axis(rank_plot(x)))
    expected = [4.0 if k % 4 == 2 else 0.0 for k in range(20)]
    assert heights == [pytest.approx(expected)] * 2


def test_the_autocorrelation_is_the_mean_over_chains():
    x = normal(300, 6).cumsum(0)
    x[:, 2] = 1.0
    axis = the_axis(autocorrelation_plot(x, "z"))
    moving = [0, 1, 3, 4, 5]
    lags = len(axis.lines[0].get_ydata())
    expected = autocorrelation(x)[:lags, moving].mean(1)
    assert lags == 151 and axis.lines[0].get_ydata().tolist() == pytest.approx(expected.tolist())
    tau = float(autocorrelation_time(x))
    assert named(axis) == ["10-90% of chains", f"mean over chains; τ = {tau:.3g} draws"]


def test_effective_draws_are_those_of_the_first_k_draws():
    x = normal(400, 4)
    bulk, tail, least = the_axis(ess_plot(x)).lines
    sizes = bulk.get_xdata()
    assert sizes[0] == 20 and sizes[-1] == 400 and len(sizes) == 20
    for line, ess in ((bulk, ess_bulk), (tail, ess_tail)):
        assert line.get_ydata().tolist() == pytest.approx([float(ess(x[:k])) for k in sizes])
    assert least.get_ydata()[0] == 400


def test_the_overview_is_the_four_plots_of_each():
    x, y = normal(60, 5), normal(60, 5).exp()
    axes = overview({"z[0]": x, "log_prob": y}).axes
    assert len(axes) == 8
    alone = [the_axis(plot(z, name)) for z, name in ((x, "z[0]"), (y, "log_prob")) for plot in PLOTS]
    for axis, other in zip(axes, alone, strict=True):
        assert (axis.get_xlabel(), axis.get_ylabel()) == (other.get_xlabel(), other.get_ylabel())
        assert len(axis.lines) == len(other.lines)
        for line, same in zip(axis.lines, other.lines, strict=True):
            assert list(line.get_ydata()) == pytest.approx(list(same.get_ydata()))


@pytest.mark.parametrize(
    "x",
    [
        torch.full((50, 3), 1 / 3),
        torch.full((50, 9), 1 / 3),
        normal(4, 2),
        normal(5, 1),
        normal(101, 6).float(),
    ],
    ids=["still", "all of many still", "4 draws", "one chain", "float32"],
)
def test_edges_are_drawn_without_a_warning(x, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        viz.save(overview({"x": x}), tmp_path / "x.png", dpi=40)


def test_what_never_moves_is_said_to():
    assert named(the_axis(autocorrelation_plot(torch.zeros(20, 3)))) == ["nothing moves"]


@pytest.mark.parametrize("plot", PLOTS)
@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.zeros(10), r"z\[2\]: expected \(draws, chains\).*got shape \(10,\)"),
        (torch.zeros(3, 4), r"z\[2\]: .*4 draws at least, got shape \(3, 4\)"),
        (torch.zeros(10, 0), r"z\[2\]: .*got shape \(10, 0\)"),
        (torch.tensor([[0.0], [1.0], [math.nan], [math.inf]]), r"z\[2\]: expected finite draws, got 2 that"),
    ],
)
def test_what_cannot_be_drawn_is_refused_by_name(plot, x, message):
    with pytest.raises(ValueError, match=message):
        plot(x, "z[2]")


def test_every_line_is_of_okabe_and_ito():
    for axis in overview({"z": normal(100, 9)}).axes:
        assert {to_hex(line.get_color()).upper() for line in axis.lines} <= set(viz.OKABE_ITO.values())


def test_plots_are_importable_where_there_are_no_samplers():
    """As in the sandbox of a lab that lists ganedu.viz and not ganedu.samplers."""
    program = "import sys; sys.modules['ganedu.samplers'] = None; import ganedu.viz"
    subprocess.run([sys.executable, "-c", program], check=True)
