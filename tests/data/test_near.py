import imagehash
import numpy as np
from PIL import Image

from prodgen_jax.data.clean import decode, examine
from prodgen_jax.data.near import BITS, DIFFERENCE, clusters, near_pairs, perceptual_hash


def thumbs_of(images):
    return np.stack([examine(image, 32).thumb for image in images])


def linked(thumbs):
    return {tuple(sorted(pair)) for pair in near_pairs(thumbs, perceptual_hash(thumbs)).tolist()}


def test_hash_equals_imagehash(photo):
    thumbs = thumbs_of([photo(i) for i in range(60)])
    wanted = [int(str(imagehash.phash(Image.fromarray(thumb))), 16) for thumb in thumbs]
    assert perceptual_hash(thumbs).tolist() == wanted


def test_copies_are_linked_and_others_are_not(photo, packed):
    originals = [photo(i, 96, 128) for i in range(12)]
    copies = [decode(packed(image, quality=50), 32) for image in originals]
    shrunk = [image.resize((72, 96), Image.Resampling.LANCZOS) for image in originals]
    found = linked(thumbs_of(originals + copies + shrunk))
    groups = clusters(36, np.array(sorted(found)))
    assert all(groups[i] == groups[i + 12] == groups[i + 24] for i in range(12))
    assert len(set(groups)) == 12


def test_like_silhouettes_are_not_copies():
    """Goods of one kind on white: near for the hash, apart in their pixels."""

    def shirt(color, print_):
        image = Image.new("RGB", (64, 64), "white")
        image.paste(color, (16, 12, 48, 56))
        image.paste(print_, (28, 30, 36, 38))
        return image

    thumbs = thumbs_of([shirt("#802020", "#a05050"), shirt("#205030", "#70a070")])
    first, second = perceptual_hash(thumbs)
    assert 0 < np.bitwise_count(first ^ second) <= BITS and linked(thumbs) == set()


def test_the_windowed_search_finds_what_brute_force_finds():
    rng = np.random.default_rng(0)
    base = rng.integers(0, 256, (150, 1, 1, 3)) * np.ones((1, 32, 32, 1)) + rng.normal(0, 40, (150, 32, 32, 3))
    noise = rng.normal(0, 1, (150, 32, 32, 3)) * rng.uniform(0, 12, (150, 1, 1, 1))
    thumbs = np.concatenate([base, base + noise]).clip(0, 255).astype(np.uint8)
    hashes = perceptual_hash(thumbs)
    flat = thumbs.reshape(300, -1).astype(np.float64)
    contrast = flat.std(axis=1)
    wanted = set()
    for i in range(300):
        for j in range(i + 1, 300):
            near = np.bitwise_count(hashes[i] ^ hashes[j]) <= BITS
            apart = np.sqrt(((flat[i] - flat[j]) ** 2).mean())
            if hashes[i] == hashes[j] or (near and apart <= DIFFERENCE * np.sqrt(contrast[i] * contrast[j])):
                wanted.add((i, j))
    assert 20 < len(wanted) < 150 and linked(thumbs) == wanted


def test_chains_make_one_cluster():
    numbers = clusters(6, np.array([[0, 1], [1, 2], [4, 5]]))
    assert numbers[0] == numbers[1] == numbers[2] != numbers[3] != numbers[4] == numbers[5]
    assert len(set(clusters(3, np.zeros((0, 2), int)))) == 3
