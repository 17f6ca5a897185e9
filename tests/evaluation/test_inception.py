"""The FID's Inception: as pytorch-fid's with the same weights, from both kinds of file, never without its hash."""

import hashlib
import os
import pickle
import struct
import zlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

from prodgen_jax.data.images import to_signed
from prodgen_jax.errors import InputError
from prodgen_jax.evaluation.evaluate import evaluate
from prodgen_jax.evaluation.inception import fid_report, folded, open_inception
from prodgen_jax.evaluation.sets import frechet_distance
from prodgen_jax.evaluation.torch_file import arrays
from prodgen_jax.nets import inception

SEEN = [7.537877, 0.122164, 0.0, 7.387688, 6.654734, 0.0, 0.66738, 6.836843]  # printed by benchmarks/inception_torch.py
MEAN = 3.759077  # of all 2048, from there too
KERAS = 21_802_784  # numbers in Keras' InceptionV3 without its top, which has no gains
PARTS = ("weight", "bias", "running_mean", "running_var")


def drawn(name, shape):
    """A parameter from its name alone, as in benchmarks/inception_torch.py."""
    rng, part = np.random.default_rng(zlib.crc32(name.encode())), name.rsplit(".", 1)[-1]
    if len(shape) == 4:
        return rng.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape).astype(np.float32)
    if part in ("weight", "running_var"):
        return rng.uniform(0.5, 1.5, shape).astype(np.float32)
    return rng.normal(0, 0.1, shape).astype(np.float32)


@pytest.fixture(scope="module")
def weights():
    """All that a file of PyTorch's holds of the convolutions."""
    found = {}
    for name, (high, wide, cin, cout) in inception.shapes().items():
        found[f"{name}.conv.weight"] = drawn(f"{name}.conv.weight", (cout, cin, high, wide))
        found |= {f"{name}.bn.{part}": drawn(f"{name}.bn.{part}", (cout,)) for part in PARTS}
    return found


@pytest.fixture(scope="module")
def file(weights, tmp_path_factory):
    path = tmp_path_factory.mktemp("inception") / "graph.safetensors"
    save_file(weights, path)
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.slow
def test_it_sees_what_pytorch_fid_sees(weights):
    picture = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), dtype=np.uint8)
    seen = np.asarray(jax.jit(inception.features)(folded(weights, "drawn"), to_signed(picture)))[0]
    np.testing.assert_allclose(seen[:8], SEEN, rtol=2e-4, atol=2e-4)
    assert seen.mean() == pytest.approx(MEAN, rel=1e-5)


def test_the_table_is_the_published_graph():
    shapes = inception.shapes()
    assert len(shapes) == 94
    assert sum(np.prod(shape) + 3 * shape[-1] for shape in shapes.values()) == KERAS


def test_averages_leave_the_padding_out():
    np.testing.assert_allclose(inception.average(jnp.ones((1, 4, 4, 1))), 1)


def test_normalization_is_folded_in(weights):
    """At one pixel of a 1 x 1 convolution: kernel, then (x - mean) / sqrt(variance + 0.001) * gain + shift."""
    name, x = "Conv2d_3b_1x1", np.random.default_rng(1).normal(size=64)
    kernel, bias = folded(weights, "drawn")[name]
    raw = weights[f"{name}.conv.weight"][:, :, 0, 0] @ x
    gain, shift, mean, variance = (weights[f"{name}.bn.{part}"] for part in PARTS)
    wanted = (raw - mean) / np.sqrt(variance + 1e-3) * gain + shift
    np.testing.assert_allclose(x @ kernel[0, 0] + bias, wanted, rtol=1e-4, atol=1e-5)


# --- the file -----------------------------------------------------------------------------------------------------


def test_a_file_is_opened_by_its_hash_alone(file, tmp_path):
    path, sha = file
    with pytest.raises(InputError, match=f"if you trust it: inception={path}@{sha}"):
        open_inception(f"inception={path}")
    with pytest.raises(InputError, match="not what was said"):
        open_inception(f"inception={path}@{'0' * 64}")
    assert open_inception(f"inception={path}@{sha}").file_sha256 == sha
    for said, word in (("inception=", "expected inception=FILE"), ("vgg=x", "expected"), ("inception=no", "no such")):
        with pytest.raises(InputError, match=word):
            open_inception(said)
    other = tmp_path / "other.safetensors"
    save_file({"a": np.zeros(3, np.float32)}, other)
    with pytest.raises(InputError, match=r"Conv2d_1a_3x3\.conv\.weight.* missing"):
        open_inception(f"inception={other}@{hashlib.sha256(other.read_bytes()).hexdigest()}")


def old_torch_file(tensors):
    """Bytes as torch.save wrote them before 1.6: GLOBALs and storages by persistent ids, protocol 2."""

    def text(said):
        return b"X" + struct.pack("<I", len(said)) + said.encode()

    def number(n):
        return b"J" + struct.pack("<i", n)

    body = b"\x80\x02ccollections\nOrderedDict\nq\x00)Rq\x01("
    for key, array in tensors.items():
        kind = b"ctorch\nFloatStorage\n" if array.dtype == np.float32 else b"ctorch\nLongStorage\n"
        stored = b"(" + text("storage") + kind + text(f"s{key}") + text("cpu") + number(array.size) + b"NtQ"
        strides = [int(np.prod(array.shape[i + 1 :])) for i in range(array.ndim)]
        sizes = b"".join(b"(" + b"".join(map(number, part)) + b"t" for part in (array.shape, strides))
        ordered = b"ccollections\nOrderedDict\n)R"
        body += (
            text(key) + b"ctorch._utils\n_rebuild_tensor_v2\n(" + stored + number(0) + sizes + b"\x89" + ordered + b"tR"
        )
    head = [pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})]
    keys = pickle.dumps([f"s{key}" for key in tensors], 2)
    numbers = b"".join(struct.pack("<q", array.size) + array.tobytes() for array in tensors.values())
    return b"".join([*head, body + b"u.", keys, numbers])


def test_torchs_old_files_are_read_without_torch(tmp_path):
    tensors = {"a.weight": np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2), "a.steps": np.array(7)}
    path = tmp_path / "old.pth"
    path.write_bytes(old_torch_file(tensors))
    found = arrays(path)
    assert set(found) == set(tensors)
    for name, array in tensors.items():
        np.testing.assert_array_equal(found[name], array)
    path.write_bytes(old_torch_file(tensors)[:-5])
    with pytest.raises(InputError, match=r"old\.pth: not the weights"):
        arrays(path)


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("blown",)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", pickle.dumps(Bomb(), 2), pickle.dumps(Bomb(), 4)])
def test_nothing_in_a_file_is_run(content, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "odd.pth"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"odd\.pth: not the weights"):
        arrays(path)
    assert not (tmp_path / "blown").exists()


# --- the record ---------------------------------------------------------------------------------------------------


class Plain:
    """Sees the mean of each quarter and nothing else."""

    file_sha256 = "0" * 64

    def features(self, images, bar):
        bar.advance(len(images))
        return np.asarray(images, np.float32).reshape(len(images), 2, 8, 2, 8, 3).mean((2, 4)).reshape(len(images), -1)


def test_the_distance_is_over_what_the_network_sees(prepared, network, fresh):
    record = evaluate(fresh, prepared, network=network, inception=Plain())["fid"]
    assert record["published"] is False and record["reference"] == 400 and record["samples"]["n"] == 400
    seen = fid_report({"reference": prepared.split("test").images, "samples": fresh}, Plain())
    assert record["samples"]["fid"] == pytest.approx(seen["samples"]["fid"])
    assert record["floor"]["fid"] < record["ceiling"]["fid"]
    by_hand = [np.asarray(x) / 1.0 for x in (prepared.split("test").images, fresh)]
    by_hand = [x.reshape(400, 2, 8, 2, 8, 3).mean((2, 4)).reshape(400, -1) for x in by_hand]
    assert seen["samples"]["fid"] == pytest.approx(frechet_distance(*by_hand), rel=1e-3)
