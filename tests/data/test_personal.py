"""Personal data is found by its form, codes and sizes are left alone, and none of it reaches a prepared set."""

import csv
import json

import pytest
from PIL import Image

from prodgen_jax.data.personal import without_personal
from prodgen_jax.data.prepare import prepare

FOUND = [
    ("Ask anna.b+x@shop.example.com first", "Ask first", ["e-mail address"]),
    ("Ring +49 (0)30 1234567 today", "Ring today", ["telephone number"]),
    ("Ring (030) 123 4567", "Ring", ["telephone number"]),
    ("Ring 555-123-4567", "Ring", ["telephone number"]),
    ("paid with 4111 1111 1111 1111", "paid with", ["card number"]),  # a test number that passes Luhn's check
    ("to DE89 3704 0044 0532 0130 00", "to", ["IBAN"]),  # ISO 13616's own example
    ("a@b.de or +1 555 123 4567", "or", ["e-mail address", "telephone number"]),
]
LEFT = [
    "Nike Air 314192-117 shoe",
    "Size 10 12 14, 100% cotton, 3000 4000",
    "EAN 4006381333931",
    "code 1234-5678-9012-3456",  # fails Luhn's check
    "to DE90 3704 0044 0532 0130 00",  # fails ISO 13616's
    "Men @ Work  tee, 2012-2013",
]


@pytest.mark.parametrize(("text", "left", "kinds"), FOUND)
def test_what_is_found_is_taken_out(text, left, kinds):
    assert without_personal(text) == (left, kinds)


@pytest.mark.parametrize("text", LEFT)
def test_codes_and_sizes_stay_as_they_are(text):
    assert without_personal(text) == (text, [])


def test_none_of_it_reaches_a_prepared_set(shop, photo, packed, tmp_path):
    """Neither what stands in the list nor what a camera wrote into the photo, and what was done is listed."""
    table = shop(24, rows=[["px", "px.jpg", "shoe", "red", "Slippers, ask jo@example.com"]])
    camera = Image.Exif()
    camera[0x013B], camera[0x8825] = "Jo Photographer", {2: (52.0, 31.0, 12.0)}  # who took it, and where
    (table.parent / "images" / "px.jpg").write_bytes(packed(photo(70), "JPEG", exif=camera))
    made = prepare(table, tmp_path / "out", validation=0.1, test=0.1)
    everything = b"".join(file.read_bytes() for file in made.path.rglob("*") if file.is_file())
    for secret in ("jo@example.com", "Jo Photographer", "Exif"):
        assert secret.encode() not in everything and secret.encode("utf-32-le") not in everything
    assert any("Slippers, ask" in str(text) for part in made.splits for text in made.split(part).text)
    assert json.loads((made.path / "audit.json").read_text())["personal"] == {"e-mail address": 1}
    with open(made.path / "audit.csv", newline="") as file:
        (line,) = [row for row in csv.DictReader(file) if row["reason"] == "personal data removed"]
    assert line["id"] == "px" and line["row"] == "26" and "e-mail address in column 'name'" in line["detail"]
