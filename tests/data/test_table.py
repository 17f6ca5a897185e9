import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from prodgen_jax.data.table import read_table
from prodgen_jax.errors import InputError

ROWS = [{"id": "1", "name": "Blue, long"}, {"id": "2", "name": 'A "fine" Zürich bag'}]


def write(tmp_path, data, name="list.csv"):
    path = tmp_path / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


@pytest.mark.parametrize("delimiter", ",;\t|")
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_csv_with_any_delimiter_bom_and_line_end(tmp_path, delimiter, bom, end):
    cells = (["id", "name"], ["1", '"Blue, long"'], ["2", '"A ""fine"" Zürich bag"'])
    lines = [delimiter.join(line) for line in cells]
    table = read_table(write(tmp_path, bom + end.join(lines).encode()))
    assert table.columns == ("id", "name") and table.rows == ROWS and table.numbers == [2, 3]


def test_json_lines_and_parquet_give_the_same_rows(tmp_path):
    json_lines = write(tmp_path, "\n".join(json.dumps(row) for row in ROWS) + "\n", "list.jsonl")
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "list.parquet")
    assert read_table(json_lines).rows == read_table(tmp_path / "list.parquet").rows == ROWS


def test_numbers_and_nothing_become_text(tmp_path):
    columns = {"id": [1.0, 2.0], "price": [1.5, None], "on": [True, False], "tags": [["a"], None]}
    pq.write_table(pa.table(columns), tmp_path / "list.parquet")
    assert read_table(tmp_path / "list.parquet").rows == [
        {"id": "1", "price": "1.5", "on": "True", "tags": '["a"]'},
        {"id": "2", "price": "", "on": "False", "tags": ""},
    ]


def test_rows_of_other_lengths_are_listed_with_their_numbers(tmp_path):
    table = read_table(write(tmp_path, "id,name\n1,a\n\n2,b,c\n3\n4,d\n"))
    assert [row["id"] for row in table.rows] == ["1", "4"] and table.numbers == [2, 6]
    assert [number for number, _ in table.malformed] == [4, 5] and "3 cells" in table.malformed[0][1]


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b"", "empty"),
        (b" \n\n", "empty"),
        (b"id,name\n", "no rows"),
        (b"id,id\n1,2\n", "column 'id' appears twice"),
        (b"id,name\n1,a\n2,\xff\xfe\n", "row 3 is not UTF-8"),
        (b"id,name\n1,a\0\n", "row 2 is not text"),
        (b'id,name\n1,"never closed\n2,b\n', "row 2"),
        (b'{"id": 1}\n{"id": \n', "row 2 is not JSON"),
        (b'{"id": 1}\n[3]\n', "row 2 is not an object"),
        (b"PAR1 damaged", "damaged Parquet"),
        (b"PK\x03\x04 some zip", "a zip or spreadsheet"),
        (b"\xff\xd8\xff\xe0 some photo", "a JPEG picture"),
    ],
)
def test_bad_lists_are_refused_by_name(tmp_path, data, named):
    with pytest.raises(InputError, match="list.csv") as error:
        read_table(write(tmp_path, data))
    assert named in str(error.value)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(InputError, match="none.csv"):
        read_table(tmp_path / "none.csv")
    with pytest.raises(InputError, match="a folder"):
        read_table(tmp_path)
