"""Pictures of graphs without cycles, drawn with matplotlib alone: no Graphviz on the machine.

The layout is the layered one of Sugiyama, Tagawa and Toda (Methods for visual understanding of hierarchical
system structures, 1981): levels by longest path, places on each level that edges lead through, few crossings.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from entailment.reporting.figures import FAINT, INK, heading, new_figure, write
from entailment.reporting.fonts import drawable, fitted, text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAME_SIZE, KIND_SIZE = 10, 9  # points
BOX_HEIGHT, BETWEEN_LEVELS, BETWEEN_BOXES = 0.7, 0.34, 0.22  # inches
NARROWEST, WIDEST, MARGIN, HEADING = 1.3, 3.2, 0.3, 0.95  # inches
LARGEST = 400  # inches; matplotlib draws no picture of more than 65,536 dots a side
PADDING = 0.1  # inches beside the text in a box
SWEEPS, ROUNDS, TOLERANCE = 12, 40, 0.005  # of the layout; inches
OTHER = "#e3f1f4"


@dataclass(frozen=True, eq=False)
class Box:
    """A call of a layer, or what stands before or behind the network: what is written into it (one or two lines below
    its name), its colour, and the boxes that its data come from.
    """

    name: str
    lines: tuple[str, ...]
    color: str = OTHER
    parents: tuple["Box", ...] = ()


@dataclass(eq=False)
class Point:
    """A place on a level: a box, or (without a name) where an edge leads through a level. Sizes in inches.

    `above` and `below` are its neighbours along the edges, on the levels next to its own.
    """

    level: int
    width: float
    name: str = ""
    lines: tuple[str, ...] = ()
    color: str = OTHER
    x: float = 0.0
    above: list["Point"] = field(default_factory=list)
    below: list["Point"] = field(default_factory=list)

    @property
    def passing(self) -> bool:
        """Whether this is no box."""
        return not self.name


@dataclass(eq=False)
class Chain:
    """Points that stand in one column, and the boxes elsewhere that they should be near to."""

    points: list[Point]
    near: list[Point] = field(default_factory=list)
    x: float = 0.0


def graph_figure(boxes: Sequence[Box], title: str, below: str) -> "Figure":
    """Draws boxes, arrows along the data; each box is listed after its parents."""
    levels, chains = _graph(boxes)
    _reduce_crossings(levels)
    _place(levels, chains)
    points = [point for level in levels for point in level]
    left = min(point.x - point.width / 2 for point in points)
    right = max(point.x + point.width / 2 for point in points)
    width = max(right - left + 2 * MARGIN, text_width(drawable(title), 13, "bold") + 0.6, 5.0)
    height = HEADING + len(levels) * (BOX_HEIGHT + BETWEEN_LEVELS) - BETWEEN_LEVELS + MARGIN
    scale = min(1.0, LARGEST / max(width, height))
    figure = new_figure(width * scale, height * scale)
    axes = figure.add_axes((0, 0, 1, 1))
    middle = (left + right) / 2
    axes.set(xlim=(middle - width / 2, middle + width / 2), ylim=(height - HEADING, -HEADING))
    axes.axis("off")
    for point in points:
        for parent in point.above:
            _draw_edge(axes, parent, point)
        if not point.passing:
            _draw_box(axes, point, scale)
    heading(figure, title, below)
    return figure


def _graph(boxes: Sequence[Box]) -> tuple[list[list[Point]], list[Chain]]:
    """The boxes by level, each level from left to right, and the columns they form.

    A box's level is set by its longest way to an end, so that an input stands right above its reader.
    """
    to_end: dict[Box, int] = {}
    for box in reversed(boxes):
        for parent in box.parents:
            to_end[parent] = max(to_end.get(parent, 0), to_end.get(box, 0) + 1)
    deepest = max(to_end.values(), default=0)
    points = {box: _point(box, deepest - to_end.get(box, 0)) for box in boxes}
    parents = {points[box]: [points[parent] for parent in box.parents] for box in boxes}
    order: dict[Point, float] = {}
    for place, (point, its_parents) in enumerate(parents.items()):
        order[point] = _mean([order[parent] for parent in its_parents], otherwise=place)
    chains = _columns(parents)
    levels: list[list[Point]] = [[] for _ in range(deepest + 1)]
    for point in parents:
        levels[point.level].append(point)
    for child, its_parents in parents.items():
        for above in its_parents:
            passing = _connect(above, child)
            if passing:
                chains.append(Chain(passing, [above, child]))
            for point in passing:
                order[point] = order[above]
                levels[point.level].append(point)
    for level in levels:
        level.sort(key=order.__getitem__)
    return levels, chains


def _point(box: Box, level: int) -> Point:
    """The place of a box, as wide as its texts need."""
    room = WIDEST - 2 * PADDING
    name = fitted(box.name, NAME_SIZE, room, "bold") or "?"
    lines = tuple(fitted(line, KIND_SIZE, room) for line in box.lines)
    needed = max(text_width(name, NAME_SIZE, "bold"), *(text_width(line, KIND_SIZE) for line in lines))
    return Point(level, max(NARROWEST, needed + 2 * PADDING), name, lines, box.color)


def _connect(parent: Point, child: Point) -> list[Point]:
    """Links two boxes through a new passing point on every level between them, and returns those points."""
    passing = [Point(level, 0.1) for level in range(parent.level + 1, child.level)]
    for upper, lower in pairwise([parent, *passing, child]):
        upper.below.append(lower)
        lower.above.append(upper)
    return passing


def _columns(parents: dict[Point, list[Point]]) -> list[Chain]:
    """Puts a box into its parent's column where the data goes from one to the other alone.

    Shortcuts (edges that a longer way goes round, such as residual ones) count neither here nor for what a
    column should be near to. `parents` names each box's parents and lists every box after them.
    """
    ancestors: dict[Point, set[Point]] = {}
    main: dict[Point, list[Point]] = {}
    children: dict[Point, list[Point]] = {box: [] for box in parents}
    for box, its_parents in parents.items():
        around = set().union(*(ancestors[parent] for parent in its_parents))
        ancestors[box] = around | set(its_parents)
        main[box] = [parent for parent in its_parents if parent not in around]
        for parent in main[box]:
            children[parent].append(box)
    column: dict[Point, Chain] = {}
    for box in parents:
        alone = len(main[box]) == 1 and children[main[box][0]] == [box]
        column[box] = column[main[box][0]] if alone else Chain([])
        column[box].points.append(box)
        if not alone:
            column[box].near.extend(main[box])
        if len(children[box]) > 1 or any(len(main[child]) > 1 for child in children[box]):
            column[box].near.extend(children[box])
    return list(dict.fromkeys(column.values()))


def _reduce_crossings(levels: list[list[Point]]) -> None:
    """Sorts levels by their parents' mean places, then by their children's, and on; keeps the best order."""
    best, fewest = [list(level) for level in levels], _crossings(levels)
    for sweep in range(SWEEPS):
        downwards = sweep % 2 == 0
        for settled, level in pairwise(levels if downwards else levels[::-1]):
            places = {point: float(place) for place, point in enumerate(settled)}
            wanted = {}
            for place, point in enumerate(level):
                linked = point.above if downwards else point.below
                wanted[point] = _mean([places[other] for other in linked], otherwise=place)
            level.sort(key=wanted.__getitem__)
        crossings = _crossings(levels)
        if crossings < fewest:
            best, fewest = [list(level) for level in levels], crossings
    levels[:] = best


def _crossings(levels: list[list[Point]]) -> int:
    """How many pairs of edges between neighbouring levels cross."""
    total = 0
    for upper, lower in pairwise(levels):
        places = {point: place for place, point in enumerate(upper)}
        edges = [(places[parent], place) for place, point in enumerate(lower) for parent in point.above]
        total += sum(a < c and b > d for a, b in edges for c, d in edges)
    return total


def _place(levels: list[list[Point]], chains: list[Chain]) -> None:
    """Gives every point its x: its column near to what it is linked to, and no two points too close."""
    for level in levels:
        _spread(level)
    for chain in chains:
        chain.x = _mean([point.x for point in chain.points], otherwise=0.0)
    for _ in range(ROUNDS):
        for chain in chains:
            goal = _mean([point.x for point in chain.near], otherwise=chain.x)
            # Half the way: neighbours that move towards each other would otherwise only change places.
            chain.x = goal if chain.points[0].passing else (chain.x + goal) / 2
        for _ in range(ROUNDS):
            _align(chains)
            for level in levels:
                _spread(level)
            if all(abs(point.x - chain.x) < TOLERANCE for chain in chains for point in chain.points):
                break
            for chain in chains:
                # Where the narrowest place pushes one point of a column, the others go with it.
                chain.x = max(
                    (point.x for point in chain.points), key=lambda x: abs(x - chain.x), default=0.0
                )


def _align(chains: list[Chain]) -> None:
    for chain in chains:
        for point in chain.points:
            point.x = chain.x


def _spread(level: Sequence[Point]) -> None:
    """Moves a level's points as little as their order and distances allow (least squares).

    With the distances taken off this is isotonic regression, solved by pooling adjacent violators. A box
    outweighs any number of passing points.
    """
    offsets = [0.0]
    for left, right in pairwise(level):
        offsets.append(offsets[-1] + (left.width + right.width) / 2 + BETWEEN_BOXES)
    pools: list[tuple[float, float, int]] = []  # mean, weight, number of points
    for point, offset in zip(level, offsets, strict=True):
        mean, weight, size = point.x - offset, 0.001 if point.passing else 1.0, 1
        while pools and pools[-1][0] > mean:
            other, its_weight, its_size = pools.pop()
            mean = (mean * weight + other * its_weight) / (weight + its_weight)
            weight, size = weight + its_weight, size + its_size
        pools.append((mean, weight, size))
    means = [mean for mean, _, size in pools for _ in range(size)]
    for point, mean, offset in zip(level, means, offsets, strict=True):
        point.x = mean + offset


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _top(point: Point) -> float:
    """Upper end of a point's level, in inches from the first."""
    return point.level * (BOX_HEIGHT + BETWEEN_LEVELS)


def _draw_edge(axes: "Axes", parent: Point, child: Point) -> None:
    """A curve from one level to the next, upright at both ends; an arrow before a box."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    start, end = _top(parent) + BOX_HEIGHT, _top(child)
    bend = (start + end) / 2
    points = [(parent.x, start), (parent.x, bend), (child.x, bend), (child.x, end)]
    codes = [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4]
    if child.passing:
        points.append((child.x, end + BOX_HEIGHT))
        codes.append(Path.LINETO)
    else:
        axes.plot(child.x, end - 0.045, "v", color=FAINT, markersize=5.5, markeredgewidth=0)
    axes.add_patch(
        PathPatch(Path(points, codes), fill=False, edgecolor=FAINT, linewidth=1.2, capstyle="round")
    )


def _draw_box(axes: "Axes", point: Point, scale: float) -> None:
    """A rounded box with its name and lines."""
    from matplotlib.patches import FancyBboxPatch

    top = _top(point)
    box = FancyBboxPatch(
        (point.x - point.width / 2, top),
        point.width,
        BOX_HEIGHT,
        boxstyle="round,pad=0,rounding_size=0.08",
        facecolor=point.color,
        edgecolor=FAINT,
        linewidth=0.9,
        gid=point.name,
    )
    axes.add_patch(box)
    write(axes, point.x, top + 0.17, point.name, NAME_SIZE * scale, INK, ha="center", weight="bold")
    for number, line in enumerate(point.lines):
        write(axes, point.x, top + 0.36 + 0.18 * number, line, KIND_SIZE * scale, INK, ha="center")
