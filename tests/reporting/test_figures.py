import io
import warnings

import matplotlib
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from PIL import Image

from entailment.evaluation.samples import Sample
from entailment.reporting.figures import (
    confusion_matrix_figure,
    name_data,
    reliability_figure,
    samples_figure,
    save_figure,
    sentence_figure,
    training_curves_figure,
)
from entailment.statistics.calibration import calibration_report, softmax
from entailment.task import LABELS

COUNTS = np.array([[3, 1, 7], [0, 2, 9], [4, 6, 1108]])
RED, GREEN, BLUE, YELLOW = (200, 10, 20), (10, 180, 30), (20, 30, 210), (230, 220, 10)


def plain(color, height=40, width=40):
    return np.full((height, width, 3), color, np.uint8)


def sample(**changed):
    values = {
        "ids": ("11", "22"),
        "text_1": "one",
        "image_1": plain(RED),
        "text_2": "two",
        "image_2": plain(GREEN),
    }
    return Sample(**values | {"label": "Implies", "predicted": None, "probability": None} | changed)


def drawn_samples(rows):
    return samples_figure(rows, "a title", "a line below")


def pixels(figure):
    """The drawn figure, uint8 [height, width, 3]; any warning is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


def middle_of(drawn, color):
    """Where a colour lies: mean x and mean y as shares of the figure; None if it is nowhere."""
    ys, xs = np.nonzero((drawn == color).all(axis=2))
    return (xs.mean() / drawn.shape[1], ys.mean() / drawn.shape[0]) if len(xs) else None


def texts(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_both_images_of_every_pair_are_drawn():
    drawn = pixels(drawn_samples([sample(), sample(image_1=plain(BLUE), image_2=plain(YELLOW))]))
    red, green, blue, yellow = (middle_of(drawn, color) for color in (RED, GREEN, BLUE, YELLOW))
    assert red[0] < 0.25 and blue[0] < 0.25
    assert 0.5 < green[0] < 0.75 and 0.5 < yellow[0] < 0.75
    assert red[1] == pytest.approx(green[1], abs=0.01)
    assert blue[1] == pytest.approx(yellow[1], abs=0.01)
    assert red[1] < 0.5 < blue[1]


@pytest.mark.parametrize("missing", ["image_1", "image_2"])
def test_a_missing_image_is_a_panel_that_says_so(missing):
    figure = drawn_samples([sample(**{missing: None})])
    drawn = pixels(figure)
    assert texts(figure).count("no image") == 1
    assert (middle_of(drawn, RED) is None) == (missing == "image_1")
    assert (middle_of(drawn, GREEN) is None) == (missing == "image_2")


def test_an_image_keeps_its_proportions():
    drawn = pixels(drawn_samples([sample(image_1=plain(RED, height=20, width=40))]))
    ys, xs = np.nonzero((drawn == RED).all(axis=2))
    assert np.ptp(xs) / np.ptp(ys) == pytest.approx(2, rel=0.03)


@pytest.mark.parametrize(
    ("label", "predicted", "probability", "shown"),
    [
        ("Implies", "Implies", 0.612, "✓ answer (61.2%): Implies"),
        ("Implies", "NoEntailment", 0.5, "✗ answer (50.0%): NoEntailment"),
        ("Implies", "Implies", None, "✓ answer: Implies"),
    ],
)
def test_the_answer_is_shown_beside_the_label(label, predicted, probability, shown):
    figure = drawn_samples([sample(label=label, predicted=predicted, probability=probability)])
    assert f"label: {label}" in texts(figure)
    assert shown in texts(figure)


def test_both_posts_are_named_by_their_ids():
    assert {"11", "22"} <= set(texts(drawn_samples([sample()])))


def test_without_an_answer_none_is_shown():
    assert not any("answer" in text for text in texts(drawn_samples([sample()])))


@pytest.mark.parametrize(
    "text",
    [
        "$\\frac{1}{$ costs $5 and $6_{",
        "🔥🔥 日本語 👩‍👩‍👧 \U000e0067 ⃣ हिन्दी",
        "\ud800 lone \x00 control \x1b[31m \u202e turned",
        "W" * 100_000,
        "word " * 1_000_000,
        "",
        " \n\t ",
    ],
)
def test_hostile_texts_are_drawn_without_a_warning(text):
    hostile = {"ids": (text, text), "text_1": text, "text_2": text, "label": text}
    figure = drawn_samples([sample(**hostile, predicted="Implies")])
    assert pixels(figure).std() > 0


def test_no_text_leaves_its_column():
    rows = [sample(text_1=sign * 3_000, text_2=sign * 3_000) for sign in ("W", "i", "word ", "ш")]
    drawn = pixels(drawn_samples([sample(image_1=None, image_2=None), *rows]))
    ink = (drawn < 100).all(axis=2)
    width = drawn.shape[1]
    assert ink[:, : int(0.49 * width)].any()
    assert not ink[:, int(0.49 * width) : int(0.512 * width)].any()
    assert not ink[:, int(0.985 * width) :].any()


def test_a_wrong_image_is_named():
    with pytest.raises(ValueError, match=r"uint8 \[height, width, 3\].*float32 \[4, 4, 3\]"):
        drawn_samples([sample(image_2=np.zeros((4, 4, 3), np.float32))])
    with pytest.raises(ValueError, match=r"uint8 \[4, 4\]"):
        drawn_samples([sample(image_1=np.zeros((4, 4), np.uint8))])


def test_without_any_image_there_are_texts_alone():
    rows = [sample(image_1=None, image_2=None, text_1="one long text " * 9)] * 2
    figure = drawn_samples(rows)
    pixels(figure)
    assert "no image" not in texts(figure) and len(figure.axes) == 1
    assert figure.get_size_inches()[1] < drawn_samples([sample()] * 2).get_size_inches()[1]


def test_a_text_that_is_read_from_the_right_stands_at_the_right_of_its_column():
    def ink(text):
        drawn = pixels(drawn_samples([sample(text_1=text, text_2="")]))[160:, 280:780]
        return np.flatnonzero(((drawn < 100).all(axis=2)).any(axis=0))

    assert ink("שלום").min() > ink("hello").max()


def test_no_samples_is_an_error():
    with pytest.raises(ValueError, match="at least one sample"):
        drawn_samples([])


def test_confusion_matrix_shows_counts_and_row_shares():
    figure = confusion_matrix_figure(COUNTS, LABELS, "a $title$")
    pixels(figure)
    shown = texts(figure)
    assert {"1,108", "7", "0", "63.6%", "27.3%", "0.0%"} <= set(shown)
    axes = figure.axes[0]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == list(LABELS)
    assert [tick.get_text().split("\n")[0] for tick in axes.get_yticklabels()] == list(LABELS)
    count = next(text for text in axes.texts if text.get_text() == "7")
    assert (round(count.get_position()[0]), round(count.get_position()[1])) == (2, 0)
    assert axes.yaxis_inverted()
    assert "a $title$" in [text.get_text() for text in figure.texts]


def test_confusion_matrix_with_an_absent_class_and_a_long_title():
    figure = confusion_matrix_figure(np.array([[0, 0, 0], [1, 2, 3], [4, 5, 6]]), LABELS, "long title " * 50)
    pixels(figure)
    assert texts(figure).count("no rows") == 3
    assert figure.texts[0].get_text().endswith("…")


def test_numbers_in_the_confusion_matrix_contrast_with_their_cell():
    def luminance(color):
        channels = np.array(to_rgb(color))
        return np.where(channels <= 0.04, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4) @ (
            0.2126,
            0.7152,
            0.0722,
        )

    for share in range(0, 101, 5):
        figure = confusion_matrix_figure(
            np.array([[share, 100 - share, 0], [0, 1, 0], [0, 0, 1]]), LABELS, ""
        )
        text = next(text for text in figure.axes[0].texts if round(text.get_position()[0]) == 0)
        cell = matplotlib.colormaps["Blues"](share / 100)[:3]
        light, dark = sorted([luminance(cell), luminance(text.get_color())], reverse=True)
        assert (light + 0.05) / (dark + 0.05) > 3.5, share


def test_counts_of_another_shape_are_an_error():
    with pytest.raises(ValueError, match=r"\(3, 3\).*\(2, 2\)"):
        confusion_matrix_figure(np.ones((2, 2), int), LABELS, "")


def test_training_curves_have_a_panel_for_each_measure_and_mark_the_kept_epoch_in_all():
    history = {
        "train/loss": [1.0, 0.5, 0.2],
        "val/loss": [0.9, 0.6, 0.7],
        "val/macro_f1": [0.3, 0.35, 0.4],
    }
    figure = training_curves_figure(history, kept=3)
    pixels(figure)
    assert [axes.texts[0].get_text() for axes in figure.axes] == ["loss", "macro-F1"]
    legends = [[text.get_text() for text in axes.get_legend().texts] for axes in figure.axes]
    assert legends == [["training", "validation (kept: 0.700)"], ["validation (kept: 0.400)"]]
    assert [text.get_text() for text in figure.texts] == [
        *("Training: 3 epochs", "the weights of epoch 3 were kept (dotted line)"),
    ]
    drawn = [(list(line.get_xdata()), list(line.get_ydata())) for line in figure.axes[0].lines]
    assert ([1, 2, 3], history["train/loss"]) in drawn and ([1, 2, 3], history["val/loss"]) in drawn
    for axes in figure.axes:
        assert [3, 3] in [list(line.get_xdata()) for line in axes.lines]


def test_training_curves_bear_one_epoch_values_that_are_not_finite_and_no_kept_epoch():
    pixels(training_curves_figure({"train/loss": [0.5]}, kept=1))
    history = {"val/loss": [float("nan"), 2.0, float("inf")], "val/x": [float("nan")]}
    for kept in (None, 1, 3):
        figure = training_curves_figure(history, kept)
        pixels(figure)
        assert figure.axes[0].get_legend().texts[0].get_text() == "validation"


@pytest.mark.parametrize("history", [{}, {"train/loss": []}])
def test_an_empty_history_is_an_error(history):
    with pytest.raises(ValueError, match="at least one epoch"):
        training_curves_figure(history)


def calibration(rows=300):
    generator = np.random.default_rng(0)
    true, logits = generator.integers(0, 3, rows), generator.normal(size=(rows, 3)) * 3
    return calibration_report(true, softmax(logits), softmax(logits / 2.5), 2.5, 0.95)


def test_reliability_shows_accuracy_confidence_and_rows_of_both_sides():
    report = calibration()
    figure = reliability_figure(report, "a title")
    pixels(figure)
    assert len(figure.axes) == 4
    for side, upper, lower in (("before", *figure.axes[:2]), ("after", *figure.axes[2:])):
        filled = [entry for entry in report[side]["bins"] if entry["rows"]]
        assert [bar.get_height() for bar in upper.patches] == [entry["accuracy"] for entry in filled]
        assert [bar.get_height() for bar in lower.patches] == [entry["rows"] for entry in filled]
        middles = [bar.get_x() + bar.get_width() / 2 for bar in upper.patches]
        assert middles == pytest.approx([(entry["above"] + entry["up_to"]) / 2 for entry in filled])
        dots = next(line for line in upper.lines if line.get_marker() == "o")
        assert list(dots.get_ydata()) == [entry["confidence"] for entry in filled]
        (lines,) = upper.collections
        ends = [(float(line[0, 1]), float(line[1, 1])) for line in lines.get_segments()]
        wanted = [(entry["accuracy_low"], entry["accuracy_high"]) for entry in filled]
        np.testing.assert_allclose(ends, wanted)
        assert [text.get_text() for text in lower.texts] == [f"{entry['rows']:,}" for entry in filled]
        assert f"{report[side]['ece']:.3f}" in upper.get_title(loc="left")
    assert "temperature 1.00" in figure.axes[0].get_title(loc="left")
    assert "temperature 2.50" in figure.axes[2].get_title(loc="left")


def test_reliability_of_one_row():
    one = np.array([[1.0, 0.0, 0.0]])
    pixels(reliability_figure(calibration_report(np.array([0]), one, one, 1.0, 0.95), ""))


def test_the_data_are_named_above_the_title_and_generated_ones_in_red():
    def colours(generated):
        figure = confusion_matrix_figure(COUNTS, LABELS, "title")
        name_data(figure, "mine", generated=generated)
        title, below, data = figure.texts
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        boxes = [text.get_window_extent(canvas.get_renderer()) for text in (below, title, data)]
        assert boxes[0].y1 <= boxes[1].y0 and boxes[1].y1 <= boxes[2].y0 and boxes[2].y1 < figure.bbox.y1
        assert boxes[0].y0 > figure.axes[0].get_window_extent().y1
        return data.get_text(), (pixels(figure)[:26] @ [1, -1, 0]).max() > 100

    assert colours(True) == ("mine: GENERATED DATA", True)
    assert colours(False) == ("mine", False)


def test_a_sentence_is_drawn_and_shortened():
    figure = sentence_figure("No errors: all $140 test rows were answered right.")
    assert pixels(figure).min() < 100
    assert texts(figure) == ["No errors: all $140 test rows were answered right."]
    assert texts(sentence_figure("word " * 100))[0].endswith("…")


@pytest.mark.parametrize(
    "draw",
    [
        lambda: reliability_figure(calibration(), "title"),
        lambda: sentence_figure("Nothing to show."),
        lambda: confusion_matrix_figure(COUNTS, LABELS, "title"),
        lambda: drawn_samples([sample(predicted="Implies", probability=0.5)]),
        lambda: training_curves_figure({"train/loss": [3.0, 2.0], "val/loss": [3.0, 4.0]}),
    ],
)
def test_saved_bytes_are_the_same_each_time_and_carry_no_date(draw, tmp_path):
    figure = draw()
    save_figure(figure, tmp_path / "a.png")
    save_figure(figure, tmp_path / "b.png")
    save_figure(draw(), tmp_path / "folder" / "c.png")
    first = (tmp_path / "a.png").read_bytes()
    assert first == (tmp_path / "b.png").read_bytes() == (tmp_path / "folder" / "c.png").read_bytes()
    assert not {"Software", "Creation Time", "date"} & set(Image.open(io.BytesIO(first)).info)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png", "folder"]


def test_drawing_keeps_out_of_pyplot_and_of_global_settings(tmp_path):
    import matplotlib.pyplot

    before = dict(matplotlib.rcParams)
    save_figure(drawn_samples([sample()]), tmp_path / "a.png")
    assert matplotlib.pyplot.get_fignums() == []
    assert dict(matplotlib.rcParams) == before


def test_a_failed_drawing_leaves_the_older_file(tmp_path, monkeypatch):
    target = tmp_path / "a.png"
    target.write_bytes(b"old")
    monkeypatch.setattr(FigureCanvasAgg, "print_png", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        save_figure(drawn_samples([sample()]), target)
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]
