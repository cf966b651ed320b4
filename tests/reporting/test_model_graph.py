import warnings
from itertools import pairwise

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import FancyBboxPatch

from entailment.configuration.model import ModelConfiguration
from entailment.reporting.figures import save_figure
from entailment.reporting.model_graph import model_figure, served_model_figure


def projected(x, name, blocks):
    from keras import layers

    x = layers.Dense(8, name=f"{name}_projection")(x)
    for block in range(blocks):
        y = layers.Activation("gelu", name=f"{name}_gelu_{block}")(x)
        y = layers.Dense(8, name=f"{name}_dense_{block}")(y)
        y = layers.Dropout(0.1, name=f"{name}_dropout_{block}")(y)
        y = layers.Add(name=f"{name}_add_{block}")([x, y])
        x = layers.LayerNormalization(name=f"{name}_normalization_{block}")(y)
    return x


def head(blocks=1):
    """The shape of this project's head: six inputs, two residual branches, one answer."""
    import keras
    from keras import layers

    texts = [keras.Input((16,), name=f"text_{side}") for side in (1, 2)]
    images = [keras.Input((32,), name=f"image_{side}") for side in (1, 2)]
    present = [keras.Input((1,), name=f"present_{side}") for side in (1, 2)]
    pairs = zip(images, present, strict=True)
    masked = [layers.Multiply(name=f"mask_{i}")(list(pair)) for i, pair in enumerate(pairs)]
    branches = [
        projected(layers.Concatenate(name="texts")(texts), "text", blocks),
        projected(layers.Concatenate(name="images")(masked), "image", blocks),
    ]
    joined = layers.Concatenate(name="modalities")(branches)
    answer = layers.Dense(3, activation="softmax", name="answer")(joined)
    return keras.Model([*texts, *images, *present], answer, name="head")


def drawn(model):
    return model_figure(model, ModelConfiguration())


def boxes(figure):
    """Name -> list of (left, top, right, bottom) in inches, y downwards."""
    found = {}
    for patch in figure.axes[0].patches:
        if isinstance(patch, FancyBboxPatch):
            x, y = patch.get_x(), patch.get_y()
            found.setdefault(patch.get_gid(), []).append(
                (x, y, x + patch.get_width(), y + patch.get_height())
            )
    return found


def edges(figure):
    """The curves of the figure as arrays of their path's points."""
    return [p.get_path().vertices for p in figure.axes[0].patches if not isinstance(p, FancyBboxPatch)]


def assert_sound(figure):
    """No two boxes touch, every curve runs downwards and through no box, everything lies inside the figure."""
    flat = np.array([box for same in boxes(figure).values() for box in same])
    for index, (left, top, right, bottom) in enumerate(flat):
        rest = flat[index + 1 :]
        apart = (rest[:, 0] > right) | (rest[:, 2] < left) | (rest[:, 1] > bottom) | (rest[:, 3] < top)
        assert apart.all()
    for points in edges(figure):
        assert (np.diff(points[:, 1]) >= 0).all()
        for (x, upper), (_, lower) in pairwise(points[3:]):
            inside = (flat[:, 0] < x) & (x < flat[:, 2]) & (flat[:, 1] < lower) & (flat[:, 3] > upper)
            assert not inside.any()
    left, right = figure.axes[0].get_xlim()
    lower, upper = figure.axes[0].get_ylim()
    assert left < flat[:, 0].min() and flat[:, 2].max() < right
    assert upper < flat[:, 1].min() and flat[:, 3].max() < lower


def lines(figure, name):
    """What is written below the name in the one box of that name."""
    [(left, top, right, bottom)] = boxes(figure)[name]
    inside = [
        text
        for text in figure.axes[0].texts
        if left < text.get_position()[0] < right and top < text.get_position()[1] < bottom
    ]
    return [text.get_text() for text in inside[1:]]


def middle(found, name):
    left, top, right, bottom = found[name][0]
    return (left + right) / 2, (top + bottom) / 2


@pytest.fixture(scope="module")
def drawn_head():
    return drawn(head())


def test_every_layer_has_a_box_with_name_class_and_shape(drawn_head):
    model = head()
    encoders = {"text encoder", "image encoder"}
    assert set(boxes(drawn_head)) == {layer.name for layer in model.layers} | encoders
    assert lines(drawn_head, "answer") == ["Dense (softmax)", "(None, 3) float32"]
    assert lines(drawn_head, "text_gelu_0") == ["Activation (gelu)", "(None, 8) float32"]
    assert lines(drawn_head, "present_1") == ["InputLayer", "(None, 1) float32"]
    assert lines(drawn_head, "text encoder") == ["minilm", "frozen"]
    assert drawn_head.texts[0].get_text() == "The network: head"
    assert f"{model.count_params():,} parameters" in drawn_head.texts[1].get_text()


def test_data_run_downwards_past_all_boxes(drawn_head):
    assert_sound(drawn_head)
    found = boxes(drawn_head)
    for name, branch in (("text", "texts"), ("image", "images")):
        chain = ["projection", "gelu_0", "dense_0", "dropout_0", "add_0", "normalization_0"]
        column = [middle(found, branch), *(middle(found, f"{name}_{part}") for part in chain)]
        assert np.ptp([x for x, _ in column]) < 0.02
        assert (np.diff([y for _, y in column]) > 0.5).all()


def test_every_edge_of_the_model_arrives(drawn_head):
    arrivals = {}
    for points in edges(drawn_head):
        for name, [(left, top, right, _)] in boxes(drawn_head).items():
            if left < points[-1][0] < right and points[-1][1] == pytest.approx(top):
                arrivals[name] = arrivals.get(name, 0) + 1
    assert arrivals["text_add_0"] == arrivals["image_add_0"] == 2
    assert arrivals["modalities"] == arrivals["mask_0"] == 2
    assert arrivals["answer"] == arrivals["text_gelu_0"] == 1
    assert arrivals["text_1"] == arrivals["image_2"] == 1
    assert "present_1" not in arrivals and "text encoder" not in arrivals


def test_inputs_keep_their_order_and_stand_above_their_reader(drawn_head):
    found = boxes(drawn_head)
    assert middle(found, "text_1")[0] < middle(found, "text_2")[0] < middle(found, "mask_0")[0]
    assert middle(found, "image_1")[0] < middle(found, "image_2")[0]
    assert middle(found, "text_1")[1] == middle(found, "mask_0")[1]


def test_sixty_layers_are_drawn_without_a_warning():
    figure = drawn(head(blocks=5))
    assert_sound(figure)
    assert sum(map(len, boxes(figure).values())) == 64 + 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
    for text in figure.axes[0].texts:
        extent = text.get_window_extent(canvas.get_renderer())
        assert extent.width < 3.2 * figure.dpi


def test_text_fits_its_box(drawn_head):
    canvas = FigureCanvasAgg(drawn_head)
    canvas.draw()
    flat = [box for same in boxes(drawn_head).values() for box in same]
    for text in drawn_head.axes[0].texts:
        x, y = text.get_position()
        [(left, _, right, _)] = [box for box in flat if box[0] < x < box[2] and box[1] < y < box[3]]
        assert text.get_window_extent(canvas.get_renderer()).width / drawn_head.dpi < right - left - 0.1


def test_shared_layers_operations_and_inner_models():
    import keras
    from keras import layers

    first, second = keras.Input((4,), name="first"), keras.Input((4,), name="second")
    shared = layers.Dense(4, name="twice")
    inner = keras.Sequential([keras.Input((16,)), layers.Dense(2)], name="inner")
    parts = [shared(first), shared(second), first, keras.ops.absolute(first - second)]
    figure = drawn(keras.Model([first, second], inner(layers.Concatenate(name="all")(parts))))
    assert_sound(figure)
    found = boxes(figure)
    assert len(found["twice"]) == 2
    assert len(found["inner"]) == 1
    shown = [text.get_text() for text in figure.axes[0].texts]
    assert shown.count("Dense, shared") == 2 and "Absolute" in shown


def test_a_layer_called_twice_in_a_row_is_no_circle():
    import keras
    from keras import layers

    inputs = keras.Input((4,))
    shared = layers.Dense(4, name="again")
    figure = drawn(keras.Model(inputs, shared(shared(inputs))))
    assert_sound(figure)
    (first, second) = boxes(figure)["again"]
    assert first[3] < second[1] or second[3] < first[1]


def test_an_input_that_nothing_reads_is_not_drawn():
    import keras
    from keras import layers

    read, unread = keras.Input((4,), name="read"), keras.Input((4,), name="unread")
    figure = drawn(keras.Model([read, unread], layers.Dense(2)(read)))
    assert_sound(figure)
    assert "read" in boxes(figure) and "unread" not in boxes(figure)


@pytest.mark.parametrize(
    ("trainable", "said"), [("all", "trained"), (1, "last layer trained"), (2, "last 2 layers trained")]
)
def test_encoders_that_were_trained_with_the_head_say_so(trainable, said):
    config = ModelConfiguration.model_validate({"encoders": {"text": {"trainable": trainable}}})
    figure = model_figure(head(), config)
    assert lines(figure, "text encoder") == ["minilm", said]
    assert lines(figure, "image encoder")[1] == "frozen"


def test_what_is_served_is_drawn_from_the_columns_of_a_request_to_those_of_its_answer():
    figure = served_model_figure(head(), ModelConfiguration())
    assert_sound(figure)
    found = boxes(figure)
    levels = [
        {"text_1", "text_2", "image_1", "image_2"},
        {"text encoder", "image encoder"},
        {"head"},
        {"label", "p_<class>", "error"},
    ]
    heights = {name: middle(found, name)[1] for name in found}
    assert [
        {name for name in found if heights[name] == height} for height in sorted(set(heights.values()))
    ] == levels
    assert lines(figure, "text_1")[0] == "string" and lines(figure, "image_2")[0] == "bytes of an image file"


@pytest.mark.parametrize("seed", range(5))
def test_random_graphs_are_sound(seed):
    import keras
    from keras import layers

    generator = np.random.default_rng(seed)
    tensors = [keras.Input((2,)) for _ in range(4)]
    inputs = list(tensors)
    for _ in range(25):
        count = generator.integers(2, 4)
        picked = generator.choice(len(tensors), count, replace=False)
        tensors.append(layers.Add()([tensors[i] for i in picked]))
    figure = drawn(keras.Model(inputs, layers.Concatenate()(tensors)))
    assert_sound(figure)
    assert sum(map(len, boxes(figure).values())) == 30


def test_a_very_deep_model_and_long_names_are_still_drawn():
    import keras
    from keras import layers

    x = inputs = keras.Input((1,), name="$in$" + "n" * 200)
    for _ in range(500):
        x = layers.ReLU()(x)
    figure = drawn(keras.Model(inputs, x, name="m" * 300))
    assert_sound(figure)
    assert max(figure.get_size_inches()) * figure.dpi < 2**16
    assert figure.axes[0].texts[0].get_text().startswith("$in$nnn")
    assert figure.axes[0].texts[0].get_text().endswith("…")


def test_the_same_model_gives_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        save_figure(drawn(head()), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_other_models_are_named():
    import keras

    class Own(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(ValueError, match=r"must be a functional Keras model. Received: Own"):
        drawn(Own())
