"""The interactive page: what it says, and in a real browser that it asks for nothing and answers to the pointer."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from entailment.evaluation.samples import Sample
from entailment.reporting.comparison_page import comparison_verdict
from entailment.reporting.cross_validation_page import cross_validation_page
from entailment.reporting.figures import save_figure
from entailment.reporting.grids import grid_figures
from entailment.reporting.interactive_page import interactive_page
from entailment.reporting.shown_model import CURVES, ShownModel
from entailment.task import LABELS
from entailment.trials.comparison import comparison_metrics, comparison_table, leads_within
from entailment.trials.cross_validation import FoldAnswers, cross_validation
from entailment.trials.disagreements import Disagreements, DisputedRow
from tests.reporting.made_page import HOSTILE, made_page

OPTIONS = {"bootstrap_samples": 200, "confidence": 0.95, "seed": 1}


@pytest.fixture(scope="module")
def page():
    return made_page()


@pytest.fixture(scope="module")
def file(page, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "comparison.html"
    path.write_text(interactive_page(page), encoding="utf-8")
    return path


def test_the_same_gives_the_same_bytes_of_a_size_that_mlflow_shows(file):
    made = file.read_text(encoding="utf-8")
    assert interactive_page(made_page()) == made
    assert len(made.encode()) < 10_000_000


@pytest.mark.parametrize("sign", ["😂", "<", "\0", "\ud83d"])
def test_the_largest_page_is_shown_too(page, sign):
    """Of 20 variants, 20 classes with the longest names, 400 epochs, 100 rows of long texts and noisy images."""
    random = np.random.default_rng(0)
    names, labels = [f"variant {number}" for number in range(20)], [sign * 100] * 20
    models = [
        ShownModel(name, {curve: random.random(400) for curve in CURVES}, [9], np.full((20, 20), 99_999))
        for name in names
    ]
    image = random.integers(0, 2, (128, 128, 3), np.uint8) * 255
    sample = Sample(("1" * 20, "2" * 20), sign * 1_000, image, sign * 1_000, image, labels[0], None, None)
    rows = [DisputedRow(row, sample, {name: (labels[0], 1 / 3) for name in names}) for row in range(100)]
    found = Disagreements(rows, 100, {(one, other): 100 for one in names for other in names})
    made = interactive_page(replace(page, labels=labels, models=models, disagreements=found))
    assert len(made.encode()) < 10_000_000
    content = json.loads(re.search(r' id="data">(.*?)</script>', made, re.DOTALL)[1])
    assert content["disagreements"]["rows"][0]["posts"][0]["text"] == sign * 500 + " …"


def test_no_text_becomes_part_of_the_page(file, page):
    made = file.read_text(encoding="utf-8")
    content = re.search(r'<script type="application/json" id="data">(.*?)</script>', made, re.DOTALL)[1]
    assert not set("<>&\u2028\u2029") & set(content)
    assert json.loads(content)["disagreements"]["rows"][0]["posts"][0]["text"] == HOSTILE
    titled = interactive_page(replace(page, title="</title><script>1</script>"))
    assert "</title><script>1" not in titled


def verdict(*shares):
    """Of variants a, b ... of which so large a part of 300 rows is right."""
    random = np.random.default_rng(0)
    true = random.choice(3, 300, p=[0.2, 0.2, 0.6])
    answers = {}
    for name, share in zip("abc", shares, strict=False):
        right = random.random((1, 300)) < share
        answers[name] = np.eye(3)[np.where(right, true, (true + 1) % 3)]
    table = comparison_table(true, answers, LABELS, majority=2, **OPTIONS)
    within = leads_within(true, answers, {"text": [*answers]}, 3, words=true[::-1], **OPTIONS)
    return comparison_verdict(table, list(answers), 0.95, within), comparison_metrics(table, list(answers))


def test_the_verdict_is_said_in_sentences():
    said, _ = verdict(0.96, 0.5, 0.93)
    assert said[0].startswith("a is best: macro-F1 0.9")
    assert said[1].startswith("It is NOT shown to be better than the next, c (0.9")
    assert said[2].startswith("It is really better than always NoEntailment (0.265): +0.69")
    assert said[3].startswith("The best is chosen by the rows that it is judged by")
    assert said[3].endswith("what another seed would give is not in the intervals.") and len(said) == 4
    said, figures = verdict(0.95, 0.5)
    assert said[1].startswith("It is really better than the next, b (0.")
    assert {name: figures[f"variants/{name}"] for name in ("compared", "failed", "not_told_apart")} == {
        "compared": 2,
        "failed": 0,
        "not_told_apart": 0,
    }
    assert figures["best/macro_f1_low"] < figures["best/macro_f1"] < figures["best/macro_f1_high"]
    assert figures["baseline/majority_accuracy"] == pytest.approx(0.66)
    said, _ = verdict(0.05)
    assert said[1].startswith("It is REALLY WORSE than always NoEntailment")
    lost = comparison_table(np.empty(0, np.int64), {"a": "one"}, LABELS, majority=2, **OPTIONS)
    assert comparison_verdict(lost, ["a"], 0.95, {}) == ["Every variant failed: there is nothing to compare."]
    assert comparison_metrics(lost, ["a"])["variants/failed"] == 1


def test_each_kind_of_inputs_has_its_best_beside_the_others_and_words_alone():
    random = np.random.default_rng(0)
    true = random.choice(3, 300, p=[0.2, 0.2, 0.6])

    def right_in(share):
        return np.where(random.random((1, 300)) < share, true, (true + 1) % 3)

    answers = {
        name: np.eye(3)[right_in(share)] for name, share in zip("abcd", (0.99, 0.72, 0.66, 0.3), strict=True)
    }
    groups = {"multimodal": ["a"], "text": ["d", "c", "b"]}
    words = right_in(0.9)[0]
    found = leads_within(true, answers, groups, 3, words=words, **OPTIONS)
    assert [(lead.best, lead.other) for lead in found["text"]] == [
        ("b", "d"),
        ("b", "c"),
        ("b", "words alone"),
    ]
    table = comparison_table(true, answers, LABELS, majority=2, **OPTIONS)
    said = comparison_verdict(table, list(answers), 0.95, found)[-2]
    assert said.startswith("With inputs text, b is best (0.")
    assert re.search(
        r"really better than d .*NOT shown to be better than c .*REALLY WORSE than words alone", said
    )


def cross_validated(**folds):
    table = cross_validation(
        {number: fold for number, fold in enumerate(folds.values(), 1)}, LABELS, **OPTIONS
    ).table
    return cross_validation_page(table, LABELS, 0.95, generated=False, facts={}, models=[])


def test_a_cross_validation_has_a_page_too():
    labels = np.arange(60) % 3
    page = cross_validated(
        good=FoldAnswers(labels, np.eye(3)[labels], (10, 20, 30)), lost="train_loss is inf"
    )
    assert page.verdict[0].startswith("All answers together: macro-F1 1.000 (95% interval 0.9")
    assert "always answering the most frequent class gets 0.333" in page.verdict[1]
    assert [cell.text for cell in page.table[1]] == ["2", "failed: train_loss is inf"]
    assert cross_validated(lost="train_loss is inf").verdict == ["Every fold failed."]


def test_pictures_hold_every_model_with_the_epochs_that_were_kept(page, tmp_path):
    dollars = ["a $ b", "c $ d", "e"]
    figures = grid_figures(page.models, dollars)
    assert list(figures) == ["confusion_matrices.png", "training_curves.png"]
    shown = [[int(text.get_text()) for text in axes.texts] for axes in figures["confusion_matrices.png"].axes]
    assert shown == [model.confusion.ravel().tolist() for model in page.models]
    for axes, name in zip(figures["training_curves.png"].axes, CURVES, strict=True):
        lines, rings = axes.lines[::2], axes.lines[1::2]
        assert [list(line.get_ydata()) for line in lines] == [
            list(model.curves[name]) for model in page.models
        ]
        assert all(list(ring.get_xdata()) == [9] for ring in rings)
    for name, figure in figures.items():
        save_figure(figure, tmp_path / name)
    assert grid_figures([], dollars) == {}


def test_confusion_matrices_of_many_classes_are_shades_alone(page):
    many = [replace(model, confusion=np.eye(13, dtype=np.int64)) for model in page.models]
    names = [f"クラス {number}" for number in range(13)]
    panels = grid_figures(many, names)["confusion_matrices.png"].axes
    assert [(len(axes.texts), len(axes.images)) for axes in panels] == [(0, 1)] * len(many)
    ticks = panels[0].get_yticklabels()
    assert [tick.get_text() for tick in ticks] == names and len(ticks[0].get_family()) == 2


# ---- in a browser


@pytest.fixture(scope="module")
def browser():
    pytest.importorskip("selenium", reason="selenium is not installed (make dev).")
    from tests.chromium import DRIVER, chromium

    if DRIVER is None:
        pytest.skip("Chromium is not installed (Debian, Ubuntu: apt-get install chromium chromium-driver).")
    with chromium() as opened:
        yield opened


def asked_for(browser, page):
    """Addresses that the browser asked for since the last call, but for the page itself."""
    entries = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [
        entry["params"]["request"]["url"]
        for entry in entries
        if entry["method"] == "Network.requestWillBeSent"
    ]
    return [
        address
        for address in asked
        if address != page.as_uri() and not address.startswith(("data:", "about:"))
    ]


def first_column(browser):
    rows = "document.querySelectorAll('#table tbody tr')"
    return browser.execute_script(f"return [...{rows}].map((row) => row.cells[0].innerText)")


@pytest.mark.services
@pytest.mark.timeout(120)
class TestInABrowser:
    @pytest.fixture
    def opened(self, browser, file):
        browser.get_log("performance"), browser.get_log("browser")
        browser.get(file.as_uri())
        return browser

    def test_it_asks_for_nothing_and_says_nothing_also_in_a_sandbox(self, opened, file, tmp_path):
        from selenium.webdriver.common.by import By

        assert opened.title == "Comparison of 9 variants"  # what HOSTILE would change
        assert asked_for(opened, file) == [] and opened.get_log("browser") == []
        # MLflow's artifact tab shows a page like this.
        around = tmp_path / "around.html"
        around.write_text(f'<iframe sandbox="allow-scripts" src="{file.as_uri()}"></iframe>')
        opened.get(around.as_uri())
        opened.switch_to.frame(opened.find_element(By.TAG_NAME, "iframe"))
        assert len(opened.find_elements(By.CSS_SELECTOR, ".chart .scatterlayer .trace")) == 16
        asked = [address for address in asked_for(opened, file) if address != around.as_uri()]
        assert asked == [] and opened.get_log("browser") == []
        opened.switch_to.default_content()

    def test_pages_with_less_on_them_are_made_as_well(self, opened, page, tmp_path):
        """Of one variant, of a comparison in which all failed, and of folds."""
        alone = replace(page, best_two=page.best_two[:1], disagreements=Disagreements([], 0, {}))
        failed = replace(page, best_two=(), disagreements=Disagreements([], 0, {}), models=[])
        folds = cross_validated(lost="train_loss is inf")
        for number, less in enumerate((alone, failed, folds)):
            path = tmp_path / f"{number}.html"
            path.write_text(interactive_page(less), encoding="utf-8")
            opened.get(path.as_uri())
            assert opened.get_log("browser") == []
            assert opened.execute_script("return document.getElementById('disagreements').hidden")
            assert opened.find_element("id", "generated").is_displayed() == less.generated
            assert len(first_column(opened)) == len(less.table)

    def test_a_click_on_a_column_sorts_by_it(self, opened, page):
        from selenium.webdriver.common.by import By

        names = [row[0].text for row in page.table]
        given = {
            name: row[7].order if len(row) > 7 else None for name, row in zip(names, page.table, strict=True)
        }
        assert first_column(opened)[0] == page.best_two[0]
        heads = opened.find_elements(By.CSS_SELECTOR, "#table th button")
        assert [head.text.split("\n")[0] for head in heads] == list(page.columns)
        heads[7].click()
        shown = first_column(opened)
        assert shown[-1] == names[-2] and given[shown[-1]] is None  # the variant that failed comes last
        assert [given[name] for name in shown[:-1]] == sorted(filter(None, given.values()), reverse=True)
        opened.find_elements(By.CSS_SELECTOR, "#table th button")[7].click()
        shown = first_column(opened)
        assert shown[-1] == names[-2]
        assert [given[name] for name in shown[:-1]] == sorted(filter(None, given.values()))
        head = opened.find_elements(By.CSS_SELECTOR, "#table th")[7]
        assert head.get_attribute("aria-sort") == "ascending"

    def test_the_curves_answer_to_the_pointer_and_variants_can_be_switched_off(self, opened, page):
        from selenium.webdriver.common.action_chains import ActionChains
        from selenium.webdriver.common.by import By

        chart = opened.find_element(By.CSS_SELECTOR, ".chart .nsewdrag")
        opened.execute_script("arguments[0].scrollIntoView({block: 'center'})", chart)
        # Of the epochs 0 to 12, about the ninth, which was kept.
        ActionChains(opened).move_to_element_with_offset(chart, int(chart.size["width"] * 0.2), 0).perform()
        label = opened.find_element(By.CSS_SELECTOR, ".hoverlayer").text
        assert "epoch 9" in label and "text_focal : 0.711 (kept)" in label, label
        box = opened.find_element(By.CSS_SELECTOR, '#switches input[value="text_focal"]')
        box.click()
        ActionChains(opened).move_to_element_with_offset(chart, 0, 10).perform()
        label = opened.find_element(By.CSS_SELECTOR, ".hoverlayer").text
        assert "text_weighted" in label and "text_focal" not in label, label

    def test_a_row_of_disagreement_opens_with_texts_images_and_answers(self, opened, page):
        from selenium.webdriver.common.by import By
        from selenium.webdriver.support.ui import Select

        found, (best, second) = page.disagreements, page.best_two
        differing = [row for row in found.rows if row.answers[best][0] != row.answers[second][0]]
        rows = opened.find_elements(By.CSS_SELECTOR, "#rows details")
        assert len(rows) == len(differing) == found.by_pair[best, second]
        rows[0].find_element(By.TAG_NAME, "summary").click()
        assert (
            HOSTILE.split()[0] in rows[0].text and rows[0].text.count("✓") + rows[0].text.count("✗") == 8 + 2
        )
        image = rows[0].find_element(By.TAG_NAME, "img")
        assert (
            opened.execute_script("return arguments[0].decode().then(() => arguments[0].naturalWidth)", image)
            == 128
        )
        menus = opened.find_elements(By.CSS_SELECTOR, "#choice select")
        Select(menus[0]).select_by_visible_text("any two")
        said = opened.find_element(By.ID, "shown").text
        assert (
            said.startswith(f"{found.total} of 140 test rows are answered differently.")
            and "100 are shown" in said
        )
        assert len(opened.find_elements(By.CSS_SELECTOR, "#rows details")) == len(found.rows)
        assert opened.title == "Comparison of 9 variants"

    def test_on_a_phone_nothing_is_wider_than_the_screen_and_a_tap_shows_figures(self, file):
        from tests.chromium import chromium

        with chromium(390, 844, dark=True) as phone:
            phone.get(file.as_uri())
            phone.execute_script("document.querySelectorAll('details').forEach(one => { one.open = true })")
            assert phone.execute_script("return document.documentElement.scrollWidth") == 390
            dark = phone.execute_script("return getComputedStyle(document.body).backgroundColor")
            assert dark == "rgb(20, 24, 29)"
            phone.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True})
            where = phone.execute_script(
                "const chart = document.querySelector('.chart'); chart.scrollIntoView({block: 'center'});"
                "const box = chart.getBoundingClientRect();"
                "return {x: box.x + box.width / 2, y: box.y + box.height / 2}"
            )
            for kind, points in (("touchStart", [where]), ("touchEnd", [])):
                phone.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
            script = "return document.querySelector('.hoverlayer').textContent"
            assert "epoch" in phone.execute_script(script)
