"""Writes docs/results/twenty.md: keeps what `benchmarks/twenty.sh` left, beside what it left on other days.

python benchmarks/twenty_page.py PREPARED_SET WORK --out docs/results

docs/results/twenty/records/METHOD-SETTINGS-SEED.json   what is kept of each run, and of a peer's (peers/NAME.json)
docs/results/twenty/times/METHOD-SETTINGS.json          how long a run that was given its work would have taken
docs/results/twenty/strips/METHOD-SETTINGS.png          the first samples of seed 0, of each peer as well
docs/results/twenty/compare.json                        the table, for notebooks
"""

import json
import os
import platform
from collections import defaultdict
from datetime import date
from pathlib import Path
from statistics import median

import jax
import numpy as np
from diffusion_page import run_of
from families_page import COLUMNS, asked_table, draw_sheet, page_parser, price, quality
from family_models import TOLD
from jaxtyping import UInt8
from PIL import Image

from prodgen_jax import open_prepared, open_run, recipe, sample
from prodgen_jax.evaluation.compare import SHOWN, summarize
from prodgen_jax.evaluation.figures import markdown
from prodgen_jax.evaluation.intervals import over_seeds

KEPT = ("name", "seed", "n", "samples", "floor", "ceiling", "copies", "network", "versions", "trial")
HEAD = (
    "Made by `benchmarks/twenty.sh SET WORK METHODS SEEDS`; every number here is its output, of {when}. "
    "All {cores} cores, one training after the other, python {python}, jax {jax}. The catalogue: the public 'Fashion "
    "Product Images (Small)' collection, {train:,} training photos at {size} px, {n:,} samples of each run measured "
    "against {test:,} held-out photos, whose own FCD against training photos is {floor:.3g}, all by the feature "
    "network `{network}` (twenty/features). The settings are those that each method has by default, but for what is "
    "named. Of several seeds the mean stands with half of its 95 % interval; of one seed a few FCD mean nothing. A "
    "machine is not equally fast every day: the work done stands beside the minutes. [families.md](families.md) and "
    "[diffusion.md](diffusion.md) have more methods, in 12 minutes of one core."
)
ASKING = (
    "Asked for the attributes of training photos drawn at random. *Of real*: how often a second network, with other "
    "weights and other photos, reads a sample as what was asked for, over how often it reads held-out photos right. "
    "Their FCD is not comparable with that of the methods above: the catalogue's shares of kinds and colors are given "
    "to them."
)
BY_WORK = (
    "*By work*: given as many operations as ddpm's runs did in their minutes (`benchmarks/twenty_work.py`), on "
    "one core, with other work beside it and on a slower day, so that its seconds and samples/s say nothing. Equal "
    "work is not equal time: its steps and ddpm's took turns, alone on all cores (`--time`), and this is what share of "
    "ddpm's minutes it would have taken."
)
PEERS = (
    "As many minutes on the same cores, in PyTorch, measured like all others; where no seconds stand, as many steps as "
    "the same network made in them. Parameters of the methods above: {parameters}."
)


# --- what is kept -------------------------------------------------------------------------------------------------


def keep(work: Path, place: Path) -> None:
    """Adds what WORK has to what is kept: each run's record, without its lists, and a strip of seed 0's samples."""
    for file in sorted((work / "records" / "time").glob("*.json")):
        kept = place / "records" / file.name
        if kept.exists():
            continue
        run, record = open_run(run_of(work, file)), json.loads(file.read_text())
        slim = {key: record[key] for key in KEPT} | {"settings": run.recipe.settings(), "day": str(date.today())}
        if "control" in record:
            slim["ratio"] = {a: record["control"]["attributes"][a]["ratio"] for a in TOLD}
        write(kept, slim)
        if record["seed"] == 0:
            strip(sample(run, COLUMNS, seed=0)[0], place / "strips" / f"{file.stem.removesuffix('-0')}.png")


def keep_peers(work: Path, place: Path) -> None:
    """Adds the peers: what each says of its own training, and what `prodgen evaluate` says of its samples."""
    for measured in sorted((work / "peer").glob("*.record.json")):
        name = measured.name.removesuffix(".record.json")
        peer, record = (json.loads(file.read_text()) for file in (work / "peer" / f"{name}.json", measured))
        slim = {key: record[key] for key in KEPT if key in record} | {"peer": peer, "day": str(date.today())}
        write(place / "peers" / f"{name}.json", slim)
        if peer["settings"]["seed"] == 0:
            strip(np.load(work / "peer" / f"{name}.npz")["images"][:COLUMNS], place / "strips" / f"{name}.png")


def write(file: Path, what: dict) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(what, indent=1))


def strip(images: UInt8[np.ndarray, "n h w 3"], file: Path) -> None:
    """Pictures one below the other, so that they can be read again."""
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(images.reshape(-1, *images.shape[2:])).save(file, optimize=True)


def pictures(file: Path) -> UInt8[np.ndarray, "n h w 3"]:
    pixels = np.asarray(Image.open(file))
    return pixels.reshape(-1, pixels.shape[1], *pixels.shape[1:])


# --- what is shown ------------------------------------------------------------------------------------------------


def title(record: dict) -> str:
    """The method, what is set that is not its default, and whether work was its budget."""
    usual = json.loads(json.dumps(recipe(record["name"]).settings()))
    other = [f"{key}={shown(value)}" for key, value in record["settings"].items() if value != usual.get(key)]
    return ", ".join([record["name"], *other, *(["by work"] if by_work(record) else [])])


def by_work(record: dict) -> bool:
    return "steps" in record["trial"]["key"]


def times(place: Path, stems: dict) -> str:
    """The share of another method's minutes that a run by work takes, where it was measured."""
    rows = []
    for name, stem in stems.items():
        if (file := place / "times" / f"{stem}.json").exists():
            shares = json.loads(file.read_text())["shares"]
            rows.append([name, f"{median(shares):.2f}", f"{min(shares):.2f} to {max(shares):.2f}", len(shares)])
    return markdown(["method", "share of the minutes", "least to most", "rounds"], rows)


def shown(value: object) -> str:
    return " and ".join(map(str, value)) if isinstance(value, list) else str(value)


def summary(rows: list[dict], tried: int) -> dict:
    """Means and intervals over seeds, as `prodgen compare` has them; tried: with how many settings."""
    name = rows[0]["name"]
    found = summarize({name: rows}, Path())[name] | {"tried": tried}
    ratio = {a: over_seeds([row["ratio"][a] for row in rows]) for a in TOLD} if "ratio" in rows[0] else None
    return found | ({"ratio": ratio} if ratio else {})


def peer_table(peers: dict[str, list[dict]]) -> str:
    rows = []
    for name, seeds in peers.items():
        said, found = (
            seeds[0]["peer"],
            {key: over_seeds([at["samples"][key] for at in seeds]) for key in SHOWN.values()},
        )
        given = any(at["peer"]["settings"].get("steps") for at in seeds)  # its steps were given: no budget
        cost = (f"{said['steps']:,}", "" if given else f"{said['seconds']:.0f}")
        rows.append([name, len(seeds), f"{said['parameters']:,}", *map(near, found.values()), *cost])
    return markdown(["samples of", "seeds", "parameters", *SHOWN, "steps", "s"], rows)


def near(at: tuple[float, float | None]) -> str:
    mean, half = at
    return f"{mean:.3g}" + ("" if half is None else f" ± {half:.2g}")


def sheet_rows(place: Path, methods: dict[str, list[dict]], stems: dict, peers: dict) -> dict:
    rows = {}
    for name, records in methods.items():
        cost = records[0]["trial"]
        rows[f"{name}: {cost['steps']:,} steps in {cost['seconds']:.0f} s"] = pictures(
            place / "strips" / f"{stems[name]}.png"
        )
    for name, seeds in peers.items():
        rows[f"{name}: {seeds[0]['peer']['steps']:,} steps"] = pictures(place / "strips" / f"{seeds[0]['file']}.png")
    return rows


def main() -> None:
    args = page_parser(__doc__).parse_args()
    prepared, place = open_prepared(args.data), args.out / "twenty"
    keep(args.work, place)
    keep_peers(args.work, place)
    methods, stems, tried = defaultdict(list), {}, defaultdict(set)
    for file in sorted((place / "records").glob("*.json")):
        record, stem = json.loads(file.read_text()), file.stem.rsplit("-", 1)[0]
        name = title(record)
        methods[name].append(record)
        stems[name] = stem
        tried[record["name"]].add(stem)
    peers = defaultdict(list)
    for file in sorted((place / "peers").glob("*.json"), key=lambda file: file.stem):
        at = json.loads(file.read_text())
        peers[at["peer"]["title"]].append(at | {"file": file.stem})
    every = [record for records in methods.values() for record in records]
    one, days = every[0], sorted(record["day"] for record in [*every, *sum(peers.values(), [])])
    found = {name: summary(rows, len(tried[rows[0]["name"]])) for name, rows in methods.items()}
    told = {name: at for name, at in found.items() if "ratio" in at}
    untold = {name: at for name, at in found.items() if name not in told}
    minutes = next(record["trial"]["key"]["minutes"] for record in every if not by_work(record))
    write(place / "compare.json", {"minutes": minutes, "methods": untold, "told": told})
    best_first = {name: methods[name] for name in sorted(methods, key=lambda name: found[name]["fcd"][0])}
    draw_sheet(sheet_rows(place, best_first, stems, peers), place / "samples.png")
    said = HEAD.format(
        when=" to ".join(dict.fromkeys((days[0], days[-1]))), cores=os.cpu_count(),
        python=platform.python_version(), jax=jax.__version__,
        train=prepared.splits["train"], size=prepared.size, test=prepared.splits["test"], n=one["n"]["given"],
        floor=one["floor"]["fcd"], network=one["network"]["weights_sha256"][:12],
    )  # fmt: skip
    text = [f"# {minutes:g} minutes on {os.cpu_count()} cores", "", said, ""]
    text += [f"**Note.** {args.note}", ""] if args.note else []
    text += [quality(untold, one), "", price(untold), ""]
    text += [BY_WORK, "", times(place, stems), ""] if any(map(by_work, every)) else []
    if told:
        text += ["## Told what to draw", "", ASKING, "", asked_table({"methods": told}), "", price(told), ""]
    if peers:
        counts = {record["name"]: f"{record['name']} {record['trial']['parameters']:,}" for record in every}
        said = PEERS.format(parameters=", ".join(counts.values()))
        text += ["## Beside PyTorch", "", said, "", peer_table(peers), ""]
    text += ["## Samples", "", "![samples of each method](twenty/samples.png)", ""]
    (args.out / "twenty.md").write_text("\n".join(text), encoding="utf-8")


if __name__ == "__main__":
    main()
