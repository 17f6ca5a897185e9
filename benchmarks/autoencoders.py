"""What autoencoders keep of held-out photos, and what it costs in bits: WORK/autoencoders.json.

python benchmarks/autoencoders.py PREPARED_SET WORK

WORK/runs/time holds their runs (`benchmarks/families.sh`). `families_page.py` writes the tables.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from prodgen_jax import open_prepared, open_run, recipe
from prodgen_jax.data.images import to_signed, to_uint8
from prodgen_jax.data.prepared import PreparedSet, Split
from prodgen_jax.evaluation.compare import tag
from prodgen_jax.evaluation.paired import psnr
from prodgen_jax.methods.core import EXTRA
from prodgen_jax.methods.vae import Networks as VAENetworks
from prodgen_jax.methods.vaegan import Networks as VAEGANNetworks
from prodgen_jax.methods.vqvae import Networks as VQNetworks
from prodgen_jax.methods.vqvae import book_of, nearest
from prodgen_jax.training.run import Run
from prodgen_jax.training.validate import Validation

PCA_PHOTOS = 8000  # that the principal components are of
AT_ONCE = 100


def blocks(split: Split):
    """(photos in [-1, 1], their labels), AT_ONCE at a time."""
    for i in range(0, len(split), AT_ONCE):
        part = slice(i, i + AT_ONCE)
        yield (
            to_signed(np.asarray(split.images[part])),
            {name: jnp.asarray(v[part]) for name, v in split.labels.items()},
        )


def of_vae(run: Run) -> Callable:
    told = dict(attributes=dict(run.spec.attributes), told=run.recipe.method.embedding) if run.method.conditions else {}
    nets, params = VAENetworks(run.recipe.method, run.spec, **told), run.params
    return lambda x, label: nets.decode(params, nets.encode(params, x, label)[0], label)[0]


def of_vaegan(run: Run) -> Callable:
    nets, params = VAEGANNetworks(run.recipe.method, run.spec), run.params
    return lambda x, label: nets.decode(params, nets.encode(params, x)[0])


def of_vqvae(run: Run) -> Callable:
    nets, params = VQNetworks(run.recipe.method, run.spec, {}), run.params
    book = book_of(params[EXTRA])
    return lambda x, label: nets.decode(params, book[nearest(nets.encode(params, x), book)])[0]


def of_pca(prepared: PreparedSet, numbers: int) -> Callable:
    """The photo's shadow on the first principal components of training photos (Pearson 1901)."""
    x = to_signed(np.asarray(prepared.split("train").images[:PCA_PHOTOS])).reshape(PCA_PHOTOS, -1)
    center = x.mean(0)
    _, axes = np.linalg.eigh((x - center).T @ (x - center))
    axes = axes[:, ::-1][:, :numbers]
    return lambda x, label: (center + (x.reshape(len(x), -1) - center) @ axes @ axes.T).reshape(x.shape)


def kept(rebuild: Callable, split: Split) -> dict:
    """PSNR of photos rebuilt, in dB, and the mean difference of their neighboring pixels beside the photos' own."""
    again = np.concatenate([to_uint8(np.clip(np.asarray(rebuild(*block)), -1, 1)) for block in blocks(split)])
    edges = [np.abs(np.diff(np.asarray(x, np.float32), axis=2)).mean() for x in (again, split.images)]
    return {"psnr": float(psnr(np.asarray(split.images), again).mean()), "edges": float(edges[0] / edges[1])}


def codes_in_bits(run: Run, split: Split, train: Split) -> dict[str, float]:
    """What a held-out photo's codes cost, in bits: all alike, by how often each is used in training, by the prior."""
    nets, book = VQNetworks(run.recipe.method, run.spec, {}), book_of(run.params[EXTRA])
    encode = jax.jit(lambda x: nearest(nets.encode(run.params, x), book))
    cost = jax.jit(lambda codes: -nets.log_prior(run.params, codes, {}))
    uses = np.ones(len(book))
    for i in range(0, 5000, AT_ONCE):
        np.add.at(uses, np.asarray(encode(to_signed(np.asarray(train.images[i : i + AT_ONCE])))), 1)
    codes = np.concatenate([np.asarray(encode(x)) for x, _ in blocks(split)])
    nats = np.concatenate([np.asarray(cost(codes[i : i + AT_ONCE])) for i in range(0, len(codes), AT_ONCE)])
    often = -np.log2(uses / uses.sum())
    return {
        "all alike": codes.shape[1] * float(np.log2(len(book))),
        "by how often": float(often[codes].sum(1).mean()),
        "by the prior": float(nats.mean() / np.log(2)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("work", type=Path)
    args = parser.parse_args()
    prepared = open_prepared(args.data)
    test, train = prepared.split("test"), prepared.split("train")
    runs = {name: open_run(args.work / "runs" / "time" / f"{name}-{tag(recipe(name))}" / "0") for name in MAKERS}
    found = {"rebuilt": {name: kept(jax.jit(MAKERS[name](run)), test) for name, run in runs.items()}}
    found["rebuilt"]["pca, 64 numbers"] = kept(of_pca(prepared, 64), test)
    found["bits"] = {
        name: dict([Validation(name, run.method, test, 0, AT_ONCE)(run.params)])
        for name, run in runs.items()
        if run.method.validate is not None
    }
    found["codes"] = codes_in_bits(runs["vqvae"], test, train)
    (args.work / "autoencoders.json").write_text(json.dumps(found, indent=1))


MAKERS = {"ae": of_vae, "vae": of_vae, "cvae": of_vae, "vaegan": of_vaegan, "vqvae": of_vqvae}

if __name__ == "__main__":
    main()
