"""A picture says where it comes from, in words that others read, and the pixels are as before."""

import shutil
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from prodgen_jax.data.images import save_png
from prodgen_jax.data.origin import CHANGED, DETAILS, GENERATED, TYPES, XMP, Origin, read_origin
from prodgen_jax.errors import InputError

RDF, EXT = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}", "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}"
PIXELS = np.random.default_rng(0).integers(0, 256, (8, 6, 3), dtype=np.uint8)


@pytest.mark.parametrize("kind", [GENERATED, CHANGED])
def test_others_read_its_kind_and_we_read_all(kind, tmp_path):
    facts = {"seed": 3, "where": {"type": 'a "quoted" <shoe>'}, "text": "rote Schühe"}
    save_png(tmp_path / "a.png", PIXELS, Origin(kind, facts))
    shutil.copy(tmp_path / "a.png", tmp_path / "renamed.png")
    assert read_origin(tmp_path / "renamed.png") == {"source": kind, **facts}
    with Image.open(tmp_path / "renamed.png") as image:
        packet = image.text[XMP].lstrip("\ufeff")
        np.testing.assert_array_equal(np.asarray(image), PIXELS)
    description = ElementTree.fromstring(packet).find(f"{RDF}RDF/{RDF}Description")
    assert description.get(f"{EXT}DigitalSourceType") == TYPES + kind


def test_what_says_nothing_is_nothing(tmp_path):
    save_png(tmp_path / "a.png", PIXELS)
    Image.fromarray(PIXELS).save(tmp_path / "a.jpg")
    other = Origin().chunks()
    other.add_text(DETAILS, "{not json")
    Image.fromarray(PIXELS).save(tmp_path / "b.png", pnginfo=other)
    for name in ("a.png", "a.jpg", "b.png"):
        assert read_origin(tmp_path / name) is None
    (tmp_path / "c.png").write_bytes(b"nothing")
    with pytest.raises(InputError, match="c.png: not a picture"):
        read_origin(tmp_path / "c.png")
