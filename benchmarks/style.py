"""Writes docs/results/style.md and its sheets: how near styled photos come to the style, what of them stays, how fast.

python benchmarks/style.py PREPARED_SET JUDGE_SET --out docs/results

PREPARED_SET: whose held-out photos are styled; its size is worked at. JUDGE_SET: a set whose measuring network (seed
0) looks at the results, so that no model is judged by its own eye. The sheet shows goods that the package's own models
drew: a catalog's photos are not ours to publish.
"""

import argparse
import os
import platform
import time
from functools import partial
from pathlib import Path

import jax
import numpy as np
from PIL import Image

from prodgen_jax import open_prepared, open_run
from prodgen_jax.data.foreground import silhouette
from prodgen_jax.data.images import to_signed
from prodgen_jax.data.styles import STYLES, draw_style
from prodgen_jax.evaluation.figures import canvas, heading, markdown, picture, save_figure
from prodgen_jax.evaluation.style import drift, statistics
from prodgen_jax.methods.gatys import mixed_grams
from prodgen_jax.methods.perception import EYE, Eye, content_distance, gram, style_distance
from prodgen_jax.sampling.sample import sample
from prodgen_jax.sampling.style import PORTION, cascade, mix, one_pass, stylize, train_pictures
from prodgen_jax.sampling.translate import upscale
from prodgen_jax.training.compiler import jitted
from prodgen_jax.training.features import feature_network

PHOTOS, STEPS, ONE = 96, 100, np.ones(1, np.float32)
SHOWN = 160  # pixels on the longer side of what the sheet shows, or more
DREW, LARGER = "pretrained:fashion32", "pretrained:srgan64"  # by words, and twice as large
GOODS = {  # {what is asked for: seed}
    "black backpack": 3,
    "red sports shoes": 4,
    "blue casual shoes": 4,
    "pink dress": 5,
    "brown handbag": 4,
    "white shirt for men": 3,
    "green tshirt for men": 1,
}


class Judge:
    """Distances of styled photos from the style and from what they were, as another network sees them."""

    def __init__(self, spec, params, content: np.ndarray):
        self.eye, self.params = Eye(spec), params
        self.content, self.kept = content, self.eye.maps(self.params, content)

    def wanted(self, look):
        return mixed_grams(self.eye, self.params, *mix(self.content, look, ONE))

    def __call__(self, made, look) -> tuple[float, float]:
        """(style distance, content distance)."""
        seen = self.eye.maps(self.params, made)
        far = style_distance([gram(x) for x in seen], self.wanted(look))
        return float(far), float(content_distance(seen, self.kept))


def looks(name: str, size: int) -> np.ndarray:
    return to_signed(draw_style(name, size))[None]


def measured(model, judge: Judge) -> list[str]:
    """The tables: by strength, by stage, by style."""
    content = judge.content
    size = content.shape[1]
    way = partial(in_portions, partial(one_pass, jitted(model.method.style), model, 0, 0))
    slow = partial(train_pictures, model, STEPS, 0, 0)
    strengths = {
        a: [judge(way(content, looks(n, size), ONE, a), looks(n, size)) for n in STYLES]
        for a in (0, 0.25, 0.5, 0.75, 1)
    }
    stages: dict = {"the photos": [judge(content, looks(n, size)) for n in STYLES]}
    for name in STYLES:
        for i, made in enumerate(cascade(way, content, looks(name, size), ONE, 0.8, 3)):
            stages.setdefault(f"after stage {i + 1}", []).append(judge(made, looks(name, size)))
    few, some = content[:8], {}
    own = Judge(model.spec, judge.params, few)
    for name in STYLES:
        look = looks(name, size)
        some[name] = [own(x, look) for x in (few, way(few, look, ONE, 1.0), slow(few, look, ONE, 1.0))]
    means = {title: np.mean(found, axis=0) for title, found in {**strengths, **stages}.items()}
    by_style = [(name, *(f"{value:.3f}" for pair in found for value in pair)) for name, found in some.items()]
    return [
        f"Means over {len(STYLES)} styles and {len(content)} held-out photos, all of each photo styled:",
        "",
        markdown(("strength", "style distance", "content distance"), rows(means, strengths)),
        "",
        "A cascade of three transfers at strength 0.8, from a quarter of the side to the whole:",
        "",
        markdown(("", "style distance", "content distance"), rows(means, stages)),
        "",
        f"One pass beside {STEPS} steps of training the pictures themselves (Gatys), both at strength 1; {len(few)}",
        "photos; style and content distance of each:",
        "",
        markdown(
            ("style", "photo: style", "content", "one pass: style", "content", "trained: style", "content"), by_style
        ),
        "",
    ]


def rows(means, group) -> list[tuple]:
    return [(str(title), *(f"{value:.3f}" for value in means[title])) for title in group]


def in_portions(way, content, look, shares, strength):
    parts = [way(content[i : i + PORTION], look, shares, strength) for i in range(0, len(content), PORTION)]
    return np.concatenate([np.asarray(part) for part in parts])


def speed(model, size: int) -> list[str]:
    """Seconds per picture, the compilation left out; the least of five."""
    style, body = jitted(model.method.style), []
    for n in (1, 16):
        for side in (size, 2 * size, 4 * size):
            content = np.zeros((n, side, side, 3), np.float32)
            call = partial(one_pass, style, model, 0, 0, content, looks("denim", side), ONE, 0.8)
            jax.block_until_ready(call())
            times = []
            for _ in range(5):
                begun = time.perf_counter()
                jax.block_until_ready(call())
                times.append(time.perf_counter() - begun)
            body.append((side, n, f"{min(times) / n:.4f}"))
    return ["Time of one pass, compilation apart:", "", markdown(("side, px", "at a time", "s per picture"), body), ""]


def drifted(model, photos: np.ndarray) -> list[str]:
    """What one style does to the look of a set."""
    changes = [silhouette(photo) for photo in photos]
    made = np.stack(stylize(model, list(photos), {"denim": 1}, strength=0.9, changes=changes))
    found, (before, after) = drift(photos, made), (statistics(photos), statistics(made))
    body = [
        (
            name,
            f"{at['shift']:+.1f}",
            f"{before[name].std():.1f}",
            f"{after[name].std():.1f}",
            "yes" if name in found["drifted"] else "no",
        )
        for name, at in found["statistics"].items()
    ]
    table = markdown(("", "shift, levels", "spread before", "after", "drifted"), body)
    return [
        f"The products of {len(photos)} photos in denim (strength 0.9, grounds kept): color and texture of the set.",
        "",
        table,
        "",
    ]


def enlarged(photo: Image.Image) -> Image.Image:
    times = max(1, -(-SHOWN // max(photo.size)))
    return photo.resize((photo.width * times, photo.height * times), Image.Resampling.LANCZOS)


def goods() -> list[np.ndarray]:
    """Pictures of the package's own models, enlarged to the least side at which a fabric shows."""
    run, asking = open_run(DREW), {"guidance": 2.0}
    drawn = [sample(run, 1, seed, None, asking, words)[0] for words, seed in GOODS.items()]
    return [np.asarray(enlarged(Image.fromarray(made))) for made in upscale(open_run(LARGER), np.concatenate(drawn))]


def draw_sheet(model, path: Path) -> None:
    """Goods in every style, only the product."""
    photos = goods()
    changes = [silhouette(photo) for photo in photos]
    figure, axes = canvas(9.6, 1.3 * (1 + len(STYLES)), 1 + len(STYLES), 1 + len(photos))
    axes[0, 0].set_axis_off()
    for axis, photo in zip(axes[0, 1:], photos, strict=True):
        picture(axis, photo, "bicubic")
    for line, name in zip(axes[1:], STYLES, strict=True):
        picture(line[0], draw_style(name, SHOWN))
        heading(line[0], name)
        for axis, made in zip(line[1:], stylize(model, photos, {name: 1}, strength=0.9, changes=changes), strict=True):
            picture(axis, made, "bicubic")
    save_figure(figure, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("judge", type=Path)
    parser.add_argument("--model", default="pretrained:style64")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    model, prepared = open_run(args.model), open_prepared(args.data)
    held = np.asarray(prepared.split("test").images[:PHOTOS])
    network = feature_network(open_prepared(args.judge))
    form = jax.tree.structure(Eye(model.spec).init(jax.random.key(0)))
    params = {EYE: jax.tree.unflatten(form, jax.tree.leaves({"stages": network.params["stages"]}))}
    judge = Judge(model.spec, params, to_signed(held))
    draw_sheet(model, args.out / "style" / "sheet.png")
    lines = [
        "# Style, measured",
        "",
        "Made by `benchmarks/style.py`; every number here is its output.",
        f"{os.cpu_count()} CPU cores, python {platform.python_version()}, jax {jax.__version__}; {args.model},",
        f"held-out photos of the public 'Fashion Product Images (Small)' catalogue at {prepared.size} px.",
        "",
        "Distances are shares, as a network sees them that had no part in training: style, how far the Gram matrices",
        "are from the style's (0: not at all, 1: as far as they are large); content, how far its maps are from the",
        "photo's.",
        "",
        "![goods in every style, their ground kept](style/sheet.png)",
        "",
        *measured(model, judge),
        *drifted(model, np.asarray(prepared.split("test").images[:200])),
        *speed(model, prepared.size),
    ]
    (args.out / "style.md").write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
