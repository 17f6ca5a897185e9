"""PSNR and SSIM against scikit-image; sets that are no pairs are refused."""

import numpy as np
import pytest
from skimage.color import deltaE_cie76, rgb2lab
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from prodgen_jax.errors import InputError
from prodgen_jax.evaluation.paired import color_error, compare, psnr, ssim


@pytest.fixture
def pictures():
    rng = np.random.default_rng(0)
    a = rng.integers(0, 256, (3, 20, 24, 3), dtype=np.uint8)
    b = (a + rng.normal(0, 20, a.shape)).clip(0, 255).astype(np.uint8)
    return a, b


@pytest.mark.parametrize("divisor", [None, 255])
def test_equals_scikit_image(pictures, divisor):
    a, b = pictures if divisor is None else (p / divisor for p in pictures)
    top = 255 if divisor is None else 1.0
    one = {"channel_axis": -1, "gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    expected = [structural_similarity(x, y, data_range=top, **one) for x, y in zip(a, b, strict=True)]
    assert ssim(a, b) == pytest.approx(expected, abs=1e-5)
    expected = [peak_signal_noise_ratio(x, y, data_range=top) for x, y in zip(a, b, strict=True)]
    assert psnr(a, b) == pytest.approx(expected)


def test_equal_pictures(pictures):
    a, _ = pictures
    assert np.isinf(psnr(a, a)).all() and ssim(a, a) == pytest.approx(1)


def test_color_error_equals_scikit_image(pictures):
    a, b = pictures
    expected = [deltaE_cie76(rgb2lab(x), rgb2lab(y)).mean() for x, y in zip(a, b, strict=True)]
    assert color_error(a, b) == pytest.approx(expected, rel=1e-3)
    black, white = np.zeros((1, 4, 4, 3), np.uint8), np.full((1, 4, 4, 3), 255, np.uint8)
    assert color_error(black, white) == pytest.approx(100, abs=0.01) and color_error(white, white) == 0


def test_one_equal_pair_does_not_decide_the_mean(pictures):
    a, b = pictures
    mixed = np.concatenate([a[:1], b[1:]])
    expected = (10 * np.log10(12 * 255**2) + psnr(a[1:], b[1:]).sum()) / 3
    assert compare(mixed, a, "pqr", "pqr")["psnr_db"] == pytest.approx(expected)


def test_compare_pairs_by_id_whatever_the_order(pictures):
    a, b = pictures
    record = compare(a, b[::-1], ["p", "q", "r"], ["r", "q", "p"])
    expected = {"psnr_db": psnr, "ssim": ssim, "color_error": color_error}
    assert record.pop("n") == 3
    assert record == {name: pytest.approx(measured(a, b).mean()) for name, measured in expected.items()}


@pytest.mark.parametrize("ids", [["p", "q", "s"], ["p", "q", "q"], ["p", "q"]])
def test_unpaired_sets_are_refused(pictures, ids):
    with pytest.raises(InputError):
        compare(*pictures, ["p", "q", "r"], ids)


def test_wrong_pictures_are_refused(pictures):
    a, b = pictures
    for bad in (b[:2], b / 255.0 * 2 - 1, b.astype(int), b[:0], np.full(b.shape, np.nan)):
        with pytest.raises(InputError):
            psnr(a, bad)
    with pytest.raises(InputError, match="11"):
        ssim(a[:, :8], b[:, :8])
