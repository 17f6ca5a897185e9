import zipfile

import pytest

from prodgen_jax.data.clean import BadPhoto
from prodgen_jax.data.photos import beside, open_photos
from prodgen_jax.errors import InputError

FILES = {"images/a.jpg": b"one", "images/b.JPG": b"two", "other/a.jpg": b"three", "notes.txt": b"text",
         "__MACOSX/a.jpg": b"junk", "images/.hidden.jpg": b"junk"}  # fmt: skip


@pytest.fixture(params=["folder", "zip"])
def photos(request, tmp_path):
    if request.param == "folder":
        for name, data in FILES.items():
            (tmp_path / "p" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "p" / name).write_bytes(data)
        return open_photos(tmp_path / "p")
    with zipfile.ZipFile(tmp_path / "p.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in FILES.items():
            archive.writestr(name, data)
    return open_photos(tmp_path / "p.zip")


def test_photos_are_found_by_path_by_name_and_by_stem(photos):
    find = photos.finder()
    assert photos.fetch(find("other/a.jpg")) == b"three"
    assert find("b.JPG") == find("b") == find("images\\b.JPG") == find("elsewhere/b.JPG") == "images/b.JPG"
    assert photos.pictures() == {"images/a.jpg", "images/b.JPG", "other/a.jpg"}


def test_missing_and_ambiguous_names(photos):
    find = photos.finder()
    for cell in ("", "c.jpg", "../../etc/passwd"):
        with pytest.raises(BadPhoto) as bad:
            find(cell)
        assert bad.value.reason == "missing photo"
    with pytest.raises(BadPhoto) as bad:
        find("a.jpg")
    assert bad.value.reason == "ambiguous photo name" and "other/a.jpg" in bad.value.detail


@pytest.mark.parametrize("member", ["../x.jpg", "a/../../x.jpg", "/etc/x.jpg", "C:/x.jpg"])
def test_unsafe_members_are_refused_by_name(tmp_path, member):
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        archive.writestr(member, b"x")
    with pytest.raises(InputError) as error:
        open_photos(tmp_path / "p.zip")
    assert member in str(error.value) and "p.zip" in str(error.value)


def test_what_is_no_archive_is_refused(tmp_path):
    (tmp_path / "p.zip").write_bytes(b"not a zip")
    for place in ("p.zip", "nowhere"):
        with pytest.raises(InputError, match=place):
            open_photos(tmp_path / place)


def test_a_damaged_member_is_one_bad_photo(tmp_path):
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        archive.writestr("a.jpg", b"some bytes of a photo")
    data = (tmp_path / "p.zip").read_bytes()
    (tmp_path / "p.zip").write_bytes(data.replace(b"some bytes", b"SOME bytes", 1))
    with pytest.raises(BadPhoto) as bad:
        open_photos(tmp_path / "p.zip").fetch("a.jpg")
    assert bad.value.reason == "corrupt photo"


def test_the_mark_follows_the_contents(tmp_path):
    marks = []
    for data in (b"one", b"one", b"two"):
        with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
            archive.writestr("a.jpg", data)
        marks.append(open_photos(tmp_path / "p.zip").mark)
    assert marks[0] == marks[1] != marks[2]


def test_photos_beside_the_list(tmp_path):
    assert beside(tmp_path / "list.csv") == tmp_path
    (tmp_path / "images").mkdir()
    assert beside(tmp_path / "list.csv") == tmp_path / "images"
