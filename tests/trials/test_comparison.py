import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from entailment.errors import DataError
from entailment.reporting.comparison_page import comparison_figure, comparison_markdown
from entailment.reporting.figures import save_figure
from entailment.statistics import intervals
from entailment.statistics.confusion import macro_f1
from entailment.statistics.intervals import paired_differences
from entailment.statistics.metrics import classification_report, evaluate
from entailment.task import LABELS as NAMES
from entailment.trials.comparison import (
    BEST,
    NO,
    YES,
    compared_figures,
    comparison_columns,
    comparison_metrics,
    comparison_table,
)
from entailment.trials.variant_summary import summarise_variant

OPTIONS = {"majority": 2, "bootstrap_samples": 1000, "confidence": 0.95, "seed": 42}
LABELS = np.random.default_rng(0).choice(3, 140, p=[0.1, 0.1, 0.8])


def answers(share_right, seeds=3, seed=0, labels=LABELS):
    """Classes, int [seeds, n]; so many are right, the others drawn."""
    generator = np.random.default_rng(seed)
    right = generator.random((seeds, len(labels))) < share_right
    return np.where(right, labels, generator.integers(0, 3, (seeds, len(labels))))


def sure(predicted):
    return np.eye(3, dtype=np.float32)[predicted] * 0.7 + 0.1


GOOD, FAIR, POOR = answers(0.9, 3, 1), answers(0.87, 3, 2), answers(0.3, 2, 3)


@pytest.fixture(scope="module")
def table():
    variants = {"poor": sure(POOR), "good": sure(GOOD), "lost": "the loss is nan", "fair": sure(FAIR)}
    return comparison_table(LABELS, variants, NAMES, **OPTIONS)


def test_rows_are_the_variants_in_order_and_the_baseline(table):
    assert list(table.columns) == comparison_columns(NAMES)
    assert table["variant"].tolist() == ["poor", "good", "lost", "fair", "always NoEntailment"]
    assert table["seeds"].tolist() == [2, 3, 0, 3, 1]


def test_figures_are_means_and_deviations_over_the_seeds(table):
    row = table.set_index("variant").loc["good"]
    options = {"bootstrap_samples": 10, "confidence": 0.9, "seed": 1}
    each = [evaluate(LABELS, sure(run), NAMES, majority=2, **options) for run in GOOD]
    for name in compared_figures(NAMES):
        values = [metrics.as_dict()[name] for metrics in each]
        assert row[name] == pytest.approx(np.mean(values), abs=1e-12)
        assert row[f"{name}_std"] == pytest.approx(np.std(values, ddof=1), abs=1e-12)
    reports = [classification_report(LABELS, sure(run), NAMES, 0.9) for run in GOOD]
    assert row["f1_implies"] == pytest.approx(np.mean([report["Implies"]["f1"] for report in reports]))


def test_the_baseline_is_the_majority_class(table):
    row = table.set_index("variant").loc["always NoEntailment"]
    assert row["accuracy"] == np.mean(LABELS == 2)
    assert row["balanced_accuracy"] == pytest.approx(1 / 3)
    assert row["macro_f1"] == macro_f1(LABELS, np.full(140, 2), 3)
    assert np.isnan(row["accuracy_std"]) and row["differs"] == YES


def test_words_alone_are_a_row_beside_the_majority_and_never_the_best(tmp_path):
    variants = {"good": sure(GOOD), "lost": "the loss is nan", "poor": sure(POOR)}
    table = comparison_table(LABELS, variants, NAMES, **OPTIONS, words=LABELS)
    assert table["variant"].tolist() == ["good", "lost", "poor", "words alone", "always NoEntailment"]
    rows = table.set_index("variant")
    assert rows["macro_f1"]["words alone"] == 1 and rows["differs"]["words alone"] == YES
    assert rows["differs"]["good"] == BEST and rows["difference_low"]["words alone"] > 0
    without = comparison_table(LABELS, variants, NAMES, **OPTIONS).set_index("variant")
    pd.testing.assert_frame_equal(without, rows.drop("words alone"))
    figure = comparison_figure(table, 0.95)
    written = [text.get_text() for text in figure.axes[0].texts]
    assert {"words alone: 1.000", "good", "lost"} <= set(written) and "words alone" not in written
    assert f"always NoEntailment: {rows['macro_f1']['always NoEntailment']:.3f}" in written
    dotted = [line.get_xdata()[0] for line in figure.axes[0].lines if line.get_linestyle() == ":"]
    assert set(dotted) == {1, rows["macro_f1"]["always NoEntailment"]}
    metrics = comparison_metrics(table, list(variants))
    assert metrics["baseline/words_macro_f1"] == 1 and "baseline/majority_macro_f1" in metrics


def test_what_differs_is_said_in_words(table):
    rows = table.set_index("variant")
    assert rows["differs"].to_dict() == {
        **{"poor": YES, "good": BEST, "lost": "", "fair": NO},
        "always NoEntailment": YES,
    }
    assert rows.loc["good", ["difference", "difference_low", "difference_high"]].tolist() == [0, 0, 0]
    assert rows["difference"]["poor"] == pytest.approx(rows["macro_f1"]["poor"] - rows["macro_f1"]["good"])
    assert rows["difference_high"]["poor"] < 0 < rows["difference_high"]["fair"]


def test_a_failed_variant_keeps_its_reason_and_has_no_figures(table):
    row = table.set_index("variant").loc["lost"]
    assert row["error"] == "the loss is nan"
    assert row[["accuracy", "macro_f1", "difference"]].isna().all()
    assert (table.set_index("variant")["error"].drop("lost") == "").all()


@pytest.mark.parametrize("seeds", [1, 3])
def test_parent_and_child_show_the_same_interval_to_the_last_digit(seeds):
    answered = sure(FAIR[:seeds])
    variants = {"good": sure(GOOD), "fair": answered}
    row = comparison_table(LABELS, variants, NAMES, **OPTIONS).iloc[1]
    child = summarise_variant(LABELS, answered, [{}] * seeds, [[]] * seeds, NAMES, **OPTIONS).metrics
    for name in ("macro_f1", "macro_f1_low", "macro_f1_high", "accuracy"):
        assert child[f"test/{name}"] == row[name]
    if seeds == 1:
        alone = evaluate(LABELS, answered[0], NAMES, **OPTIONS)
        assert (alone.macro_f1_low, alone.macro_f1_high) == (row["macro_f1_low"], row["macro_f1_high"])


def test_a_single_seed_has_no_deviation():
    row = comparison_table(LABELS, {"one": sure(GOOD[:1])}, NAMES, **OPTIONS).iloc[0]
    assert np.isnan(row["macro_f1_std"]) and row["macro_f1"] == macro_f1(LABELS, GOOD[0], 3)


def test_the_same_seed_gives_the_same_table_however_little_memory_there_is(table, monkeypatch):
    monkeypatch.setattr(intervals, "_WEIGHTS_AT_ONCE", 300)
    variants = {"poor": sure(POOR), "good": sure(GOOD), "lost": "the loss is nan", "fair": sure(FAIR)}
    again = comparison_table(LABELS, variants, NAMES, **OPTIONS)
    pd.testing.assert_frame_equal(again, table, check_exact=True)


def test_the_baseline_is_never_the_best():
    wrong = sure((LABELS[None] + 1) % 3)
    assert comparison_table(LABELS, {"worst": wrong}, NAMES, **OPTIONS)["differs"].tolist() == [BEST, YES]


def test_where_all_failed_there_is_a_table_a_text_and_a_picture(tmp_path):
    lost = comparison_table(np.empty(0, np.int64), {"a": "one", "b": "two"}, NAMES, **OPTIONS)
    assert lost["variant"].tolist() == ["a", "b", "always NoEntailment"]
    assert lost["error"].str.len().min() > 0 and lost["macro_f1"].isna().all()
    assert "failed: one" in comparison_markdown(lost, NAMES, 0.95)
    save_figure(comparison_figure(lost, 0.95), tmp_path / "a.png")


# ---- paired differences


def macro_f1_difference(labels, a, b, samples, confidence, seed):
    options = {"bootstrap_samples": samples, "confidence": confidence, "seed": seed}
    return tuple(map(float, paired_differences(labels, a, b, 3, **options)["macro_f1"]))


def test_the_interval_is_about_that_of_commonly_resampled_rows():
    difference, low, high = macro_f1_difference(LABELS, GOOD, POOR, 20_000, 0.95, 42)
    generator = np.random.default_rng(5)
    drawn = []
    for rows in generator.integers(0, 140, (1_000, 140)):
        means = [np.mean([macro_f1(LABELS[rows], run[rows], 3) for run in side]) for side in (GOOD, POOR)]
        drawn.append(means[0] - means[1])
    observed = [np.mean([macro_f1(LABELS, run, 3) for run in side]) for side in (GOOD, POOR)]
    assert difference == pytest.approx(observed[0] - observed[1], abs=1e-12)
    assert [low, high] == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.04)


def test_pairing_sees_what_separate_intervals_do_not():
    """Two variants that err on the same rows, one of them on a few more."""
    labels = np.array([0, 1, 2] * 100)
    base = np.where(np.random.default_rng(0).random(300) < 0.6, labels, (labels + 1) % 3)
    better = base.copy()
    better[np.flatnonzero(base != labels)[:9]] = labels[np.flatnonzero(base != labels)[:9]]
    table = comparison_table(
        labels, {"base": sure(base[None]), "better": sure(better[None])}, NAMES, **OPTIONS
    )
    first, second = table.iloc[0], table.iloc[1]
    assert first["macro_f1_high"] > second["macro_f1_low"]
    assert first["differs"] == YES and second["differs"] == BEST


def test_turning_the_sides_turns_the_signs_and_equals_do_not_differ():
    forth = macro_f1_difference(LABELS, GOOD, FAIR, 500, 0.9, 1)
    back = macro_f1_difference(LABELS, FAIR, GOOD, 500, 0.9, 1)
    assert forth[0] == -back[0]
    assert [forth[1], forth[2]] == pytest.approx([-back[2], -back[1]], abs=0.03)
    none, low, high = macro_f1_difference(LABELS, GOOD, GOOD, 100, 0.95, 1)
    assert none == 0 and low < 0 < high


def test_the_same_answers_over_another_number_of_seeds_do_not_differ():
    variants = {"thrice": sure(np.repeat(FAIR[:1], 3, axis=0)), "once": sure(FAIR[:1])}
    assert comparison_table(LABELS, variants, NAMES, **OPTIONS)["differs"].tolist()[:2] in (
        [BEST, NO],
        [NO, BEST],
    )


def test_equally_good_variants_are_seldom_said_to_differ():
    labels = np.random.default_rng(9).choice(3, 200, p=[0.2, 0.2, 0.6])
    said = 0
    for seed in range(60):
        a, b = answers(0.7, 1, 2 * seed, labels), answers(0.7, 1, 2 * seed + 1, labels)
        _, low, high = macro_f1_difference(labels, a, b, 300, 0.95, seed)
        said += low > 0 or high < 0
    assert said <= 9


def test_more_rows_tell_smaller_differences_apart():
    labels = np.random.default_rng(9).choice(3, 6_000, p=[0.2, 0.2, 0.6])
    a, b = answers(0.80, 2, 1, labels), answers(0.74, 2, 2, labels)
    few = macro_f1_difference(labels[:60], a[:, :60], b[:, :60], 500, 0.95, 1)
    many = macro_f1_difference(labels, a, b, 500, 0.95, 1)
    assert few[1] < 0 < many[1]
    assert many[2] - many[1] < 0.25 * (few[2] - few[1])


@pytest.mark.parametrize(
    ("variant", "error", "message"),
    [
        (sure(GOOD)[0], ValueError, r"'a': probabilities must be \[seeds, 140, 3\].*\(140, 3\)"),
        (sure(GOOD)[:, :9], ValueError, r"\(3, 9, 3\)"),
        (sure(GOOD)[:0], ValueError, "at least one seed"),
        (sure(GOOD) * np.nan, DataError, "'a'.*not all finite"),
    ],
)
def test_wrong_probabilities_are_named(variant, error, message):
    with pytest.raises(error, match=message):
        comparison_table(LABELS, {"a": variant}, NAMES, **OPTIONS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bootstrap_samples": 0}, "bootstrap_samples must be"),
        ({"confidence": 95}, "confidence must lie.*95"),
    ],
)
def test_wrong_arguments_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        comparison_table(LABELS, {"a": sure(GOOD)}, NAMES, **OPTIONS | change)
    with pytest.raises(ValueError, match=r"\(140,\) and \(9,\)"):
        macro_f1_difference(LABELS, GOOD[:, :9], GOOD[:, :9], 10, 0.9, 1)


# ---- text and picture


def test_the_text_holds_every_variant_and_what_it_does_not_say(table):
    text = comparison_markdown(table, NAMES, 0.95)
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) == 2 + len(table) and len({line.count("|") for line in lines}) == 1
    good = next(line for line in lines if line.startswith("| good "))
    row = table.set_index("variant").loc["good"]
    assert f"{row['macro_f1']:.3f} ± {row['macro_f1_std']:.3f}" in good and good.endswith("| best |")
    poor = next(line for line in lines if line.startswith("| poor "))
    assert f"{table['difference'][0]:+.3f}" in poor and "yes" in poor
    assert "failed: the loss is nan" in text
    assert "is called worse in at most 5% of comparisons" in text


def test_a_name_that_would_break_the_table_does_not():
    text = comparison_markdown(comparison_table(LABELS, {"a|b\nc": sure(GOOD)}, NAMES, **OPTIONS), NAMES, 0.9)
    assert "| a\\|b c |" in text


def drawn_points(figure):
    """Height on the picture, by colour, of each variant's mean."""
    points = [line for line in figure.axes[0].lines if line.get_marker() == "o" and len(line.get_ydata())]
    return [(line.get_ydata()[0], line.get_color()) for line in points]


def test_the_picture_shows_the_best_on_top_intervals_and_the_baseline(table):
    figure = comparison_figure(table, 0.95)
    axes = figure.axes[0]
    assert axes.yaxis_inverted()
    names = [text.get_text() for text in axes.texts if text.get_position()[0] < 0]
    assert names == ["good", "fair", "poor", "lost"]
    heights, colors = zip(*drawn_points(figure), strict=True)
    assert heights == (0, 1, 2) and len(set(colors)) == 3
    rows = table.set_index("variant")
    bars = [
        line.get_xdata() for line in axes.lines if line.get_linestyle() == "-" and len(line.get_xdata()) == 2
    ]
    assert list(bars[0]) == [rows["macro_f1_low"]["good"], rows["macro_f1_high"]["good"]]
    (dotted,) = [line for line in axes.lines if line.get_linestyle() == ":"]
    assert set(dotted.get_xdata()) == {rows["macro_f1"]["always NoEntailment"]}
    written = [text.get_text() for text in axes.texts]
    assert any("failed: the loss is nan" in text for text in written)
    assert f"{rows['macro_f1']['good']:.3f} ± {rows['macro_f1_std']['good']:.3f}" in written
    (named,) = [text for text in axes.texts if text.get_text().startswith("always")]
    assert named.get_text() == f"always NoEntailment: {rows['macro_f1']['always NoEntailment']:.3f}"
    assert 0 < abs(named.get_position()[0] - dotted.get_xdata()[0]) < 0.02


def test_the_picture_has_a_colour_for_each_kind_of_inputs_and_cuts_no_name():
    names = [
        f"{inputs}_{loss}"
        for inputs in ("multimodal", "text", "ratings")
        for loss in ("focal", "cross_entropy")
    ]
    table = comparison_table(LABELS, dict.fromkeys(names, sure(GOOD)), NAMES, **OPTIONS)
    figure = comparison_figure(table, 0.95)
    axes = figure.axes[0]
    legend = axes.get_legend()
    colors = dict(
        zip(
            (text.get_text() for text in legend.texts),
            (line.get_color() for line in legend.get_lines()),
            strict=True,
        )
    )
    assert list(colors) == ["multimodal", "text", "ratings"] and len(set(colors.values())) == 3
    drawn = [text for text in axes.texts if text.get_ha() == "right" and text.get_position()[0] < 0]
    assert [text.get_text() for text in drawn] == names
    assert [color for _, color in drawn_points(figure)] == [colors[name.partition("_")[0]] for name in names]
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    assert all(text.get_window_extent(canvas.get_renderer()).x0 > 0 for text in drawn)


def test_the_picture_is_the_same_each_time_and_bears_long_names(tmp_path):
    variants = {"name " * 40: sure(GOOD), "$\\frac{": "reason " * 200}
    table = comparison_table(LABELS, variants, NAMES, **OPTIONS)
    for name in ("a.png", "b.png"):
        save_figure(comparison_figure(table, 0.95), tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
