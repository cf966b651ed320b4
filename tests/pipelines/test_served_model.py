"""The registered model behind MLflow's own server: requests as people send them."""

import base64
import json
import socket
import textwrap
import threading

import pytest

from entailment.task import LABELS
from tests.pipelines.workspace import small_workspace

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    return small_workspace(tmp_path_factory.mktemp("workspace"))


@pytest.fixture(scope="module")
def first(workspace):
    return workspace.result()


@pytest.fixture
def served(first, workspace):
    """Asks MLflow's own server for the registered model: `served(body)` gives status and what was answered."""
    import mlflow
    import requests
    import uvicorn
    from mlflow.pyfunc import scoring_server

    mlflow.set_tracking_uri(workspace.tracking_uri)
    app = scoring_server.init(mlflow.pyfunc.load_model("models:/multimodal-entailment@champion"))
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()

    def ask(body, kind="application/json"):
        address = f"http://127.0.0.1:{listening.getsockname()[1]}/invocations"
        given = body if isinstance(body, str) else json.dumps(body)
        answer = requests.post(address, data=given.encode(), headers={"content-type": kind}, timeout=60)
        return answer.status_code, json.loads(answer.text, parse_constant=lambda name: f"{name} is no JSON")

    yield ask
    server.should_exit = True
    thread.join()


def test_the_registered_model_answers_requests_as_people_send_them(served, workspace):
    image = base64.b64encode(next((workspace.folder / "data" / "images").iterdir()).read_bytes()).decode()
    texts = {"text_1": "a bridge", "text_2": "the bridge"}
    seen = {**texts, "image_1": image}
    columns = [*seen]
    same = {
        "records": {"dataframe_records": [seen, {**texts, "image_1": None}, texts]},
        "split": {
            "dataframe_split": {"columns": columns, "data": [[*seen.values()], [*texts.values(), None]]}
        },
        "instances": {"instances": [seen, {**texts, "image_1": ""}]},
        "inputs": {"inputs": {name: [value] for name, value in seen.items()}},
        "harmless": {"dataframe_records": [{**seen, "id_1": "7", "label": "Implies"}]},
    }
    answers = {name: served(body) for name, body in same.items()}
    assert {status for status, _ in answers.values()} == {200}, answers
    expected = answers["records"][1]["predictions"]
    assert {row["error"] for row in expected} == {""} and expected[1] == expected[2] != expected[0]
    for name, (_, answer) in answers.items():
        for row, reference in zip(answer["predictions"], expected, strict=False):
            assert row == pytest.approx(reference, abs=1e-5), name
    lines = f"text_1,text_2,image_1\na bridge,the bridge,{image}\na bridge,the bridge,\n"
    for row, reference in zip(served(lines, "text/csv")[1]["predictions"], expected, strict=False):
        assert row == pytest.approx(reference, abs=1e-5)


def test_a_request_with_a_fault_is_told_so_and_its_other_rows_are_answered(served):
    texts = {"text_1": "a bridge", "text_2": "the bridge"}
    odd = [
        {"text_1": "", "text_2": " "},
        {**texts, "image_1": "https://a.example/b.jpg"},
        {**texts, "image_1": "?"},
    ]
    status, answer = served({"dataframe_records": [texts, *odd]})
    good, empty, address, other = answer["predictions"]
    assert status == 200 and good["error"] == "" and good["label"] in LABELS
    assert (
        empty["label"] == "" and empty["p_implies"] is None and empty["error"].startswith("nothing to judge")
    )
    assert (
        address["error"]
        == "image_1: must be the bytes of an image file, in JSON and CSV as base64, not an address"
    )
    assert "is no base64" in other["error"] and other["p_implies"] is None
    wrapped = {
        **texts,
        "image_1": "\n".join(textwrap.wrap(base64.b64encode(b"no picture" * 20).decode(), 76)),
    }
    assert "not a JPEG" in served({"dataframe_records": [wrapped]})[1]["predictions"][0]["error"]
    status, answer = served({"dataframe_records": [{"text1": "a"}, {"text1": "b"}]})
    assert (
        status == 400 and "At least one of the columns text_1, text_2, image_1, image_2" in answer["message"]
    )
