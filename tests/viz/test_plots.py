"""Curves and contours show the numbers they were given; files are whole or absent."""

import pytest
import torch
from matplotlib.colors import to_hex

from ganedu import viz
from ganedu.viz.chains import moving_average

EXTENT = (-4.0, 4.0, -3.0, 3.0)


def prior(z: torch.Tensor) -> torch.Tensor:
    return -0.5 * z.square().sum(1)


def test_a_trace_is_the_median_over_chains_at_the_right_step():
    values = torch.arange(12.0).reshape(4, 3)
    (axis,) = viz.chains.traces({"logit": values}, "logit", {"real images": 2.0}, thin=5).axes
    median, reference = axis.lines
    assert median.get_xdata().tolist() == [5, 10, 15, 20]
    assert median.get_ydata().tolist() == [1, 4, 7, 10]
    assert reference.get_ydata()[0] == 2.0
    labels = [text.get_text() for text in axis.get_legend().get_texts()]
    assert labels == ["logit: median, 10-90% of chains", "real images"]
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("step", "logit")


def test_acceptance_averages_over_chains_and_the_window():
    accepted = torch.tensor([[1, 1], [1, 0], [0, 0], [0, 1]]).bool()
    assert moving_average(accepted, 2).tolist() == [1.0, 0.75, 0.25, 0.25]
    (axis,) = viz.chains.acceptance({"MALA": accepted}, window=2).axes
    assert axis.lines[0].get_ydata().tolist() == [1.0, 0.75, 0.25, 0.25]


def test_contours_lie_where_the_density_has_the_stated_share_of_its_peak():
    (axis,) = viz.density.contours({"prior": prior}, EXTENT).axes
    radii = [path.vertices for path in axis.collections[0].get_paths()]
    for vertices, level in zip(radii, (0.03, 0.1, 0.3, 0.6), strict=True):
        expect = (-2 * torch.tensor(level, dtype=torch.float64).log()).sqrt()
        got = torch.tensor(vertices).norm(dim=1)
        torch.testing.assert_close(got, expect.expand_as(got), atol=0.01, rtol=0)


def test_contours_are_not_transposed():
    def at_three_one(z):
        return -((z - torch.tensor([3.0, 1.0])) ** 2).sum(1)

    (axis,) = viz.density.contours({"blob": at_three_one}, EXTENT).axes
    innermost = axis.collections[0].get_paths()[-1].vertices
    assert innermost.mean(axis=0) == pytest.approx([3.0, 1.0], abs=0.1)


def test_named_points_are_marked_where_they_are():
    (axis,) = viz.density.contours({"prior": prior}, EXTENT, points={"a": torch.tensor([[1.0, 2.0]])}).axes
    (label,) = axis.texts
    assert (label.get_text(), label.xy) == ("a", (1.0, 2.0))
    assert [1.0, 2.0] in [line.get_xydata().tolist()[0] for line in axis.lines if len(line.get_xydata())]


def test_functions_are_drawn_over_the_whole_interval():
    (axis,) = viz.curves.functions({"square": torch.square}, (-2.0, 3.0), "l", "d", {"level": 4.0}).axes
    curve, level = axis.lines
    x, y = torch.tensor(curve.get_xydata()).T
    torch.testing.assert_close(y, x.square(), rtol=1e-5, atol=1e-5)
    assert (x.min(), x.max(), level.get_ydata()[0]) == (-2.0, 3.0, 4.0)
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("l", "d")


def test_compare_draws_every_point_in_its_own_panel():
    z = torch.randn(7, 2, generator=torch.Generator().manual_seed(0))
    fig = viz.density.compare({"GAN": z, "REP-GAN": z + 1}, prior, EXTENT)
    for axis, (title, points) in zip(fig.axes, {"GAN": z, "REP-GAN": z + 1}.items(), strict=True):
        assert axis.get_title() == title
        torch.testing.assert_close(torch.tensor(axis.collections[0].get_offsets().data), points.double())


def test_arrows_go_from_start_to_end():
    start, end = torch.tensor([[0.0, 1.0], [2.0, 0.0]]), torch.tensor([[0.5, 1.0], [1.0, 0.0]])
    (axis,) = viz.density.arrows(start, end, prior, EXTENT).axes
    quiver = next(artist for artist in axis.collections if hasattr(artist, "U"))
    assert quiver.XY.tolist() == start.tolist()
    assert [quiver.U.tolist(), quiver.V.tolist()] == (end - start).T.tolist()


def test_a_path_starts_at_its_mark():
    trace = torch.arange(12.0).reshape(3, 2, 2) / 6
    (axis,) = viz.density.paths(trace, prior, EXTENT).axes
    way, mark = axis.lines[:2]
    assert way.get_xydata().tolist() == trace[:, 0].tolist()
    assert mark.get_xydata().tolist() == [trace[0, 0].tolist()]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: viz.density.compare({"GAN": torch.zeros(4, 3)}, prior, EXTENT), "GAN: expected points"),
        (
            lambda: viz.density.arrows(torch.zeros(4), torch.zeros(4, 2), prior, EXTENT),
            "start: expected points",
        ),
        (lambda: viz.density.paths(torch.zeros(4, 2), prior, EXTENT), "trace: expected"),
        (lambda: viz.chains.traces({"logit": torch.zeros(4)}, "logit"), "logit: expected"),
        (lambda: viz.chains.acceptance({"MALA": torch.zeros(4)}), "MALA: expected"),
    ],
)
def test_a_wrong_shape_is_refused_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_every_line_is_of_okabe_and_ito():
    values = torch.rand(5, 4, generator=torch.Generator().manual_seed(0))
    (axis,) = viz.chains.traces({name: values for name in "abcdef"}, "logit", {"level": 0.5}).axes
    colours = [to_hex(line.get_color()).upper() for line in axis.lines]
    assert set(colours) <= set(viz.OKABE_ITO.values()) and len(set(colours)) == 7
    assert len({str(line.get_linestyle()) + to_hex(line.get_color()) for line in axis.lines}) == 7


def test_a_figure_shows_itself_in_a_notebook():
    assert viz.density.contours({"prior": prior}, EXTENT)._repr_png_().startswith(b"\x89PNG")


def test_save_writes_whole_files_and_leaves_the_old_one_when_it_fails(tmp_path, monkeypatch):
    fig = viz.density.contours({"prior": prior}, EXTENT)
    path = viz.save(fig, tmp_path / "new" / "prior.png")
    before = path.read_bytes()
    assert before.startswith(b"\x89PNG")

    def full_disk(part, **options):
        part.write_bytes(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(fig, "savefig", full_disk)
    with pytest.raises(OSError, match="no space left"):
        viz.save(fig, path)
    assert path.read_bytes() == before and [p.name for p in path.parent.iterdir()] == ["prior.png"]


def test_a_sweep_draws_each_measurement_at_its_setting():
    settings = torch.tensor([0.1, 1.0, 10.0])
    values = {"accepted": torch.tensor([1.0, 0.5, 0.0]), "worth": torch.tensor([0.0, 0.2, 0.1])}
    (axis,) = viz.curves.sweep(values, settings, "step size", "share", {"target": 0.3}).axes
    accepted, worth, reference = axis.lines
    assert accepted.get_xdata().tolist() == settings.tolist() == worth.get_xdata().tolist()
    assert worth.get_ydata().tolist() == values["worth"].tolist() and reference.get_ydata()[0] == 0.3
    assert (axis.get_xscale(), axis.get_xlabel(), axis.get_ylabel()) == ("log", "step size", "share")
    with pytest.raises(ValueError, match="worth: expected shape"):
        viz.curves.sweep({"worth": torch.zeros(2)}, settings, "", "")


def test_a_bundle_has_a_line_for_each_curve_and_the_points_in_every_panel():
    x, points = torch.linspace(0, 1, 5), torch.tensor([[0.2, 0.3], [0.4, 0.9]])
    curves = {
        "before": torch.rand(3, 5, generator=torch.Generator().manual_seed(0)),
        "after": torch.zeros(2, 5),
    }
    axes = viz.curves.bundles(curves, x, "dose", "risk", points).axes
    for axis, (title, lines) in zip(axes, curves.items(), strict=True):
        *drawn, dots = axis.lines
        assert axis.get_title() == title and axis.get_xlabel() == "dose"
        assert [line.get_ydata().tolist() for line in drawn] == lines.tolist()
        assert torch.tensor(dots.get_xydata()).tolist() == points.double().tolist()
    with pytest.raises(ValueError, match="after: expected curves"):
        viz.curves.bundles({"after": torch.zeros(5)}, x, "", "", points)
