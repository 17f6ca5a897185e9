"""A model in service learns from new products, and gives way only to one that is no worse (S13).

An attempt passes gates in order; the first that is shut ends it, and the current model stays:

1. There is something new: products that the known set has not.
2. It looks like goods of this shop: no more of it than `strange` is farther from every known photo than 99 % of
   held-out photos are.
3. Its labels say what is seen: a second network reads them right nearly as often as those of known held-out photos.
4. What has learned from it, beginning from the current model and to the end, draws no worse: neither by the photos
   held out of the known set, nor by those held out of the new one.
"""

from dataclasses import asdict
from pathlib import Path

from prodgen_jax.data.prepared import PreparedSet
from prodgen_jax.deploy.gates import Gates, Judged
from prodgen_jax.deploy.line import VERDICT, attempt, opened, promote, write
from prodgen_jax.errors import InputError
from prodgen_jax.evaluation.control import control_network
from prodgen_jax.training.features import FeatureNetwork, feature_network
from prodgen_jax.training.fit import fit
from prodgen_jax.training.recipe import recipe
from prodgen_jax.training.run import Run
from prodgen_jax.training.start import begun_with
from prodgen_jax.training.track import DivergedError


def retrain(
    line: str | Path,
    after: PreparedSet,
    *,
    steps: int | None = None,
    minutes: float | None = None,
    seed: int = 0,
    gates: Gates | None = None,
    start: Run | None = None,
    before: PreparedSet | None = None,
    network: FeatureNetwork | None = None,
    judge: FeatureNetwork | None = None,
) -> dict:
    """An attempt to replace the line's model by one that has learned from `after` as well; returns its verdict.

    start, before: the first model and the set that it knows, for a line that is only begun. network, judge: of
    `before`, `feature_network` and `control_network` if None. An attempt that was interrupted goes on.
    {"promoted", "why", "new", and what each gate saw: "looks", "labels", "scores"}. InputError where the line has no
    model, or the sets do not go together.
    """
    line, gates = Path(line), gates or Gates()
    current, before = opened(line, start, before)
    if after.size != before.size:
        raise InputError(f"{after.path}: has pictures of {after.size} px, the model's set of {before.size} px")
    place = attempt(line, after)
    verdict = {"set": str(after.path.resolve()), "fingerprint": after.fingerprint, "gates": asdict(gates)}
    judged = Judged(before, after, gates, network or feature_network(before), judge or control_network(before), seed)
    why = judged.shut_before(verdict)
    if not why:
        method = current.config["method"]
        made = recipe(method, **{**current.config["settings"], **begun_with(current, method)})
        length = {"steps": steps, "minutes": minutes}
        try:
            candidate = fit(made, after, place / "run", **length, seed=seed, start=current, resume=True)
        except DivergedError as error:
            why = f"its training ended: {error}"
        else:
            why = judged.shut_after(verdict, current, candidate)
    verdict |= {"promoted": not why, "why": why or "no gate was shut"}
    write(place / VERDICT, verdict)
    if not why:
        promote(line, place / "run", after)
    return verdict
