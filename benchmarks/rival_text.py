"""The other side of text_encoding.py, run by the Python of its own virtual environment; not a command by itself.

Arguments: a folder with the model in Hugging Face's form, a JSON list of texts, how many threads, how many tokens
a text is cut to. Then one JSON request a line on standard input, `["sentence-transformers", rows a batch]` or
`["onnx", rows a batch]`, and one answer a line on standard output: the file of the vectors, float32 [n, width].
`tokens.json` in the folder holds the token ids of each text.
"""

import json
import os
import sys
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import onnxruntime
import torch
from sentence_transformers import SentenceTransformer, models

INPUTS = ("input_ids", "attention_mask", "token_type_ids")


class States(torch.nn.Module):
    """The last states of a Hugging Face model, which is called by keyword."""

    def __init__(self, network: torch.nn.Module) -> None:
        """Wraps the model."""
        super().__init__()
        self.network = network

    def forward(self, ids: torch.Tensor, mask: torch.Tensor, types: torch.Tensor) -> torch.Tensor:
        """float32 [rows, length, width]."""
        return self.network(input_ids=ids, attention_mask=mask, token_type_ids=types).last_hidden_state


def onnx_session(model: SentenceTransformer, folder: Path, threads: int) -> onnxruntime.InferenceSession:
    """The same network in ONNX Runtime, after its own optimiser for transformers."""
    from onnxruntime.transformers import optimizer

    exported, optimised = folder / "model.onnx", folder / "optimised.onnx"
    if not optimised.is_file():
        ids = torch.ones((2, 8), dtype=torch.int64)
        axes = {0: "rows", 1: "length"}
        network = model[0].auto_model
        before = network.config._attn_implementation
        network.set_attn_implementation("eager")  # the form that the optimiser knows how to fuse
        torch.onnx.export(
            States(network),
            (ids, ids, torch.zeros_like(ids)),
            str(exported),
            input_names=list(INPUTS),
            output_names=["states"],
            dynamic_axes=dict.fromkeys((*INPUTS, "states"), axes),
            dynamo=False,
        )
        network.set_attn_implementation(before)
        optimizer.optimize_model(
            str(exported), "bert", network.config.num_attention_heads, network.config.hidden_size, opt_level=1
        ).save_model_to_file(str(optimised))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(str(optimised), options, providers=["CPUExecutionProvider"])


def onnx_vectors(
    session: onnxruntime.InferenceSession, model: SentenceTransformer, texts: list[str], rows: int
) -> np.ndarray:
    """Mean states of the texts, sorted by their number of tokens and padded to the longest of each batch."""
    tokenizer, longest = model.tokenizer, model.max_seq_length
    encoded = tokenizer(texts, truncation=True, max_length=longest)
    order = sorted(range(len(texts)), key=lambda place: -len(encoded["input_ids"][place]))
    vectors = np.empty((len(texts), model[0].auto_model.config.hidden_size), np.float32)
    for start in range(0, len(order), rows):
        places = order[start : start + rows]
        batch = tokenizer.pad(
            {name: [encoded[name][place] for place in places] for name in encoded}, return_tensors="np"
        )
        states = session.run(["states"], {name: batch[name].astype(np.int64) for name in INPUTS})[0]
        mask = batch["attention_mask"][:, :, None].astype(np.float32)
        vectors[places] = (states * mask).sum(1) / mask.sum(1)
    return vectors


def main() -> None:
    """Loads everything, then answers requests until the input ends."""
    folder, texts = Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text())
    threads, length = int(sys.argv[3]), int(sys.argv[4])
    answers, sys.stdout = sys.stdout, sys.stderr  # what the libraries print is no answer
    torch.set_num_threads(threads)
    transformer = models.Transformer(str(folder), max_seq_length=length)
    width = transformer.get_word_embedding_dimension()
    model = SentenceTransformer(
        modules=[transformer, models.Pooling(width), models.Normalize()], device="cpu"
    )
    session = onnx_session(model, folder, threads)
    ids = model.tokenizer(texts, truncation=True, max_length=length)["input_ids"]
    (folder / "tokens.json").write_text(json.dumps(ids))
    for line in sys.stdin:
        name, rows = json.loads(line)
        if name == "onnx":
            vectors = onnx_vectors(session, model, texts, rows)
        else:
            vectors = model.encode(texts, batch_size=rows, show_progress_bar=False)
        path = folder / f"{name}.npy"
        np.save(path, vectors)
        print(path, file=answers, flush=True)


if __name__ == "__main__":
    main()
