"""A run is measured: its samples are drawn, and a conditional one is asked for what stands in the catalog."""

import json
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from prodgen_jax.data.prepared import PreparedSet
from prodgen_jax.errors import InputError
from prodgen_jax.evaluation.bits import bits_report, check_bits
from prodgen_jax.evaluation.control import as_in_training, control_network, leakage, spoken, unseen_pairs
from prodgen_jax.evaluation.evaluate import FORMAT, about, check_splits, describe, evaluate, made_with
from prodgen_jax.evaluation.few_labels import check_few_labels, few_labels
from prodgen_jax.evaluation.membership import check_membership, membership_report
from prodgen_jax.evaluation.translation import paired_report, translated
from prodgen_jax.evaluation.unpaired import unpaired_lines, unpaired_report
from prodgen_jax.sampling.sample import draw, sample
from prodgen_jax.training.features import FeatureNetwork, feature_network
from prodgen_jax.training.run import Run


def draw_asked(run: Run, prepared: PreparedSet, n: int, seed: int) -> tuple[UInt8[np.ndarray, "n h w 3"], dict]:
    """(n pictures, {attribute: index of the value asked for}). A conditional run is asked for attributes as they
    stand in the training set, which is also what makes its samples comparable with an unconditional run's."""
    if not run.method.conditions:
        return sample(run, n, seed)[0], {}
    asked = as_in_training(run, prepared, n, seed)
    return draw(run.method, run.params, n, seed, spoken(run, prepared, asked)), asked


def evaluate_run(
    run: Run,
    prepared: PreparedSet,
    *,
    n: int = 2000,
    seed: int = 0,
    bits: bool = False,
    member: bool = False,
    named_by_few: str | None = None,
    **options,
) -> tuple[dict, np.ndarray]:
    """(the record of n samples, the samples). options: `evaluate`'s. bits: also what held-out photos cost. member: also
    whether it gives away which photos it learned from. named_by_few: an attribute, of which few labels may do.

    A conditional run's record says what leaks; that of a run that begins from pictures, how close it came to the
    held-out photos that it was shown a part of. One that learned without pairs has a record of its own, in which
    `unpaired` alone is measured, and no samples.
    """
    if run.method.style is not None:
        raise InputError(
            f"{run.path}: gives pictures another look, for which there is no right answer; see `prodgen style`"
        )
    if run.method.source is not None and run.spec.size != prepared.size:
        raise InputError(f"{run.path}: is for {run.spec.size} px, {prepared.path} has pictures of {prepared.size} px")
    if bits:
        check_bits(run)
    if member:
        check_membership(run, prepared, options.get("against", "test"))
    if named_by_few is not None:
        check_few_labels(run, prepared, named_by_few)
    if run.method.domains:
        return without_pairs(run, prepared, seed, **options)
    against = options.get("against", "test")
    check_splits(prepared, against)
    cost = {"bits_per_dim": bits_report(run, prepared, against, seed)} if bits else {}
    cost |= {"membership": membership_report(run, prepared, against, seed)} if member else {}
    cost |= {"few_labels": few_labels(run, prepared, named_by_few, against=against)} if named_by_few is not None else {}
    pairs = translated(run, prepared, against, n, seed) if run.method.source is not None else None
    images, asked = (pairs.made, pairs.asked) if pairs else draw_asked(run, prepared, n, seed)
    judge = (options.pop("judge", None) or control_network(prepared)) if asked else None
    record = {**evaluate(images, prepared, seed=seed, asked=asked, judge=judge, **options), **cost}
    if pairs is not None:
        network = options.get("network") or feature_network(prepared)
        return {**record, "paired": paired_report(pairs, prepared, against, network)}, images
    if judge is not None:
        record["control"]["leakage"] = leakage(run, prepared, judge, seed=seed)
        record["control"]["pairs"] = unseen_pairs(run, prepared, judge, seed=seed)
    return record, images


def without_pairs(
    run: Run,
    prepared: PreparedSet,
    seed: int,
    name: str = "",
    network: FeatureNetwork | None = None,
    judge: FeatureNetwork | None = None,
    **of_samples,
) -> tuple[dict, np.ndarray]:
    """(the record of a run that has domains, no samples: what it makes is no set like the catalog's).

    of_samples: options of `evaluate` that mean nothing here; InputError names one that asks for something.
    """
    for option, value in of_samples.items():
        if value:
            raise InputError(f"{option}={value}: of samples, and {run.path} learned without pairs and has none")
    network, judge = network or feature_network(prepared), judge or control_network(prepared)
    record = {
        "format": FORMAT,
        "name": name,
        "seed": seed,
        "unpaired": {**unpaired_report(run, prepared, judge, network, seed), "network": describe(judge)},
        "network": describe(network),
        "prepared": about(prepared),
        **made_with(),
    }
    return json.loads(json.dumps(record)), np.zeros((0, prepared.size, prepared.size, 3), np.uint8)


def write_record(path: str | Path, record: dict) -> None:
    """As JSON, whole or not at all; its folder is made."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".partial")
    part.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    part.replace(path)


def in_words(record: dict) -> list[str]:
    """The lines of a record that a person wants first."""
    if "unpaired" in record:
        return unpaired_lines(record["unpaired"])
    row = {part: f"{record[part]['fcd']:.2f}" for part in ("samples", "floor", "ceiling")}
    lines = [f"FCD {row['samples']} (floor {row['floor']}, ceiling {row['ceiling']})"]
    for name, found in record.get("control", {}).get("attributes", {}).items():
        said = found.get("refused") or f"{found['accuracy']:.1%} as asked ({found['real']:.1%} on real photos)"
        lines.append(f"{name}: {said}")
    if "bits_per_dim" in record:
        lines.append("bits/dim {mean:.3f} +- {half:.3f} on {photos} held-out photos".format(**record["bits_per_dim"]))
    if "membership" in record:
        said = "training photos told from held-out ones by {by}: AUC {auc:.3f} +- {half:.3f}, "
        said += "{hits:.1%} of them named at {false_alarms:.0%} false alarms"
        lines.append(said.format(**record["membership"]))
    if "few_labels" in record:
        found = record["few_labels"]
        said = "{n} labels of {attribute}: {chance:.1%} right, {chosen:.1%} of chosen photos"
        said += " (a network of these photos alone {alone:.1%})"
        for at in found["labels"]:
            shares = {way: at[way][0] for way in ("chance", "chosen", "alone")}
            lines.append(said.format(n=at["n"], attribute=found["attribute"], **shares))
    if "paired" in record:
        found = record["paired"]
        psnr, fcd = ({who: found[who][key] for who in ("made", "source", "mean")} for key in ("psnr_db", "fcd"))
        lines.append("PSNR {made:.2f} dB (the source {source:.2f}, the mean of its kind {mean:.2f})".format(**psnr))
        lines.append("FCD of these {made:.2f} (the source {source:.2f}, the mean of its kind {mean:.2f})".format(**fcd))
    if "fid" in record:
        found, title = record["fid"], "FID"
        if not found["published"]:
            title = f"Frechet distance over {found['file_sha256'][:12]}"
        lines.append("{} {:.2f} (floor {:.2f})".format(title, *(found[who]["fid"] for who in ("samples", "floor"))))
    if "usefulness" in record:
        found = record["usefulness"]
        real, made = (f"{found[key][0]:.1%}" for key in ("real", "samples"))
        lines.append(f"{found['attribute']}, learned from the samples: {made} right ({real} from as many real photos)")
        lines += [
            f"{at['photos']} real photos: {at['alone'][0]:.1%}, with the samples {at['with_samples'][0]:.1%}"
            for at in found["shares"]
        ]
    if "self_test" in record:
        tests = record["self_test"]["metrics"]
        failed = [f"{key} ({', '.join(found['failed'])})" for key, found in tests.items() if not found["passed"]]
        lines.append(f"measures that failed their own test: {'; '.join(failed) or 'none'} of {len(tests)}")
    return lines
