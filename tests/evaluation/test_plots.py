"""Figures of a record's further parts say what they should."""

from matplotlib.backends.backend_agg import FigureCanvasAgg

from prodgen_jax.evaluation import plots


def words(figure):
    FigureCanvasAgg(figure).draw()
    labels = [(*axis.texts, *axis.get_xticklabels(), *axis.get_yticklabels()) for axis in figure.axes]
    return [text.get_text() for part in labels for text in part]


def test_leakage_and_shop_rules():
    found = {"moved": {"type": {"type": 0.9, "colour": 0.2}, "colour": {"type": 0.1, "colour": 1.0}}}
    said = words(plots.leakage_plot({**found, "another_seed": {"type": 0.05, "colour": 0.3}}))
    assert {"90%", "5%", "another seed", "colour"} <= set(said)
    rates = {rule: {"rate": 0.5, "interval": [0.4, 0.6]} for rule in ("fill", "all")}
    assert {"fill", "all"} <= set(words(plots.shop_plot({"samples": rates, "real": rates})))
