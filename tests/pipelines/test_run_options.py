"""What a file tells ZenML: what ZenML would pass over is refused, by file and line, before anything runs."""

import pytest

from entailment.configuration.loading import load_run_configuration
from entailment.errors import ConfigurationError
from pipelines.run_options import check_run_options


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ("steps: {trian: {}}", "there is no key 'steps.trian'. Did you mean 'train'?"),
        ("steps: {xyzzy: {}}", "There are: compare, crossval,"),
        ("steps: {train_text_foca_42: {}}", "there is no key 'steps.train_text_foca_42'."),
        ("steps: {trial: {}}", "steps.trial: each trial is a step, as train_text_focal_42"),
        ("steps: {train: {retires: 1}}", "'steps.train.retires'. Did you mean 'retry'?"),
        ("steps: {train: {retry: {max_retires: 1}}}", "Did you mean 'max_retries'?"),
        (
            "steps: {train: {retry: {max_retries: '1'}}}",
            "steps.train.retry.max_retries: must be a whole number.",
        ),
        ("steps: {train: {enable_cache: 'no'}}", "steps.train.enable_cache: must be true or false."),
        ("steps: {train: [retry]}", "steps.train: must hold keys and values."),
        ("steps: {train: {settings: {dcker: {}}}}", "'steps.train.settings.dcker'. Did you mean 'docker'?"),
        ("settings: {dcker: {}}", "there is no key 'settings.dcker'. Did you mean 'docker'?"),
        ("settings: {orchstrator: {}}", "Did you mean 'orchestrator'?"),
        ("settings: {docker: {parent_imag: a}}", "Did you mean 'parent_image'?"),
        ("settings: {resources: {cpu_count: many}}", "settings.resources.cpu_count: must be a number."),
        ("retry: {max_retires: 1}", "'retry.max_retires'. Did you mean 'max_retries'?"),
        ("model: {nme: a}", "there is no key 'model.nme'. Did you mean 'name'?"),
        ("model: {}", "model: 'name' is missing."),
        ("run_name: 'x{foo}'", "run_name: there is no placeholder {foo}. There are: {date}, {time}."),
        ("run_name: 'x{foo'", "run_name: expected '}' before end of string."),
        ("tags: [{nme: a}]", "there is no key 'tags.0.nme'. Did you mean 'name'?"),
        ("tags: [{name: a, color: rd}]", "tags.0.color: must be 'grey', 'purple'"),
    ],
)
def test_what_zenml_does_not_know_is_refused_with_its_line(tmp_path, told, said):
    (tmp_path / "c.yaml").write_text(f"enable_cache: true\n{told}\nextra: {{anything: 1}}\n")
    with pytest.raises(ConfigurationError) as caught:
        check_run_options(load_run_configuration(tmp_path / "c.yaml"))
    assert str(caught.value).startswith(f"{tmp_path / 'c.yaml'}, line 2: ") and said in str(caught.value)


def test_steps_of_every_pipeline_and_components_of_every_stack_may_stand_in_a_file(tmp_path):
    (tmp_path / "c.yaml").write_text(
        "run_name: 'mine {date} {who}'\nsubstitutions: {who: me}\n"
        "tags: [nightly, {name: mine, color: red}]\n"
        "model: {name: ours, version: latest}\n"
        "settings: {docker: {parent_image: mine}, resources: {cpu_count: 4}, orchestrator.kubernetes: {a: 1}}\n"
        "steps:\n  train: {retry: {max_retries: 2, delay: 60}}\n  search: {}\n  train_fold_3: {}\n"
        "  train_multimodal_focal_42: {settings: {step_operator: {b: 1}}, cache_policy: default}\n"
    )
    check_run_options(load_run_configuration(tmp_path / "c.yaml"))
