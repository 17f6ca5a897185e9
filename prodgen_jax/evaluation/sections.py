"""The sections of a record's page: what stands in the record, told in one sentence, a table or a figure each.

A section is a function of the record that gives pieces of HTML, or None where the record has nothing of it.
"""

import base64
import html
import io
from collections.abc import Callable, Mapping, Sequence

from matplotlib.figure import Figure

from prodgen_jax.evaluation.intervals import LEVEL
from prodgen_jax.evaluation.plots import TITLES, leakage_plot, self_test_plot, shop_plot
from prodgen_jax.evaluation.tables import html_table, plain

MOST_ROWS = 20  # of a table of categories; the largest come first


def inline(draw: Callable, say: str) -> str:
    """A picture that `draw(buffer)` writes as PNG, as an element that needs no file."""
    buffer = io.BytesIO()
    draw(buffer)
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<img src="data:image/png;base64,{data}" alt="{html.escape(say)}">'


def drawn(figure: Figure, say: str) -> str:
    return inline(lambda buffer: figure.savefig(buffer, format="png", dpi=110), say)


def percent(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}"


def near(at: Sequence[float | None]) -> str:
    """A mean and half of its interval, as shares."""
    mean, half = at
    return f"{mean:.1%}" + ("" if half is None else f" ± {half:.1%}")


def yardstick(record: Mapping) -> list[str]:
    """What the numbers above are worth: intervals, and the network that they were measured by."""
    rows = []
    for key, (low, high) in record["intervals"]["samples"].items():
        at = [plain(record[who][key]) for who in ("samples", "floor", "ceiling")]
        rows.append([TITLES.get(key, key), at[0], f"{plain(low)} to {plain(high)}", *at[1:]])
    said = f"Of the samples with {LEVEL:.0%} intervals, then of as many real photos and of a Gaussian per pixel."
    head = ["measure", "samples", "interval", "real photos", "Gaussian"]
    return ["<h2>All measures</h2>", f"<p>{said}</p>", html_table(head, rows)]


def self_test(record: Mapping) -> list[str] | None:
    found = record.get("self_test")
    if not found:
        return None
    failed = [TITLES.get(key, key) for key, at in found["metrics"].items() if not at["passed"]]
    verdict = f"Struck out above: {', '.join(failed)}." if failed else "All see what they claim to see."
    said = (
        f"Every measure was given {found['n']} real photos, spoiled in steps by noise and by blur, and with ever "
        f"fewer of them repeated. {verdict} The band is where real photos stand; of a pale ladder nothing is claimed."
    )
    return [
        "<h2>Do the measures see what they claim?</h2>",
        f"<p>{said}</p>",
        drawn(self_test_plot(found), "each measure on ladders of noise, blur and copies"),
    ]


def fid(record: Mapping) -> list[str] | None:
    found = record.get("fid")
    if not found:
        return None
    name = "FID" if found["published"] else "Fréchet distance, no FID"
    rows = [
        [title, plain(found[who]["fid"]), f"{found[who]['kid']:.4f} ± {found[who]['kid_stderr']:.4f}", found[who]["n"]]
        for title, who in (("samples", "samples"), ("real photos", "floor"), ("Gaussian per pixel", "ceiling"))
    ]
    said = f"Against {found['reference']} photos, over the features of the file {found['file_sha256'][:12]}."
    return ["<h2>Inception's distances</h2>", f"<p>{said}</p>", html_table(["", name, "KID", "pictures"], rows)]


def control(record: Mapping) -> list[str] | None:
    found = record.get("control")
    if not found:
        return None
    rows = [
        [name, at["n"], percent(at["accuracy"]), "{:.1%} to {:.1%}".format(*at["interval"]), percent(at["real"]),
         percent(at["chance"]), percent(at["shuffled"]) + ("" if at["passed"] else " FAILED")]
        for name, at in found["attributes"].items()
        if "refused" not in at
    ]  # fmt: skip
    refused = [f"{html.escape(name)}: {at['refused']}" for name, at in found["attributes"].items() if "refused" in at]
    said = (
        "Read by a second network, of other weights, that saw half of the training photos. It errs on real photos "
        "too, and labels that are shuffled must fall to chance."
    )
    head = ["attribute", "n", "as asked", "interval", "on real photos", "chance", "shuffled"]
    parts = ["<h2>Do samples show what was asked for?</h2>", f"<p>{said}</p>", html_table(head, rows)]
    parts += [f"<p>Not measured: {'; '.join(refused)}.</p>"] if refused else []
    if found.get("leakage", {}).get("moved"):
        said = "One attribute is changed, the noise kept. The last row is what moves when only the noise changes."
        parts += [f"<p>{said}</p>", drawn(leakage_plot(found["leakage"]), "what moves with each attribute")]
    pairs = [at for at in found.get("pairs", []) if "refused" not in at]
    if pairs:
        rows = [
            [" × ".join(at["attributes"]), f"{at['unseen']} of {at['pairs']}", percent(at["seen"]["both_right"]),
             percent(at["new"]["both_right"])]
            for at in pairs
        ]  # fmt: skip
        head = ["two attributes", "pairs never seen", "both right, seen pairs", "never seen"]
        parts += ["<p>Values that the catalog has, but never together:</p>", html_table(head, rows)]
    return parts


def useful(record: Mapping) -> list[str] | None:
    found = record.get("usefulness")
    if not found:
        return None
    rows = [
        [f"{at['photos']:,} ({at['share']:.0%})", near(at["alone"]), near(at["with_samples"]), near(at["gain"])]
        for at in found["shares"]
    ]
    said = (
        f"Classifiers of {html.escape(found['attribute'])} ({found['values']} values; always naming the commonest is "
        f"right in {found['commonest']:.1%}) that learned from {found['n']:,} samples read {near(found['samples'])} of "
        f"the real photos right; from as many real photos, {near(found['real'])}. {found['seeds']} seeds, "
        f"{found['steps']} steps each."
    )
    head = ["real photos with labels", "alone", "with the samples", "gain"]
    return ["<h2>What are the samples worth to a classifier?</h2>", f"<p>{said}</p>", html_table(head, rows)]


def membership(record: Mapping) -> list[str] | None:
    found = record.get("membership")
    if not found:
        return None
    said = (
        f"{found['photos']:,} training photos and as many held-out ones, ranked by {found['by']}: a training photo "
        f"stands above a held-out one in {found['auc']:.1%} ± {found['half']:.1%} of all pairs (a coin: 50 %), and "
        f"{found['hits']:.1%} of them are named where {found['false_alarms']:.0%} of the others are named falsely."
    )
    return ["<h2>Does the model give away what it learned from?</h2>", f"<p>{said}</p>"]


def few_labels(record: Mapping) -> list[str] | None:
    found = record.get("few_labels")
    if not found:
        return None
    rows = [
        [f"{at['n']:,}", *(near(at[way]) for way in ("chance", "chosen", "untrained", "pixels", "alone"))]
        for at in found["labels"]
    ]
    said = (
        f"How often {html.escape(found['attribute'])} ({found['values']} values; always naming the commonest is right "
        f"in {found['commonest']:.1%}) is read right in held-out photos, learned from so many labels: by a linear "
        f"reader of what the network sees, of photos that chance or the reader's doubt chose; of what it sees before "
        f"its first step; of pixels; and by a classifier of those photos alone. {found['seeds']} seeds."
    )
    head = ["labels", "by chance", "chosen", "untrained", "pixels", "a classifier"]
    return ["<h2>How few labels name what the model sees?</h2>", f"<p>{said}</p>", html_table(head, rows)]


def categories(record: Mapping) -> list[str]:
    found = record["categories"]
    largest = sorted(found["measured"].items(), key=lambda item: -item[1]["n"]["samples"])[:MOST_ROWS]
    rows = [
        [name, at["n"]["samples"], *(f"{at['samples'][key]:.2f}" for key in ("precision", "recall", "coverage")),
         f"{at['floor']['coverage']:.2f}" if at["floor"] else ""]
        for name, at in largest
    ]  # fmt: skip
    by = "was asked for" if found["by"] == "asked" else "the network reads"
    said = (
        f"By {html.escape(found['attribute'])}, the one that {by}. {len(found['refused'])} values have fewer than "
        f"{found['least']} samples or photos and are not measured."
    )
    head = ["category", "samples", "precision", "recall", "coverage", "real photos' coverage"]
    return ["<h2>Per category</h2>", f"<p>{said}</p>", *([html_table(head, rows)] if rows else [])]


def shop(record: Mapping) -> list[str]:
    said = "Size, white ground, fill, sharpness and exposure, beside what the catalog's own photos reach."
    return ["<h2>Shop rules</h2>", f"<p>{said}</p>", drawn(shop_plot(record["shop"]), "pass rate of each shop rule")]


def style(record: Mapping) -> list[str]:
    found = record["style"]
    rows = [
        [name, f"{at['shift']:+.1f}", f"{at['distance']:.2f}", "drifted" if name in found["drifted"] else ""]
        for name, at in found["statistics"].items()
    ]
    said = (
        "How far the samples' statistics are from the photos': of the mean in levels of 255, and Kolmogorov's distance."
    )
    return [
        "<h2>Color and texture</h2>",
        f"<p>{said}</p>",
        html_table(["statistic", "shift", "distance", "verdict"], rows),
    ]


SECTIONS = (yardstick, self_test, fid, control, membership, few_labels, useful, categories, shop, style)


def sections(record: Mapping) -> list[str]:
    """All that a record has, in one order."""
    return [piece for section in SECTIONS for piece in section(record) or ()]
