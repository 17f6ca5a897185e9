import pytest

from prodgen_jax.data.columns import find_columns, known
from prodgen_jax.data.table import Table
from prodgen_jax.errors import InputError


def table(**columns):
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return Table("list.csv", tuple(columns), rows, list(range(2, len(rows) + 2)))


def products(n=40, **more):
    return table(
        **{"SKU": [f"k{i}" for i in range(n)], "File Name": [f"{i}.jpg" for i in range(n)]},
        Title=[f"Nice thing {i}" for i in range(n)],
        parent_id=[f"g{i // 2}" for i in range(n)],
        colour=["red", "blue"] * (n // 2),
        year=["2011", "2012"] * (n // 2),
        **more,
    )


def test_usual_names_are_found_and_described():
    columns = find_columns(products(comment=[f"free text {i}" for i in range(40)]))
    assert (columns.id, columns.image, columns.text, columns.group) == ("SKU", "File Name", "Title", "parent_id")
    assert columns.attributes == ("colour",)  # a year is a number, a comment is free text
    assert all(name in columns.describe() for name in ("SKU", "File Name", "Title", "parent_id", "colour"))


def test_named_columns_win():
    columns = find_columns(products(), id_column="Title", attributes=["year", "colour", "year"])
    assert columns.id == "Title" and columns.attributes == ("year", "colour")


def test_contents_tell_where_names_do_not():
    odd = table(a=["x", "y"] * 8, b=[f"q{i}" for i in range(16)], c=[f"dir/{i}.PNG" for i in range(16)])
    columns = find_columns(odd)
    assert (columns.id, columns.image, columns.text, columns.group) == ("b", "c", None, None)
    assert columns.attributes == ("a",)
    assert find_columns(table(id=["1", "2"], kind=["a", "a"])).image is None


def test_a_group_of_few_values_is_a_category():
    columns = find_columns(products(n=40, group=["men", "women"] * 20))
    assert columns.group == "parent_id" and "group" not in columns.attributes  # reserved name


@pytest.mark.parametrize("argument", ["id_column", "image_column", "text_column", "group_column"])
def test_unknown_columns_are_named_with_the_known_ones(argument):
    with pytest.raises(InputError, match="no column 'prise'.*SKU, File Name"):
        find_columns(products(), **{argument: "prise"})


def test_unknown_and_unusable_attributes():
    with pytest.raises(InputError, match="no column 'prise'"):
        find_columns(products(), attributes=["colour", "prise"])
    with pytest.raises(InputError, match="cannot be called 'a/b'"):
        find_columns(products(**{"a/b": ["x"] * 40}), attributes=["a/b"])


def test_a_list_without_ids_is_refused():
    with pytest.raises(InputError, match="id_column.*kind"):
        find_columns(table(kind=["a", "a", "b", "b"]))


def test_empty_cells_say_nothing():
    assert [known(cell) for cell in ("", "NA", "nan", "N/A", "None", " a  b ")] == ["", "", "", "", "None", "a b"]
