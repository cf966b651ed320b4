"""The configuration: its file, its presets, and what is said of wrong keys."""

from pathlib import Path

import pytest

from entailment.configuration.configuration import Configuration
from entailment.configuration.encoders import Encoders
from entailment.configuration.faults import unknown_key
from entailment.configuration.loading import (
    as_yaml,
    load_configuration,
    load_run_configuration,
    parse_assignments,
    with_values,
)
from entailment.configuration.section import dotted
from entailment.errors import ConfigurationError

PROJECT = Path(__file__).parent.parent


def test_the_file_holds_every_key_with_its_default():
    import yaml

    text = (PROJECT / "zenml_config.yaml").read_text()
    assert load_configuration(PROJECT / "zenml_config.yaml") == Configuration()

    def keys(node, prefix=""):
        for name, value in node.items():
            yield from (
                keys(value, f"{prefix}{name}.") if isinstance(value, dict) and value else [prefix + name]
            )

    content = yaml.safe_load(text)
    # A kind of input that was added has a section of its own beside these.
    known = {key for key in dotted(Configuration()) if not key.startswith("encoders.")}
    known |= {
        f"encoders.{key}"
        for kind in ("text", "image")
        for key in dotted(getattr(Encoders(), kind), f"{kind}.")
    }
    assert set(keys(content["parameters"]["configuration"])) == known


def test_every_leaf_of_the_file_is_documented():
    lines = (PROJECT / "zenml_config.yaml").read_text().splitlines()
    undocumented = [
        line
        for line in lines
        if ": " in line and not line.strip().startswith("#") and "#" not in line and "archive_url" not in line
    ]
    # Keys whose line is too long for a comment are explained by the line above their section.
    assert [line.split(":")[0].strip() for line in undocumented] == ["csv_url", "csv_sha256"]


@pytest.mark.parametrize("preset", sorted((PROJECT / "configs").glob("*.yaml")), ids=lambda path: path.stem)
def test_presets_hold_only_keys_that_exist(preset):
    assert load_configuration(None, preset) != Configuration()


def test_later_sources_win(tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text("parameters: {configuration: {training: {epochs: 3, batch_size: 7}}}\n")
    preset = PROJECT / "configs" / "keras_example.yaml"
    configuration = load_configuration(file, preset, {"training.batch_size": 5})
    assert configuration.training.epochs == 10
    assert configuration.training.batch_size == 5


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("trainng: {epochs: 3}", "Did you mean 'training'?"),
        ("training: {epoch: 3}", "Did you mean 'training.epochs'?"),
        ("training: {epochs: 0}", "training.epochs: must be at least 1. Received: 0."),
        ("inputs: sound", "inputs: must be one of multimodal, text, image. Received: 'sound'"),
        ("- a\n- b", "must hold keys and values"),
        ("a: [", "is not valid YAML: line 1, column 5: the text ends too early"),
    ],
)
def test_faults_are_named(tmp_path, text, expected):
    file = tmp_path / "c.yaml"
    file.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load_configuration(file)
    assert expected in str(caught.value)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("a:\n\tb: 1", "line 2, column 1", "a tab"),
        ("a: 1\t\n", "line 1, column 5", "a tab"),
        ("a: 'x\nb: 1", "line 1, column 4", "quotation mark is not closed"),
        ('a: 1\nb: "x', "line 2, column 4", "quotation mark is not closed"),
        ("a: {b: 1\nc: 2", "line 1, column 4", "bracket is not closed"),
        ("a: ['a' 'b']", "line 1, column 4", "a comma is missing"),
        ("a: b: c", "line 1, column 5", "a colon inside a value"),
        ("a: 1\nb\nc: 2", "line 2, column 1", "a key without a colon"),
        ("a:\n  b: 1\n c: 2", "line 3, column 2", "indented unlike those around it"),
        ("- a\nb: 1", "line 2, column 1", "indented unlike those around it"),
        ("a: 'it's'", "line 1, column 8", "behind the end of a value"),
        ("a: @x", "line 1, column 4", "must be in quotes"),
        ("a: *x", "line 1, column 4", "must be in quotes"),
        ("a: !x 1", "line 1, column 4", "must be in quotes"),
        ('a: "\\d"', "line 1, column 6", "single quotes"),
        ("a: 1\n---\nb: 2", "line 2, column 1", "a file holds one"),
        ("a: ]", "line 1, column 4", "expected the node content"),
        ("a: 1\nb: \x00", "line 2", "a character that YAML does not know"),
        ("a: 2024-13-45", "", "looks like a date or a number and is none (month must be in 1..12)"),
        ("a: &x [*x]", "", "an alias stands for what it is in"),
    ],
)
def test_what_is_no_yaml_is_one_line_with_its_place(tmp_path, text, place, words):
    file = tmp_path / "c.yaml"
    file.write_text(f"{text}\n# https://hooks.example/secret")
    with pytest.raises(ConfigurationError) as caught:
        load_configuration(file)
    said = str(caught.value)
    assert said.startswith(f"{file} is not valid YAML: {place}") and words in said
    assert "\n" not in said and "secret" not in said


def test_a_file_that_is_no_text_names_its_line_and_a_folder_is_one_line(tmp_path):
    (tmp_path / "c.yaml").write_bytes(b"seed: 1\ninputs: \xff")
    with pytest.raises(ConfigurationError, match=r"c\.yaml, line 2: it is no UTF-8"):
        load_configuration(tmp_path / "c.yaml")
    with pytest.raises(ConfigurationError, match="cannot be read: Is a directory"):
        load_configuration(tmp_path)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("training.epochs=", "--set training.epochs=: a value is missing"),
        ("training.epochs= ", "--set training.epochs=: a value is missing"),
        ("training.epochs", "--set must be KEY=VALUE, as in training.epochs=5. Received: 'training.epochs'."),
        ("=5", "--set must be KEY=VALUE"),
        ("", "--set must be KEY=VALUE"),
        ("training=5", "--set: 'training' is a section: name a key in it, as training.loss."),
        ("a.b.c=5", "--set: there is no key 'a.b.c'."),
        ("training.epochs.x=5", "--set: there is no key 'training.epochs.x'."),
        ("parameters.configuration.seed=1", "--set: there is no key 'parameters.configuration.seed'."),
        ("seed=2024-13-45", "--set seed: the value is no YAML. Put it in quotes."),
    ],
)
def test_an_assignment_that_is_none_is_told(given, said):
    with pytest.raises(ConfigurationError) as caught:
        parse_assignments([given])
    assert str(caught.value).startswith(said)


def test_a_fault_names_the_option_that_a_value_came_by(tmp_path):
    file, values = tmp_path / "c.yaml", {"training.epochs": 0, "seed": -1, "task.labels": [1, "b"]}
    file.write_text("parameters:\n  configuration:\n    training: {epochs: 3, patience: -1}\n")
    with pytest.raises(ConfigurationError) as caught:
        load_run_configuration(file, None, values, {"training.epochs": "--epochs", "images": "--images"})
    assert set(str(caught.value).splitlines()) == {
        "--epochs: must be at least 1. Received: 0.",
        "--set seed: must be at least 0. Received: -1.",
        "--set task.labels: task.labels.0: must be text, in quotes where it looks like something else. Received: 1.",
        f"{file}, line 3: training.patience: must be at least 0. Received: -1.",
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("loss: focal", "'loss'. 'loss' belongs to the section 'training' ('training.loss')."),
        ("head: {loss: focal}", "'head.loss'. 'loss' belongs to the section 'training' ('training.loss')."),
        ("seed: 1\ntraining: {seed: 1}", "'training.seed'. 'seed' stands outside all sections: seed: ..."),
        ("seed: 1\nparameters: {tags: []}", "'seed' belongs to the section 'parameters.configuration'"),
        ("parameters: {configuration: {tags: []}}", "'tags'. 'tags' belongs to the top of the file."),
        ("configuration: {seed: 1}", "'configuration' belongs to the section 'parameters'"),
        ("training: {LOSS: focal}", "'training.LOSS'. Did you mean 'training.loss'?"),
        ("training: {learning-rate: 1}", "Did you mean 'training.learning_rate'?"),
        ("promotion: {confidense: 0.5}", "Did you mean 'promotion.confidence'?"),
        ("training.loss: focal", "'training.loss'. Write training: {loss: ...}."),
        ("parameters.configuration: {}\ntags: []", "Write parameters: {configuration: ...}."),
        ("enable_cach: true", "Did you mean 'enable_cache'?"),
        ("xyzzy: 1", "'xyzzy'. zenml_config.yaml lists every key."),
    ],
)
def test_a_key_in_the_wrong_place_is_told_where_it_belongs(tmp_path, text, expected):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load_configuration(tmp_path / "c.yaml")
    assert expected in str(caught.value)


def test_no_hint_is_the_wrong_key_itself():
    keys = dotted(Configuration())
    sections = {key.rpartition(".")[0] for key in keys} - {""}
    for name in {key.rpartition(".")[2] for key in keys}:
        for wrong in {f"{section}.{name}" for section in sections} - {*keys, *sections}:
            hint = unknown_key(f"parameters.configuration.{wrong}").partition(". ")[2]
            belongs = [key for key in keys if key.rpartition(".")[2] == name]
            assert f"'{wrong}'" not in hint and all(f"'{key}'" in hint for key in belongs), hint


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("training.epochs", '"5"', "must be a whole number. Received: '5'"),
        ("training.epochs", "5.0", "must be a whole number. Received: 5.0"),
        ("training.epochs", "true", "must be a whole number. Received: True"),
        ("training.epochs", "1e1", "must be a whole number"),
        ("training.learning_rate", '"0.1"', "must be a number. Received: '0.1'"),
        ("training.learning_rate", "yes", "must be a number. Received: True"),
        ("training.learning_rate", ".inf", "must be a finite number"),
        ("training.class_weights", '[1, "2", 3]', "must be a number. Received: '2'"),
        ("training.class_weights", '"123"', "must be a list"),
        ("head.pair_features", "1", "must be true or false. Received: 1"),
        ("head.pair_features", '"yes"', "must be true or false. Received: 'yes'"),
        ("encoders.text.trainable", '"2"', "must be all, or a whole number"),
        ("encoders.text.trainable", "{layers: 2}", "must be all, or a whole number"),
        ("split.test_fraction", "1", "must be less than 1"),
        ("split.test_fraction", "0", "must be greater than 0"),
        ("schedule.retries", "11", "must be at most 10"),
        ("split.method", "other", "must be 'stratified' or 'hash'"),
        ("task.name", "2024", "must be text, in quotes where it looks like something else. Received: 2024"),
        ("task.name", "2024-01-01", "must be text"),
        ("task.labels", "[yes, no]", "task.labels.0: must be text"),
        ("task.labels", "ab", "must be a list"),
        ("task.label_map", "{no: Implies}", "must be text"),
        ("dataset.images", "7", "must be text"),
    ],
)
def test_a_value_of_another_type_is_refused_wherever_it_comes_from(tmp_path, key, value, expected):
    section, _, name = key.rpartition(".")
    first, _, second = section.partition(".")
    below = f"{{{second}: {{{name}: {value}}}}}" if second else f"\n  {name}: {value}"
    (tmp_path / "c.yaml").write_text(f"seed: 7\n{first}: {below}\n")
    line = 2 if second else 3
    with pytest.raises(ConfigurationError) as caught:
        load_configuration(tmp_path / "c.yaml")
    assert f"c.yaml, line {line}: {key}" in str(caught.value) and expected in str(caught.value)
    with pytest.raises(ConfigurationError, match=f"^--set {key}: ") as caught:
        load_configuration(None, overrides=parse_assignments([f"{key}={value}"]))
    assert expected in str(caught.value)


def test_what_zenml_is_told_is_of_its_type_too(tmp_path):
    for text, fault in (("enable_cache: 'no'", "true or false"), ("tags: nightly", "a list")):
        (tmp_path / "c.yaml").write_text(f"run_name: mine\n{text}\n")
        with pytest.raises(ConfigurationError, match=rf"line 2: {text.partition(':')[0]}: must be {fault}"):
            load_run_configuration(tmp_path / "c.yaml")


def test_a_whole_number_and_one_with_an_exponent_are_numbers():
    for value, number in (("1", 1.0), ("1e-4", 1e-4), ("1.5e3", 1500.0), ("2E-05", 2e-5), ('"1e-4"', 1e-4)):
        overrides = parse_assignments([f"training.learning_rate={value}"])
        read = load_configuration(None, overrides=overrides).training.learning_rate
        assert (read, type(read)) == (number, float)


def test_a_configuration_comes_back_from_json_as_it_was():
    values = {"training.class_weights": (1, 2.0, 3), "task.label_map": {"no": "Implies"}, "seed": 3}
    configuration = with_values(Configuration(), values | {"encoders.text.trainable": "all"})
    assert Configuration.model_validate_json(configuration.model_dump_json()) == configuration
    assert Configuration.model_validate(configuration.model_dump(mode="json")) == configuration


def test_a_fault_of_a_whole_section_names_its_key_and_line(tmp_path):
    for text, expected in (
        (
            "seed: 1\nencoders:\n  text:\n    preprocessor: null\n    encode: pair",
            "line 5: encoders.text.encode: pair",
        ),
        ("task:\n  labels: [a, A]", "line 2: task.labels: two would have"),
        ("task:\n  labels:\n  - a\n  - 3", "line 4: task.labels.1: must be text"),
        (
            "training:\n  loss: focal\n  class_weights: [1, 2]",
            "line 3: training.class_weights: must be one for each",
        ),
        ("seed: 1\nhead: 5", "line 2: head: must hold keys and values"),
    ):
        (tmp_path / "c.yaml").write_text(text)
        with pytest.raises(ConfigurationError) as caught:
            load_configuration(tmp_path / "c.yaml")
        assert expected in str(caught.value) and "\n" not in str(caught.value)


def test_what_a_step_does_not_use_does_not_run_it_again():
    texts = with_values(Configuration(), {"inputs": "text", "task.labels": ["a", "b"]}).of_model()
    other = {"task.name": "other", "task.label_map": {"2": "a"}, "encoders.image.encoder": "other"}
    moved = with_values(Configuration(), {"inputs": "text", "task.labels": ["a", "b"]} | other).of_model()
    assert (
        moved != texts
        and moved.of_trials() == texts.of_trials()
        and moved.of_features() == texts.of_features()
    )
    named = with_values(Configuration(), {"task.name": "other"}).task
    assert named.of_rows() == Configuration().task and moved.task.of_rows() != texts.task.of_rows()
    kinds = with_values(Configuration(), {"encoders.image.encoder": "other"}).of_model()
    assert kinds.of_features() != Configuration().of_features()


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match="no configuration file"):
        load_configuration(tmp_path / "absent.yaml")


def test_assignments_are_read_as_yaml():
    assert parse_assignments(["training.epochs=5", "dataset.images=null"]) == {
        "training.epochs": 5,
        "dataset.images": None,
    }


@pytest.mark.parametrize(
    ("assignment", "expected"),
    [
        ("epochs=5", "no key 'epochs'. 'epochs' belongs to the section 'training' ('training.epochs')"),
        ("training.seed=5", "'seed' stands outside all sections"),
        ("training.epochs", "must be KEY=VALUE"),
        ("training=5", "'training' is a section: name a key in it, as training.loss"),
    ],
)
def test_wrong_assignments_are_named(assignment, expected):
    with pytest.raises(ConfigurationError) as caught:
        parse_assignments([assignment])
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("inputs", "trained"),
    [("multimodal", {"text": 2, "image": "all"}), ("text", {"text": 2}), ("image", {"image": "all"})],
)
def test_trained_encoders_are_those_of_the_inputs(inputs, trained):
    overrides = {"inputs": inputs, "encoders.text.trainable": 2, "encoders.image.trainable": "all"}
    assert load_configuration(None, overrides=overrides).encoders.trained(inputs) == trained
    assert Configuration().encoders.trained(inputs) == {}


@pytest.mark.parametrize("value", [True, -1, "some", 1.5])
def test_how_much_of_an_encoder_is_trained_is_a_count_or_all(value):
    with pytest.raises(ConfigurationError, match=r"encoders\.text\.trainable"):
        load_configuration(None, overrides={"encoders.text.trainable": value})


def test_other_values_leave_the_rest_and_are_validated():
    changed = with_values(Configuration(), {"training.epochs": 3, "inputs": "text"})
    expected = dotted(Configuration()) | {"training.epochs": 3, "inputs": "text"}
    assert dotted(changed) == expected
    with pytest.raises(ConfigurationError, match=r"training.epochs: .* Received: 0"):
        with_values(Configuration(), {"training.epochs": 0})


def test_a_configuration_written_as_yaml_is_read_back(tmp_path):
    values = {"training.class_weights": (1.0, 2.0, 3.0), "training.learning_rate": 0.00012345678901234567}
    configuration = with_values(Configuration(), values)
    (tmp_path / "c.yaml").write_text(as_yaml(configuration, "How it was made:\nby hand"))
    assert load_configuration(tmp_path / "c.yaml") == configuration
    assert (
        (tmp_path / "c.yaml")
        .read_text()
        .startswith(
            "# How it was made:\n# by hand\n\nparameters:\n  configuration:\n    inputs: multimodal\n"
        )
    )


def test_a_webhook_is_not_written_and_the_file_can_be_read(tmp_path):
    configuration = with_values(Configuration(), {"schedule.alert_url": "https://hooks.example/secret"})
    (tmp_path / "c.yaml").write_text(as_yaml(configuration, "made"))
    written = (tmp_path / "c.yaml").read_text()
    assert "secret and not in here" in written and "hooks.example" not in written and "***" not in written
    assert load_configuration(tmp_path / "c.yaml") == Configuration()


def test_merged_keys_of_yaml_are_no_repetition(tmp_path):
    anchors = "extra:\n  a: &a {epochs: 3}\n  b: &b {batch_size: 8}\n"
    (tmp_path / "c.yaml").write_text(
        f"{anchors}parameters: {{configuration: {{training: {{<<: *a, <<: *b}}}}}}"
    )
    assert load_configuration(tmp_path / "c.yaml").training.batch_size == 8


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "training: {epochs: 3}\nseed: 1\ntraining: {batch_size: 8}",
            "line 3: 'training' stands in line 1 already",
        ),
        ("training:\n  epochs: 3\n  epochs: 4", "line 3: 'training.epochs' stands in line 2 already"),
        ("tags: []\nparameters:\n  configuration: {}\ntags: [a]", "line 4: 'tags' stands in line 1 already"),
    ],
)
def test_a_key_that_stands_twice_is_named(tmp_path, text, words):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(ConfigurationError, match=words):
        load_configuration(tmp_path / "c.yaml")


def test_the_webhook_is_shown_nowhere():
    from entailment.reporting.model_card import training_command

    secret = "https://hooks.example/secret"
    configuration = load_configuration(None, None, {"schedule.alert_url": secret, "seed": 7})
    assert configuration.schedule.alert_url.get_secret_value() == secret
    for wrong in (
        {"schedule.alert_url": [secret]},
        {"schedule.alert_url": {"a": secret}},
        {"schedule": secret},
    ):
        with pytest.raises(ConfigurationError, match=r"schedule.*: must ") as caught:
            load_configuration(None, None, wrong)
        assert "hooks" not in str(caught.value)
    with pytest.raises(ConfigurationError, match=r"schedule\.alert_url: the value is no YAML") as caught:
        parse_assignments([f"schedule.alert_url='{secret}"])
    assert "hooks" not in str(caught.value)
    for shown in (str(configuration), configuration.model_dump_json(), str(dotted(configuration))):
        assert "hooks.example" not in shown
    assert (
        training_command(configuration.of_model(), configuration.evaluation, {"version": None})
        == "python run_pipeline.py train --set seed=7"
    )


def test_a_file_is_a_run_configuration_of_zenml(tmp_path):
    from zenml.config.pipeline_run_configuration import PipelineRunConfiguration

    file = PROJECT / "zenml_config.yaml"
    PipelineRunConfiguration.from_yaml(str(file))
    (tmp_path / "c.yaml").write_text("tags: [nightly]\nparameters: {configuration: {seed: 7}}\n")
    told = load_run_configuration(tmp_path / "c.yaml")
    assert (told.configuration.seed, told.options) == (7, {"tags": ["nightly"]})


def test_settings_at_the_top_are_read_with_a_warning_that_shows_the_new_form(tmp_path, caplog):
    (tmp_path / "c.yaml").write_text("training: {epochs: 3}\n")
    assert load_configuration(tmp_path / "c.yaml").training.epochs == 3
    assert "parameters:\n  configuration:\n    training: ..." in caplog.text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "parameters:\n  configuration:\n    training:\n      epoch: 3\n",
            "line 4: there is no key 'training.epoch'",
        ),
        (
            "parameters:\n  configuration:\n    training:\n      epochs: 0\n",
            "line 4: training.epochs: must be at least 1. Received: 0.",
        ),
        (
            "enable_cache: true\nparameter: {}\n",
            "line 2: there is no key 'parameter'. Did you mean 'parameters'?",
        ),
        ("parameters: {config: {}}\n", "Did you mean 'parameters.configuration'?"),
        ("parameters: {configuration: [1]}\n", "line 1: it must hold keys and values"),
        ("parameters: [1]\n", "line 1: it must hold keys and values"),
    ],
)
def test_a_fault_names_its_line(tmp_path, text, expected):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load_configuration(tmp_path / "c.yaml")
    assert f"{tmp_path / 'c.yaml'}" in str(caught.value) and expected in str(caught.value)


@pytest.mark.parametrize(
    ("labels", "fault"),
    [
        (["one"], "must have at least 2 items"),
        ([f"class {number}" for number in range(21)], "must have at most 20 items"),
        (["Not It", "not_it"], "columns and metrics of 'not_it'"),
        (["?", "!"], "must hold a letter or a digit"),
    ],
)
def test_labels_that_cannot_be_told_apart_are_refused(labels, fault):
    with pytest.raises(ConfigurationError, match=fault):
        load_configuration(None, overrides={"task.labels": labels})


def test_what_belongs_to_the_labels_is_held_against_them():
    with pytest.raises(ConfigurationError, match=r"one for each of the 3 labels\. Received: 2"):
        load_configuration(None, overrides={"training.class_weights": [1, 2]})
    with pytest.raises(ConfigurationError, match="'2' stands for 'Neither', which is none of the labels"):
        load_configuration(None, overrides={"task.label_map": {"2": "Neither"}})


def test_a_section_that_is_none_is_refused_also_where_an_option_is_in_it(tmp_path):
    (tmp_path / "c.yaml").write_text("parameters: {configuration: {training: focal}}")
    for preset, overrides in (
        (None, {"training.epochs": 1}),
        (PROJECT / "configs" / "keras_example.yaml", {}),
    ):
        with pytest.raises(ConfigurationError, match=r"line 1: training: must hold keys and values"):
            load_configuration(tmp_path / "c.yaml", preset, overrides)
