"""Figures of a record's further parts say what they should; the frontier is the frontier."""

from matplotlib.backends.backend_agg import FigureCanvasAgg

from prodgen_jax.evaluation import plots


def words(figure):
    FigureCanvasAgg(figure).draw()
    labels = [(*axis.texts, *axis.get_xticklabels(), *axis.get_yticklabels()) for axis in figure.axes]
    return [text.get_text() for part in labels for text in part]


def test_frontier_holds_what_no_other_beats_in_both():
    points = [(1.0, 5.0), (10.0, 9.0), (5.0, 7.0), (4.0, 8.0), (1.0, 6.0), (10.0, 20.0)]
    assert plots.frontier(points) == [(1.0, 5.0), (5.0, 7.0), (10.0, 9.0)]


def test_frontier_plot_names_every_method():
    at = {key: (2.0, 0.1) for key in ("images_per_second", "fcd", "recall", "precision")}
    figure = plots.frontier_plot({"vae": at, "ddpm": {**at, "fcd": (1.0, None)}})
    words(figure)
    assert [t.get_text() for t in figure.axes[0].get_legend().get_texts()] == ["vae", "ddpm"]


def test_leakage_and_shop_rules():
    found = {"moved": {"type": {"type": 0.9, "colour": 0.2}, "colour": {"type": 0.1, "colour": 1.0}}}
    said = words(plots.leakage_plot({**found, "another_seed": {"type": 0.05, "colour": 0.3}}))
    assert {"90%", "5%", "another seed", "colour"} <= set(said)
    rates = {rule: {"rate": 0.5, "interval": [0.4, 0.6]} for rule in ("fill", "all")}
    assert {"fill", "all"} <= set(words(plots.shop_plot({"samples": rates, "real": rates})))
