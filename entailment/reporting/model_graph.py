"""Pictures of the trained network and of what is served."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from entailment.configuration.model import ModelConfiguration
from entailment.inputs import kind_named
from entailment.model.head import kind_of
from entailment.reporting.graph import OTHER, Box, graph_figure
from entailment.task import KINDS, columns_of

if TYPE_CHECKING:
    import keras
    from matplotlib.figure import Figure

COLORS = {
    "InputLayer": "#dbeafe",
    "Dense": "#d9f2e3",
    "Dropout": "#eceff3",
    "LayerNormalization": "#fdf0d2",
    "BatchNormalization": "#fdf0d2",
    "Activation": "#fde3dd",
    "Add": "#e9e0f8",
    "Concatenate": "#e9e0f8",
    "encoder": "#fbe4c9",
    "column": "#dbeafe",
}


def model_figure(model: "keras.Model", config: ModelConfiguration) -> "Figure":
    """Draws the encoders, and each call of a layer as a box (name, class, output shape and type), inputs on top.

    A layer that is called several times has a box for each call, marked `shared`; an input that nothing reads has
    none; a model inside the model is one box. Raises ValueError for a model that is not a functional one.
    """
    # Keras tells the calls of layers in no public way; its own summary() reads these attributes too.
    by_depth: dict[int, list[Any]] | None = getattr(model, "_nodes_by_depth", None)
    if by_depth is None:
        raise ValueError(f"model must be a functional Keras model. Received: {type(model).__name__}")
    nodes = [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]
    encoders = _encoders(model, config, {})
    calls = _calls(model, nodes, encoders)
    read = [encoder for encoder in encoders.values() if any(encoder in call.parents for call in calls)]
    below = f"{len(calls):,} calls of layers, {model.count_params():,} parameters"
    return graph_figure([*read, *calls], f"The network: {model.name}", below)


def served_model_figure(model: "keras.Model", config: ModelConfiguration) -> "Figure":
    """Draws what is served around the network `model`: from the columns of a request to those of its answer."""
    color = COLORS["column"]
    columns = {
        kind: tuple(Box(name, (kind_named(kind).served_as, "or absent"), color) for name in columns_of(kind))
        for kind in KINDS
    }
    encoders = _encoders(model, config, columns)
    head = Box(
        model.name, (f"{model.count_params():,} parameters",), COLORS["Dense"], tuple(encoders.values())
    )
    answers = [
        Box("label", ("string", "or none"), color, (head,)),
        Box("p_<class>", ("float64", f"of {len(config.task.labels)} classes"), color, (head,)),
        Box("error", ("string", "why there is no label"), color, (head,)),
    ]
    given = [column for kind in encoders for column in columns[kind]]
    below = "columns of a request on top, those of the answer at the bottom"
    return graph_figure(
        [*given, *encoders.values(), head, *answers], f"The registered model: {config.task.name}", below
    )


def _encoders(
    model: "keras.Model", config: ModelConfiguration, columns: Mapping[str, tuple[Box, ...]]
) -> dict[str, Box]:
    """By kind of input its encoder (its handle or its file, and whether it was trained with the head), which reads
    the kind's `columns`, if any.
    """
    handles, amounts = config.encoders.handles(config.inputs), config.encoders.trained(config.inputs)
    trained: dict[Any, str] = {None: "frozen", "all": "trained", 1: "last layer trained"}
    kinds = dict.fromkeys(kind_of(tensor.name) for tensor in model.inputs)
    return {
        kind: Box(
            f"{kind} encoder",
            (
                handles.get(kind, f"{kind}.py"),
                trained.get(amounts.get(kind), f"last {amounts.get(kind)} layers trained"),
            ),
            COLORS["encoder"],
            columns.get(kind, ()),
        )
        for kind in kinds
        if kind in KINDS
    }


def _calls(model: "keras.Model", nodes: Sequence[Any], encoders: dict[str, Box]) -> list[Box]:
    """The calls of the model's layers, each after those that it reads; `encoders` feed the inputs of their kind."""
    places = {id(tensor._keras_history.operation): place for place, tensor in enumerate(model.inputs)}
    nodes = sorted(nodes, key=lambda node: places.get(id(node.operation), len(places)))
    called = [id(node.operation) for node in nodes]
    read = {id(parent) for node in nodes for parent in node.parent_nodes}
    boxes: dict[int, Box] = {}
    for node in nodes:
        name = node.operation.name
        if node.is_input:
            encoder = None if name.endswith("_present") else encoders.get(kind_of(name))
            if id(node) in read:
                boxes[id(node)] = _box(node, (encoder,) if encoder else ())
            continue
        parents = tuple(boxes[key] for key in dict.fromkeys(map(id, node.parent_nodes)))
        boxes[id(node)] = _box(node, parents, shared=called.count(id(node.operation)) > 1)
    return list(boxes.values())


def _box(node: Any, parents: tuple[Box, ...], *, shared: bool = False) -> Box:
    """The box of one call."""
    operation = node.operation
    kind = type(operation).__name__
    activation = getattr(getattr(operation, "activation", None), "__name__", "linear")
    shape = ", ".join(f"{tuple(output.shape)} {output.dtype}" for output in node.outputs)
    title = kind if activation == "linear" else f"{kind} ({activation})"
    lines = f"{title}, shared" if shared else title, shape
    return Box(operation.name, lines, COLORS.get(kind, OTHER), parents)
