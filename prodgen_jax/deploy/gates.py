"""When a model may take the place of another: what is asked of new products, and of what has learned from them."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt8

from prodgen_jax.data.captions import TEXT, in_words
from prodgen_jax.data.prepared import SPLITS, PreparedSet
from prodgen_jax.errors import InputError
from prodgen_jax.evaluation.intervals import of_measures
from prodgen_jax.evaluation.sets import frechet_distance, nearest
from prodgen_jax.sampling.sample import draw
from prodgen_jax.training.features import FeatureNetwork
from prodgen_jax.training.run import Run

USUAL = 99  # percentile of held-out photos' distances beyond which a photo is strange
MOST = 5000  # photos of a side that are compared


@dataclass(frozen=True)
class Gates:
    """When a new model may take the place of the current one."""

    least: int = 64  # new products
    strange: float = 0.2  # share of the new photos that no known photo is near
    labels: float = 0.7  # how often new labels are read right, over how often known ones are
    worse: float = 0.05  # share by which FCD may rise beyond what chance explains
    samples: int = 2000  # that each model draws to be measured


@dataclass(frozen=True, eq=False)
class New:
    """The products of a set that another has not: photos, and their values by name, "" where missing."""

    images: UInt8[np.ndarray, "n h w 3"]
    values: dict[str, np.ndarray]


def named(column: np.ndarray, values: tuple[str, ...]) -> np.ndarray:
    """Indices as names, "" for -1."""
    return np.array([*values, ""])[column]


def new_products(before: PreparedSet, after: PreparedSet) -> New:
    seen = np.concatenate([before.split(name).ids for name in SPLITS])
    parts = [after.split(name) for name in SPLITS]
    new = [~np.isin(part.ids, seen) for part in parts]
    images = np.concatenate([part.images[rows] for part, rows in zip(parts, new, strict=True)])
    values = {
        name: np.concatenate([named(part.labels[name][rows], known) for part, rows in zip(parts, new, strict=True)])
        for name, known in after.attributes.items()
    }
    return New(images, values)


@dataclass(frozen=True, eq=False)
class Judged:
    """What the gates look at."""

    before: PreparedSet
    after: PreparedSet
    gates: Gates
    network: FeatureNetwork
    judge: FeatureNetwork
    seed: int

    def shut_before(self, verdict: dict) -> str:
        """Why nothing is to be learned from the new products; "" if nothing speaks against it."""
        new, gates = new_products(self.before, self.after), self.gates
        verdict["new"] = len(new.images)
        if len(new.images) < gates.least:
            return f"{len(new.images)} new products, {gates.least} are needed"
        share = float(self.strange(new.images).mean())
        verdict["looks"] = {"strange": share}
        if share > gates.strange:
            return f"{share:.0%} of the new photos are like no known photo, {gates.strange:.0%} may be"
        verdict["labels"] = found = self.fitting(new)
        for name, at in found.items():
            if at["ratio"] < gates.labels:
                return (
                    f"'{name}' of new products is read right {at['ratio']:.2f} times as often as that of known ones, "
                    f"{gates.labels:g} is needed"
                )
        return ""

    def strange(self, images: UInt8[np.ndarray, "n h w 3"]) -> Bool[np.ndarray, "n"]:
        """Which photos are farther from all training photos of the known set than nearly all held-out ones are."""
        train, held = self.features(self.before.split("train").images), self.held_out(self.before)
        limit = np.percentile(nearest(held, train)[1], USUAL)
        return nearest(self.network.features(images), train)[1] > limit

    def features(self, images: UInt8[np.ndarray, "n h w 3"]) -> Float[np.ndarray, "m d"]:
        """Of so many as are compared."""
        rows = np.random.default_rng(self.seed).permutation(len(images))[:MOST]
        return self.network.features(np.asarray(images[np.sort(rows)]))

    def held_out(self, prepared: PreparedSet) -> Float[np.ndarray, "n d"]:
        """Of a set's held-out photos, but for those that the other set has for training."""
        learned = np.concatenate([each.split("train").ids for each in (self.before, self.after)])
        test = prepared.split("test")
        rows = np.flatnonzero(~np.isin(test.ids, learned))
        if len(rows) < self.gates.least:
            raise InputError(
                f"{prepared.path}: {len(rows)} of its held-out photos are in neither set's training split, "
                f"{self.gates.least} are needed; prepare both sets with the same seed and shares"
            )
        return self.features(test.images[rows])

    def fitting(self, new: New) -> dict[str, dict]:
        """{attribute: how often the judge reads new labels right, and known held-out ones, and the ratio}."""
        held, found = self.before.split("test"), {}
        read, real = self.judge.predict(new.images), self.judge.predict(held.images)
        for name, classes in self.judge.settings.classes.items():
            known = self.before.attributes[name]
            legible = np.array([known[place] for place in classes])
            rows, held_rows = np.isin(new.values.get(name, []), legible), np.isin(held.labels[name], classes)
            if min(rows.sum(), held_rows.sum()) < self.gates.least:
                continue
            right = np.mean(named(read[name], known)[rows] == new.values[name][rows])
            usual = np.mean(real[name][held_rows] == held.labels[name][held_rows])
            found[name] = {"new": float(right), "known": float(usual), "ratio": float(right / max(usual, 1e-9))}
        return found

    def shut_after(self, verdict: dict, current: Run, candidate: Run) -> str:
        """Why the candidate may not take the current model's place; "" if it may."""
        verdict["scores"], why = {}, ""
        runs = {"current": current, "candidate": candidate}
        drawn = {who: self.network.features(self.drawn(run)) for who, run in runs.items()}
        for which, prepared in (("known", self.before), ("new", self.after)):
            held = self.held_out(prepared)
            at = {who: frechet_distance(held, made) for who, made in drawn.items()}
            half = [of_measures(fcd, held, made, np.random.default_rng(self.seed))["fcd"] for made in drawn.values()]
            allowed = at["current"] * (1 + self.gates.worse) + float(np.hypot(*half))
            verdict["scores"][which] = {**at, "allowed": allowed}
            if not at["candidate"] <= allowed and not why:
                why = (
                    f"its FCD to held-out photos of the {which} set is {at['candidate']:.3g}, {allowed:.3g} is allowed"
                )
        return why

    def drawn(self, run: Run) -> UInt8[np.ndarray, "n h w 3"]:
        """Samples of a run; a conditional one is asked for what stands in the known set, by name."""
        n, labels = self.gates.samples, self.before.split("train").labels
        rows = np.random.default_rng(self.seed).choice(self.before.splits["train"], n)
        asked = {name: labels[name][rows] for name in self.before.attributes}
        cond = {}
        for name in run.method.conditions:
            if name == TEXT:
                cond[TEXT] = in_words(asked, self.before.attributes, run.vocabulary)
            elif name in asked:
                place = {value: i for i, value in enumerate(run.attributes[name])}
                values = named(asked[name], self.before.attributes[name])
                cond[name] = np.array([place.get(value, -1) for value in values], np.int32)
        return draw(run.method, run.params, n, self.seed, cond)


def fcd(held: Float[np.ndarray, "n d"], made: Float[np.ndarray, "m d"]) -> dict[str, float]:
    return {"fcd": frechet_distance(held, made)}
