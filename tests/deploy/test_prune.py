"""Pruning: channels and weights that say nothing go without a trace, and what was taken out stays out."""

import jax
import numpy as np
import pytest

from prodgen_jax.cli import main
from prodgen_jax.deploy.prune import kept_channels, prune, thinned, without_weights
from prodgen_jax.errors import InputError
from prodgen_jax.methods.adapt import name_of, named
from prodgen_jax.nets.blocks import GROUPS
from prodgen_jax.sampling.sample import sample
from prodgen_jax.training.fit import fit
from prodgen_jax.training.run import Run, open_run
from prodgen_jax.training.weights import MANY, thick, thin

WIDE = {"width": 32, "multipliers": (1,), "attend": (), "timesteps": 20, "sample_steps": 4, "warmup": 1}


@pytest.fixture(scope="module")
def trained(tiny, tiny_recipe, tmp_path_factory):
    return fit(tiny_recipe("ddpm", **WIDE), tiny, tmp_path_factory.mktemp("runs") / "ddpm", steps=2)


def twins(path, leaf):
    """The second half of each group's middle channels made a copy of the first, which nothing reads."""
    name, half = name_of(path).split(".")[-2:], 2
    if name[0] in ("conv1", "norm2", "film"):
        cells = np.array(leaf).reshape(*leaf.shape[:-1], -1, 2 * half)  # a row for each group, film's two in turn
        return np.concatenate([cells[..., :half], cells[..., :half]], axis=-1).reshape(leaf.shape)
    if name == ["conv2", "kernel"]:
        leaf = np.array(leaf) + 0.01
        leaf[:, :, np.arange(leaf.shape[2]) % (2 * half) >= half] = 0
    return leaf


def test_channels_that_say_nothing_go_without_a_trace(trained, tmp_path):
    params = {group: jax.tree_util.tree_map_with_path(twins, tree) for group, tree in trained.params.items()}
    run = Run(trained.path, trained.config)
    run.__dict__["params"] = params  # in the place of what is read from disk
    prune(run, tmp_path / "half.safetensors", channels=0.5, numbers="fp32")
    half = open_run(tmp_path / "half.safetensors")
    before, after = (sum(leaf.size for leaf in jax.tree.leaves(at)) for at in (params, half.params))
    assert after < 0.7 * before and half.recipe.method.inner == 0.5
    pictures = [sample(at, 4, seed=1)[0].astype(int) for at in (run, half)]
    assert np.abs(pictures[0] - pictures[1]).max() <= 1


def test_what_is_kept_matters_most_in_each_group():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(3, 3, 5, 32)), rng.normal(size=(3, 3, 32, 32))
    first[..., ::4] *= 10  # the first of each group of four
    kept = kept_channels(first, second, 0.5)
    assert len(kept) == 16 and (np.bincount(kept // 4, minlength=GROUPS) == 2).all()
    assert set(range(0, 32, 4)) <= set(kept) and (np.diff(kept) > 0).all()
    np.testing.assert_array_equal(kept_channels(first, second, 1.0), np.arange(32))


def test_the_smallest_weights_are_zero_and_no_output_is_emptied(trained):
    found = without_weights(trained.params, 0.6)
    kernels = {name: np.asarray(leaf) for name, leaf in named(found).items() if name.endswith("kernel")}
    whole = {name: np.asarray(leaf) for name, leaf in named(trained.params).items()}
    zeros = sum((leaf == 0).sum() for leaf in kernels.values()) / sum(leaf.size for leaf in kernels.values())
    assert zeros == pytest.approx(0.6, abs=0.02)
    for name, leaf in named(found).items():
        leaf, same = np.asarray(leaf), np.asarray(leaf) == whole[name]
        assert same.all() if name not in kernels else (same | (leaf == 0)).all()
    for name in (name for name, leaf in kernels.items() if leaf[..., 0].size > 200):
        lives = [(np.asarray(leaf) != 0).any(axis=tuple(range(leaf.ndim - 1))) for leaf in (whole[name], kernels[name])]
        np.testing.assert_array_equal(*lives)


@pytest.mark.parametrize("dtype", ["float32", "int8", "bfloat16"])
def test_zeros_take_a_bit_each_and_come_back(dtype):
    array = np.random.default_rng(0).integers(-3, 4, (16, 3, 100)) * (
        np.random.default_rng(1).random((16, 3, 100)) < 0.3
    )
    array = np.asarray(jax.numpy.asarray(array, dtype))
    parts = thin("w", array)
    assert len(parts) == 3 and sum(part.nbytes for part in parts.values()) < array.nbytes / 2.2
    np.testing.assert_array_equal(thick(parts)["w"], array)
    dense = np.ones((MANY, 2), np.float32)
    assert list(thin("w", dense)) == ["w"] and thick({"w": dense})["w"] is dense


@pytest.mark.slow
def test_from_a_run_to_a_smaller_one_that_learned_again(trained, tiny, tmp_path, capsys):
    """Through the door: zeros stay zero while the rest learns, in the run and in the file that is made of it."""
    whole, small, again = (tmp_path / f"{name}.safetensors" for name in ("whole", "small", "again"))
    assert main(["export", str(trained.path), "--out", str(whole)]) == 0
    assert main(["prune", str(trained.path), "--weights", "0.7", "--channels", "0.5", "--out", str(small)]) == 0
    assert small.stat().st_size < 0.45 * whole.stat().st_size
    out = tmp_path / "run"
    more = [
        "--from",
        str(small),
        "--steps",
        "2",
        "--set",
        "adapt=sparse",
        "--set",
        "sheet_images=4",
        "--set",
        "batch=8",
    ]
    assert main(["train", "ddpm", str(tiny.path), "--out", str(out), *more]) == 0
    before, after = (named(open_run(at).params["unet"]) for at in (small, out))
    for name, leaf in before.items():
        zero = np.asarray(leaf) == 0
        if name.endswith("kernel"):
            assert (np.asarray(after[name])[zero] == 0).all()
    assert any((np.asarray(after[name]) != np.asarray(leaf)).any() for name, leaf in before.items())
    assert main(["export", str(out), "--out", str(again)]) == 0
    assert again.stat().st_size == pytest.approx(small.stat().st_size, rel=0.1)
    assert sample(open_run(again), 2)[0].shape == (2, 8, 8, 3)


@pytest.mark.parametrize(
    ("shares", "named"),
    [
        ({}, "nothing is left out"),
        ({"channels": 1.0}, "channels=1.0: a share to take out"),
        ({"weights": -0.1}, "weights=-0.1: a share"),
    ],
)
def test_shares_that_are_none(trained, tmp_path, shares, named):
    with pytest.raises(InputError, match=named):
        prune(trained, tmp_path / "x.safetensors", **shares)
    assert not list(tmp_path.iterdir())


def test_what_has_no_such_blocks_is_refused(run, tiny, tiny_recipe, tmp_path):
    with pytest.raises(InputError, match="channels: a vae like .* has no U-Net"):
        prune(run, tmp_path / "x.safetensors", channels=0.5)
    tree = {"conv1": {"kernel": np.zeros((3, 3, 4, 4))}}
    assert thinned(tree, 0.5) is tree
    with pytest.raises(InputError, match="adapt=sparse: keeps the zeros of what a run begins from"):
        fit(tiny_recipe("vae", adapt="sparse"), tiny, tmp_path / "run", steps=1)
