"""Reading and validating tables of pairs."""

import csv
import logging

import pandas as pd
import pytest

from entailment.configuration.task import Task
from entailment.data.pairs import content_hash, pair_hashes, read_pairs
from entailment.errors import DataError
from entailment.task import ID, PAIR_COLUMNS, TEXT

ROW = ["1375936088968200205", "one", "https://x/a.jpg", "2", "two", "https://x/b.png", "Implies"]


GOOD = '1,"a ""b"", \\",,2,b,,Implies\n'
"""With doubled quotation marks, a comma, and a backslash at the end of a text."""


def table_of(rows):
    return (",".join(PAIR_COLUMNS) + "\n" + rows).encode()


def write(path, rows, header=PAIR_COLUMNS, encoding="utf-8"):
    frame = pd.DataFrame(rows, columns=range(len(header)))
    frame.to_csv(path, index=False, header=list(header), encoding=encoding)
    return path


def read(path, **options):
    return read_pairs(path, Task(), max_text_bytes=1000, **options)


def test_ids_stay_exact_and_odd_texts_stay_themselves(tmp_path):
    rows = [ROW, ["007", "NA", "", "9" * 19, 'null, "quoted"\nnew line 🌉', "", "Contradictory"]]
    frame = read(write(tmp_path / "p.csv", rows))
    assert frame["id_1"].tolist() == ["1375936088968200205", "007"]
    assert frame["id_2"].tolist() == ["2", "9" * 19]
    assert frame["text_1"].tolist() == ["one", "NA"]
    assert frame["text_2"].tolist()[1] == 'null, "quoted"\nnew line 🌉'
    assert frame["label_index"].tolist() == [1, 0]


ODD = {
    "texts that pandas takes for missing": (
        "1,nan,,2,NA,,Implies\nnan,null,,NULL,None,,Implies\n3,<NA>,,4,#N/A,,Implies\n",
        [["nan", "NA"], ["null", "None"], ["<NA>", "#N/A"]],
    ),
    "formulas and numbers": (
        "1,=1+1,,2,+49,,Implies\n3,-5,,4,@x,,Implies\n5,1e400,,6,007,,Implies\n",
        [["=1+1", "+49"], ["-5", "@x"], ["1e400", "007"]],
    ),
    "blank lines and mixed ends of lines": (
        "1,a,,2,b,,Implies\r\n\n \t\n3,c,,4,d,,Implies\r5,e,,6,f,,Implies",
        [["a", "b"], ["c", "d"], ["e", "f"]],
    ),
    "ends of lines and marks inside": (
        '1,"a\r\nb\rc\n",,2,"\u2028, ""\x85",,Implies\n3, \'d\' ,,4,a "b" c,,Implies\n',
        [["a\r\nb\rc\n", '\u2028, "\x85'], [" 'd' ", 'a "b" c']],
    ),
    "odd ids": (
        f"../x,a,,a/b,b,,Implies\n😀,c,,{'9' * 5000},d,,Implies\n1_000,e,,0x10,f,,Implies\n-1,g,,+1,h,,Implies\n",
        [["a", "b"], ["c", "d"], ["e", "f"], ["g", "h"]],
    ),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_tables_are_read_as_they_are(tmp_path, name):
    rows, expected = ODD[name]
    path = tmp_path / "p.csv"
    path.write_bytes(b"\n" + table_of(rows))
    frame = read(path)
    assert frame[[*TEXT]].to_numpy().tolist() == expected
    assert frame["label"].eq("Implies").all()
    if name == "odd ids":
        assert frame[[*ID]].to_numpy().tolist() == [[row[0], row[3]] for row in csv.reader(rows.splitlines())]


def test_a_byte_order_mark_and_other_columns_do_no_harm(tmp_path):
    path = write(tmp_path / "p.csv", [[*ROW, "x"]], (*PAIR_COLUMNS, "note"), encoding="utf-8-sig")
    assert list(read(path).columns) == [*PAIR_COLUMNS, "label_index"]


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("label", "Maybe", "row 2, column label: must be one of Contradictory, Implies, NoEntailment"),
        ("text_1", "", "row 2, column text_1: must not be empty"),
        ("id_2", "", "row 2, column id_2: must not be empty"),
        (
            "id_1",
            "1.37594E+18",
            "row 2, column id_1: must be the whole number: a spreadsheet made this of it",
        ),
        ("id_2", "1,33E+18", "a spreadsheet made this of it; export the column as text"),
        ("id_2", "1330800194863190016.0", "a spreadsheet made this of it"),
        ("text_1", " \t\u200b\ufeff", "row 2, column text_1: must not be empty"),
        ("text_2", "\u2060 ", "row 2, column text_2: must not be empty"),
        ("text_2", "\u3000\xa0\xad\ufe0f\u3164", "row 2, column text_2: must not be empty"),
        ("text_1", "a\0b", r"row 2, column text_1: must hold no NUL character. Received: 'a\x00b'"),
        ("id_2", "7\0", "row 2, column id_2: must hold no NUL character"),
        ("image_1", "\0", "row 2, column image_1: must hold no NUL character"),
        ("text_2", "x" * 5_000_000, "must be at most 1000 bytes (ingest.max_text_bytes)"),
        ("text_2", "é" * 501, "must be at most 1000 bytes"),
    ],
)
def test_wrong_values_are_named_by_row_and_column(tmp_path, column, value, expected):
    wrong = [value if name == column else old for name, old in zip(PAIR_COLUMNS, ROW, strict=True)]
    with pytest.raises(DataError) as caught:
        read(write(tmp_path / "p.csv", [ROW, wrong]))
    assert expected in str(caught.value)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("value", ["12e34567", "7e", "1330800194863190016", "0x1E+5", "a1.0"])
def test_ids_that_only_look_like_rounded_numbers_are_taken(tmp_path, value):
    assert read(write(tmp_path / "p.csv", [[value, *ROW[1:]]]))["id_1"].item() == value


def test_faults_are_in_the_order_of_the_file_and_the_rest_is_counted(tmp_path):
    wrong = ["1.2E+18", "", "", "", "x" * 2000, "", "Maybe"]
    with pytest.raises(DataError) as caught:
        read(write(tmp_path / "p.csv", [[*ROW[:-1], "maybe"], ROW, wrong, wrong]))
    first, *faults, more = str(caught.value).splitlines()
    assert first.endswith("p.csv has 11 wrong value(s):") and more == "... and 6 more"
    assert [fault.split(": ")[0] for fault in faults] == [
        "  row 1, column label",
        *(f"  row 3, column {name}" for name in ("id_1", "text_1", "id_2", "text_2")),
    ]
    assert faults[0].endswith(
        "must be one of Contradictory, Implies, NoEntailment (task.labels). Received: 'maybe'"
    )
    assert faults[-1].endswith(f"Received: '{'x' * 40}... (2000 bytes)'")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is empty"),
        (",".join(PAIR_COLUMNS).encode(), "no rows"),
        (b"id_1,text_1\n1,2\n", "lacks the column(s) image_1"),
        ((",".join(PAIR_COLUMNS) + ",label\n" + "1,2,3,4,5,6,7,8\n").encode(), "label more than once"),
        (
            (",".join(PAIR_COLUMNS) + "\n1,caf\xe9,,2,b,,Implies\n").encode("latin-1"),
            "is not UTF-8 (line 2",
        ),
        (table_of("").decode().encode("utf-16"), "is UTF-16 or UTF-32, not UTF-8: save it as UTF-8"),
        (table_of("").decode().encode("utf-16-le"), "is UTF-16 or UTF-32, not UTF-8: save it as UTF-8"),
        (table_of("").decode().encode("utf-16-be"), "is UTF-16 or UTF-32, not UTF-8: save it as UTF-8"),
        (
            table_of("").replace(b",", b"\t"),
            r"separated by tabs, not by commas. Save it as CSV with commas, or",
        ),
        (
            b"\xef\xbb\xbf" + table_of("").replace(b",", b";"),
            "p.csv', sep=';', dtype=str, keep_default_na=False).to_csv('",
        ),
        (
            table_of("").replace(b"id_1", b"id_1 "),
            "lacks the column(s) id_1. Its first row has: 'id_1 ', 'text_1',",
        ),
        (b"\x1f\x8b\x08\x00", "is a gzip archive: unpack it"),
        (table_of("1,2,3,4,5,6,7,8,9\n"), "row 1, has 9 fields, but there are 7 columns"),
        (table_of(GOOD + "\n \t\n" + GOOD.strip() + ",\n"), "row 2, has 8 fields, but there are 7 columns"),
        (table_of('1,"open quote'), "row 1, is no CSV that can be read"),
        (table_of(GOOD + r'1,"say \"hi\"",,2,b,,Implies'), r'each is doubled (""), not written \"'),
        (table_of(GOOD + r'1,"\"",,2,"b",,Implies'), "row 2, is no CSV"),
        (table_of(GOOD + '1,"a" b,,2,b,,Implies'), "row 2, is no CSV"),
        (b"\x00\x01\x02\x03", "lacks the column"),
        (table_of("").decode().encode("utf-32"), "is UTF-16 or UTF-32, not UTF-8"),
        (b"# made by hand\n" + table_of(GOOD), "Its first row has: '# made by hand'."),
        (b"BZh91AY&SY", "is a packed file: unpack it"),
        (b"PAR1\x15\x04", "is a Parquet file: export it as CSV"),
        (b'[{"id_1": "' + b"x" * 200_000, "is JSON, not CSV: export it as CSV"),
        (b"<!doctype html>", "is a web page or XML, not CSV"),
        (table_of("1,a,,2\n"), "row 1, column label: must be one of"),
    ],
)
def test_broken_files_are_named(tmp_path, content, expected):
    path = tmp_path / "p.csv"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read(path)
    assert expected in str(caught.value)
    assert str(path) in str(caught.value)


def test_quotation_marks_and_long_texts_are_read_as_they_are(tmp_path):
    path = tmp_path / "p.csv"
    path.write_bytes(table_of(GOOD + "\n" + GOOD.replace("1,", "3,", 1).replace("a ", "a" * 200_000)))
    texts = read_pairs(path, Task(), max_text_bytes=10**6)["text_1"].tolist()
    assert texts == ['a "b", \\', "a" * 200_000 + '"b", \\']


@pytest.mark.parametrize(
    ("inputs", "columns"),
    [
        ("image", ["id_1", "image_1", "id_2", "image_2", "label"]),
        ("text", ["id_1", "text_1", "id_2", "text_2", "label"]),
    ],
)
def test_only_what_a_model_is_to_see_must_be_there(tmp_path, inputs, columns):
    row = dict(zip(PAIR_COLUMNS, ROW, strict=True))
    path = write(tmp_path / "p.csv", [[row[name] for name in columns]], columns)
    frame = read(path, inputs=inputs)
    assert list(frame.columns) == [*PAIR_COLUMNS, "label_index"]
    assert frame.iloc[0].to_dict() == {
        name: row[name] if name in columns else "" for name in PAIR_COLUMNS
    } | {"label_index": 1}
    with pytest.raises(DataError, match="lacks the column"):
        read(path)


def test_texts_are_not_judged_where_a_model_sees_none(tmp_path):
    path = write(tmp_path / "p.csv", [[*ROW[:4], "x" * 2000, *ROW[5:]], [*ROW[:1], " ", *ROW[2:]]])
    assert read(path, inputs="image")["text_1"].tolist() == ["one", " "]
    with pytest.raises(DataError, match="2 wrong value"):
        read(path)


def test_further_kinds_are_not_judged_where_a_model_sees_none(tmp_path):
    rule = {"numbers": (r"\d+", "a number")}
    for columns, kept in ((("numbers_1", "numbers_2"), True), (("numbers_1",), False)):
        path = write(tmp_path / "p.csv", [[*ROW, *["zz"] * len(columns)]], [*PAIR_COLUMNS, *columns])
        frame = read(path, inputs="text", further=rule)
        assert ("numbers_1" in frame) is kept  # a champion may see it
        for inputs in ("numbers", "multimodal"):
            with pytest.raises(DataError, match=r"must be a number|must have numbers_1 and numbers_2"):
                read(path, inputs=inputs, further=rule)


def test_an_absent_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(DataError, match="There is no file"):
        read(tmp_path / "absent.csv")
    with pytest.raises(DataError, match="is a folder"):
        read(tmp_path)


def test_equal_rows_of_one_pair_warn(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        assert len(read(write(tmp_path / "p.csv", [ROW, [*ROW[:2], "", *ROW[3:]], ROW]))) == 3
    assert "repeats 1 pair(s), first in row 1" in caplog.text


@pytest.mark.parametrize(
    ("column", "value", "told"),
    [
        ("label", "Contradictory", "label is 'Implies' in row 2 and 'Contradictory' in row 4"),
        ("text_2", "three", "text_2 is 'two' in row 2 and 'three' in row 4"),
        (
            "image_1",
            "https://x/c.jpg",
            "image_1 is 'https://x/a.jpg' in row 2 and 'https://x/c.jpg' in row 4",
        ),
        ("numbers_1", "5", "numbers_1 is '4' in row 2 and '5' in row 4"),
    ],
)
def test_rows_of_one_pair_that_contradict_each_other_are_refused(tmp_path, column, value, told):
    columns, rule = [*PAIR_COLUMNS, "numbers_1", "numbers_2"], {"numbers": (r"\d+", "a number")}
    row = dict(zip(columns, [*ROW, "4", ""], strict=True))
    rows = [row | {"id_1": "7"}, row, row, row | {column: value}]
    path = write(tmp_path / "p.csv", [list(row.values()) for row in rows], columns)
    with pytest.raises(DataError) as caught:
        read(path, further=rule)
    first, line, cure = str(caught.value).splitlines()
    assert first.endswith("p.csv has 1 pair(s) of ids whose rows contradict each other:")
    assert line == f"  id_1 '1375936088968200205', id_2 '2': {told}" and "Keep the right row" in cure
    # What a model does not see is not judged, and `add` has a rule of its own.
    unseen = "image" if column.startswith("text") else "text"
    if column != "label":
        assert len(read(path, further=rule, inputs=unseen)) == 4
    assert len(read(path, further=rule, repeats=False)) == 4


def test_of_long_texts_what_differs_is_shown(tmp_path):
    rows = [[*ROW[:1], "x" * 300 + end + "y" * 300, *ROW[2:]] for end in "ab"] * 7
    with pytest.raises(DataError) as caught:
        read(write(tmp_path / "p.csv", [[f"{row // 2}", *rows[row][1:]] for row in range(14)]))
    _, line, *_, more, _ = str(caught.value).splitlines()
    assert line == "  id_1 '0', id_2 '2': " + (
        f"text_1 is '...{'x' * 20}a{'y' * 19}... (601 bytes)' in row 1 and '...{'x' * 20}b{'y' * 19}... (601 bytes)'"
        " in row 2"
    )
    assert more == "... and 2 more"


def test_the_content_hash_sees_every_value_and_the_order():
    frame = pd.DataFrame({"a": ["x", "yz"], "b": ["1", "2"]})
    moved = pd.DataFrame({"a": ["xy", "z"], "b": ["1", "2"]})
    assert content_hash(frame) == content_hash(frame.copy())
    assert len({content_hash(f) for f in (frame, moved, frame[::-1], frame[["b", "a"]])}) == 4


def test_the_content_hash_is_of_values_alone():
    frame = pd.DataFrame({"a": ["x", "", "y\0z", "é 🌉", "w"], "n": range(5)}).astype({"a": "str"})
    expected = content_hash(frame)
    assert content_hash(frame.astype({"a": object})) == expected
    pieces = pd.concat([frame[:2], frame[2:4], frame[4:]])
    assert pieces["a"].array._pa_array.num_chunks == 3
    assert content_hash(pieces) == expected
    assert content_hash(frame.iloc[[0, 0, 1, 2, 3, 4]].iloc[1:]) == expected
    assert content_hash(frame.assign(a=["x", "y", "\0z", "é 🌉", "w"])) != expected


def test_many_rows_are_hashed_like_few(monkeypatch):
    frame = pd.DataFrame({"id_1": list("abcde"), "id_2": list("vwxyz")}, dtype="str")
    expected = pair_hashes(frame).tolist()
    monkeypatch.setattr("entailment.data.pairs._ROWS_AT_ONCE", 2)
    assert pair_hashes(frame).tolist() == expected
    assert content_hash(frame) != content_hash(frame.assign(id_2=list("vwxyy")))


def test_pair_hashes_depend_on_ids_alone():
    frame = pd.DataFrame({"id_1": ["1", "12"], "id_2": ["23", "3"], "text_1": ["a", "b"]})
    first, second = pair_hashes(frame)
    assert first != second and len(first) == 16
    assert pair_hashes(frame.assign(text_1="c")).tolist() == [first, second]
