"""Near-duplicates: photos that are copies of each other but for compression, size or a shade.

Two photos are linked if their perceptual hashes are equal, or if the hashes differ in at most `BITS` of 64 and the
pictures by at most `DIFFERENCE` of their contrast. The second test is needed since goods on a white ground look alike
to any hash: in a real catalogue of 36,000 photos, hashes within 6 bits alone chain 19,600 photos into one cluster; with
the test the largest has 75.
"""

import numpy as np
from jaxtyping import Int, UInt8, UInt64
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

BITS = 6
DIFFERENCE = 0.12
LOW = 8  # the hash keeps the 8 x 8 lowest frequencies
CHUNK = 256  # photos compared with all others at a time
LUMA = np.array([19595, 38470, 7471], np.uint32)  # ITU-R 601 in 1/65536, rounded as Pillow rounds it


def perceptual_hash(thumbs: UInt8[np.ndarray, "n s s 3"]) -> UInt64[np.ndarray, "n"]:
    """pHash (Zauner 2010): signs of the low DCT frequencies against their median; equals `imagehash.phash`."""
    side = thumbs.shape[1]
    k, x = np.arange(LOW)[:, None], np.arange(side)[None]
    basis = np.cos(np.pi * k * (2 * x + 1) / (2 * side))  # DCT-II, its lowest rows
    hashes = np.empty(len(thumbs), np.uint64)
    for start in range(0, len(thumbs), 4096):
        gray = (thumbs[start : start + 4096] @ LUMA + 0x8000) >> 16
        low = (basis @ gray.astype(np.float64) @ basis.T).reshape(-1, LOW * LOW)
        bits = low > np.median(low, axis=1, keepdims=True)
        hashes[start : start + 4096] = np.packbits(bits, axis=1).view(">u8").ravel()
    return hashes


def near_pairs(
    thumbs: UInt8[np.ndarray, "n s s 3"],
    hashes: UInt64[np.ndarray, "n"],
    bits: int = BITS,
    difference: float = DIFFERENCE,
) -> Int[np.ndarray, "pairs 2"]:
    """All linked pairs (i, j).

    |contrast(a) - contrast(b)| <= |a - b|, so pictures in order of contrast need to be compared only within a window.
    """
    flat = thumbs.reshape(len(thumbs), -1)
    contrast = np.concatenate([c.std(axis=1, dtype=np.float32) for c in np.array_split(flat, len(flat) // 4096 + 1)])
    order = np.argsort(contrast, kind="stable")
    contrast, codes = contrast[order], hashes[order]
    # r - 1 <= difference * sqrt(r) bounds the ratio r of two linked pictures' contrasts
    widest = ((difference + np.sqrt(difference**2 + 4)) / 2) ** 2
    ends = np.searchsorted(contrast, contrast * widest * (1 + 1e-6), side="right")
    found = [_equal_pairs(hashes)]
    for start in range(0, len(codes), CHUNK):
        stop = min(start + CHUNK, len(codes))
        window = slice(start, ends[stop - 1])
        i, j = np.nonzero(np.bitwise_count(codes[start:stop, None] ^ codes[None, window]) <= bits)
        i, j = i[i < j] + start, j[i < j] + start
        apart = _rms(flat, order[i], order[j])
        linked = apart <= difference * np.sqrt(contrast[i] * contrast[j])
        found.append(np.stack([order[i[linked]], order[j[linked]]], axis=1))
    return np.concatenate(found)


def clusters(n: int, pairs: Int[np.ndarray, "pairs 2"]) -> Int[np.ndarray, "n"]:
    """A number per item, equal for items that chains of pairs connect."""
    links = coo_matrix((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    return connected_components(links, directed=False)[1]


def _equal_pairs(hashes: np.ndarray) -> np.ndarray:
    """Neighbors in sorted order with the same hash: enough to chain all that share one."""
    order = np.argsort(hashes, kind="stable")
    same = np.nonzero(hashes[order[1:]] == hashes[order[:-1]])[0]
    return np.stack([order[same], order[same + 1]], axis=1)


def _rms(flat: np.ndarray, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    apart = np.empty(len(i), np.float32)
    for start in range(0, len(i), 4096):
        part = slice(start, start + 4096)
        d = flat[i[part]].astype(np.float32) - flat[j[part]]
        apart[part] = np.sqrt(np.einsum("nd,nd->n", d, d) / flat.shape[1])
    return apart
