"""Progress where standard error is no terminal: nothing of short work, whole lines of long work."""

from entailment import progress


def work(rows, shown=True):
    with progress.progress_bar(rows, unit="row", what="rows", shown=shown) as bar:
        for _ in range(rows):
            bar.update()


def test_short_work_says_nothing(capsys):
    work(100)
    assert capsys.readouterr() == ("", "")


def test_long_work_gives_lines(capsys, monkeypatch):
    monkeypatch.setattr(progress, "_SECONDS", 0)
    work(4)
    out, err = capsys.readouterr()
    lines = [line for line in err.replace("\r", "").splitlines() if line.strip()]
    assert out == "" and [line.split(",")[0] for line in lines] == [
        f"rows: {n} of 4" for n in (0, 1, 2, 3, 4, 4)
    ]


def test_what_is_not_to_be_shown_is_not(capsys, monkeypatch):
    monkeypatch.setattr(progress, "_SECONDS", 0)
    work(1, shown=False)
    assert capsys.readouterr() == ("", "")
