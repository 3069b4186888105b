"""What a micro clip shows: shapes of one colour that move in one direction over a ground.

Lengths are in world units: the frame is 64 units wide and high, x grows to the right and y downwards, and pixel i
covers the interval [i, i + 1] in a picture of 64 pixels. Captions use a closed vocabulary and are exactly invertible.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

FRAME = 64.0  # world units across the frame

COLOURS: dict[str, tuple[int, int, int]] = {
    # Hues 60 degrees apart, so that fading cannot turn one into another; similar saturation.
    "red": (225, 40, 40),
    "yellow": (230, 230, 40),
    "green": (40, 195, 40),
    "cyan": (40, 215, 215),
    "blue": (45, 45, 235),
    "purple": (205, 40, 205),
}
SHAPES = ("circle", "square", "triangle", "cross")
DIRECTIONS: dict[str, tuple[float, float]] = {
    "left": (-1.0, 0.0),
    "right": (1.0, 0.0),
    "up": (0.0, -1.0),
    "down": (0.0, 1.0),
}
COUNTS = {"one": 1, "two": 2, "three": 3}
GROUNDS = {"black": 24, "grey": 112, "white": 226}  # neutral, so that chroma alone tells a shape from its ground
GROUND_KINDS = ("plain", "textured")

TEXT_ATTRIBUTES = ("colour", "shape", "direction", "count")  # what text alignment is judged on

SPEED_RANGE = (12.0, 15.0)  # units a second: 24 to 30 units, about 40 % of the frame, in 2 s
SIZE_RANGE = {1: (19.0, 22.0), 2: (17.0, 19.0), 3: (13.5, 14.0)}  # units across, by count: what there is room for
REACH = {"circle": 0.5, "square": 0.45, "triangle": 0.7, "cross": 0.55}  # diameters from the centroid to the far side
MARGIN = 1.5  # units kept free between a shape and the frame's edge
MAX_SECONDS = 2.2  # the fastest and largest shape still fits

_PLURALS = {"circle": "circles", "square": "squares", "triangle": "triangles", "cross": "crosses"}
VOCABULARY: tuple[str, ...] = (
    *COUNTS, *COLOURS, *SHAPES, *_PLURALS.values(), "moves", "move", *DIRECTIONS,
    "over", "a", *GROUND_KINDS, *GROUNDS, "ground",
)  # fmt: skip
EXAMPLE = "two red circles move left over a plain grey ground"


@dataclass(frozen=True)
class ClipFormat:
    """Picture size and timing of a clip.

    Attributes:
        size: width and height in pixels, a multiple of 8 and at least 32.
        frames: number of frames, at least 5.
        fps: frames a second. The clip may last at most 2.2 s ((frames - 1) / fps), or shapes would leave the frame.

    Raises:
        ValueError: a value outside these ranges.
    """

    size: int = 64
    frames: int = 17
    fps: float = 8.0

    def __post_init__(self):
        if self.size < 32 or self.size % 8:
            raise ValueError(f"size is {self.size} pixels; expected a multiple of 8, at least 32. Choose 64 if unsure.")
        if self.frames < 5:
            raise ValueError(f"frames is {self.frames}; motion needs at least 5 frames. Choose 17 if unsure.")
        if not self.fps > 0 or self.seconds > MAX_SECONDS:
            raise ValueError(
                f"{self.frames} frames at {self.fps} fps is not a clip of 0 to {MAX_SECONDS} s; "
                "shapes that move at their normal speed would leave the frame. Use fewer frames or a higher fps."
            )

    @property
    def seconds(self) -> float:
        """Time from the first frame to the last."""
        return (self.frames - 1) / self.fps

    @property
    def times(self) -> np.ndarray:
        """[T] time of each frame in seconds, from 0."""
        return np.arange(self.frames) / self.fps


@dataclass(frozen=True)
class Attributes:
    """What a caption says. Words are those of COLOURS, SHAPES, DIRECTIONS, GROUNDS and GROUND_KINDS; count is 1 to 3.

    Raises:
        ValueError: a word or count outside the world.
    """

    colour: str
    shape: str
    direction: str
    count: int
    ground: str = "grey"
    ground_kind: str = "plain"

    def __post_init__(self):
        allowed = {
            "colour": COLOURS, "shape": SHAPES, "direction": DIRECTIONS,
            "count": COUNTS.values(), "ground": GROUNDS, "ground_kind": GROUND_KINDS,
        }  # fmt: skip
        for name, words in allowed.items():
            if getattr(self, name) not in words:
                raise ValueError(
                    f"{name} {getattr(self, name)!r} is not part of the micro world; choose one of {list(words)}."
                )

    @property
    def attributes(self) -> Attributes:
        """What is shown, without the geometry that a Scene adds."""
        return Attributes(self.colour, self.shape, self.direction, self.count, self.ground, self.ground_kind)


@dataclass(frozen=True)
class Scene(Attributes):
    """Attributes plus the geometry that a caption leaves open.

    Attributes:
        starts: centre (x, y) of each shape at time 0, in world units; `count` of them.
        diameter: width of the shapes in world units.
        speed: world units a second along `direction`.
        texture_angle, texture_phase: of the stripes of a textured ground, in radians.
    """

    starts: tuple[tuple[float, float], ...] = ()
    diameter: float = 16.0
    speed: float = 13.0
    texture_angle: float = 0.8
    texture_phase: float = 0.0

    def __post_init__(self):
        super().__post_init__()
        if len(self.starts) != self.count:
            raise ValueError(f"a scene with count {self.count} needs that many starts; got {len(self.starts)}.")

    def path(self, clip_format: ClipFormat) -> np.ndarray:
        """[T, count, 2] centres (x, y) in world units: straight and even, as undisturbed motion is."""
        velocity = self.speed * np.asarray(DIRECTIONS[self.direction])
        return np.asarray(self.starts)[None] + clip_format.times[:, None, None] * velocity


def sample_attributes(rng: np.random.Generator) -> Attributes:
    """Draw each attribute uniformly and independently."""
    return Attributes(
        colour=_pick(rng, COLOURS),
        shape=_pick(rng, SHAPES),
        direction=_pick(rng, DIRECTIONS),
        count=int(rng.integers(1, 4)),
        ground=_pick(rng, GROUNDS),
        ground_kind=_pick(rng, GROUND_KINDS),
    )


def sample_scene(
    rng: np.random.Generator, attributes: Attributes | None = None, clip_format: ClipFormat | None = None
) -> Scene:
    """Draw a scene: given attributes (or random ones) with random positions, size, speed and texture.

    Shapes move in lanes side by side, so that they never touch, and stay inside the frame for the whole clip.
    """
    attributes = attributes or sample_attributes(rng)
    clip_format = clip_format or ClipFormat()
    diameter = float(rng.uniform(*SIZE_RANGE[attributes.count]))
    speed = float(rng.uniform(*SPEED_RANGE))
    edge = diameter * REACH[attributes.shape] + MARGIN

    # Along the direction of motion each shape starts anywhere from which it ends inside the frame.
    along = rng.uniform(edge, FRAME - edge - speed * clip_format.seconds, size=attributes.count)
    unit = np.asarray(DIRECTIONS[attributes.direction])
    if unit.sum() < 0:
        along = FRAME - along

    # Across it the frame is divided into one lane for each shape; gaps of a blur radius remain between them.
    spacing = {1: 0.0, 2: 24.0, 3: 20.5}[attributes.count]
    room = FRAME - 2 * edge - spacing * (attributes.count - 1)
    across = edge + rng.uniform(0, room) + spacing * np.arange(attributes.count)

    horizontal = unit[0] != 0
    centres = np.stack([along, across] if horizontal else [across, along], axis=1)
    return Scene(
        **vars(attributes.attributes),
        starts=tuple((float(x), float(y)) for x, y in centres),
        diameter=diameter,
        speed=speed,
        texture_angle=float(rng.choice([0.25, 0.75]) * np.pi + rng.uniform(-0.3, 0.3)),
        texture_phase=float(rng.uniform(0, 2 * np.pi)),
    )


def change_attributes(rng: np.random.Generator, attributes: Attributes, names: tuple[str, ...]) -> Attributes:
    """Give each named attribute (of TEXT_ATTRIBUTES) another random value; the rest stays.

    Raises:
        ValueError: a name that text alignment does not judge.
    """
    values = {"colour": COLOURS, "shape": SHAPES, "direction": DIRECTIONS, "count": COUNTS.values()}
    changed = {}
    for name in names:
        if name not in values:
            raise ValueError(f"cannot change {name!r}; text alignment is judged on {list(TEXT_ATTRIBUTES)}.")
        changed[name] = _pick(rng, [value for value in values[name] if value != getattr(attributes, name)])
    return replace(attributes.attributes, **changed)


def caption(attributes: Attributes) -> str:
    """Describe attributes (or a scene), e.g. "two red circles move left over a plain grey ground"."""
    count = next(word for word, number in COUNTS.items() if number == attributes.count)
    shape, verb = (attributes.shape, "moves") if attributes.count == 1 else (_PLURALS[attributes.shape], "move")
    return (
        f"{count} {attributes.colour} {shape} {verb} {attributes.direction} "
        f"over a {attributes.ground_kind} {attributes.ground} ground"
    )


def parse_caption(text: str) -> Attributes:
    """Read a caption back: parse_caption(caption(a)) == a.

    Raises:
        ValueError: a word outside VOCABULARY (it is named), or known words that do not form a caption.
    """
    words = text.split()
    for word in words:
        if word not in VOCABULARY:
            raise ValueError(
                f"caption {text!r}: unknown word {word!r}. The micro world knows only: {', '.join(VOCABULARY)}. A caption reads like "
                f"{EXAMPLE!r}."
            )
    singular = {plural: shape for shape, plural in _PLURALS.items()}
    if len(words) == 10:
        count, colour, shape, _, direction, _, _, ground_kind, ground, _ = words
        try:
            attributes = Attributes(
                colour, singular.get(shape, shape), direction, COUNTS.get(count, 0), ground, ground_kind
            )
        except ValueError as error:
            raise ValueError(f"caption {text!r}: {error} A caption reads like {EXAMPLE!r}.") from error
        if caption(attributes).split() == words:
            return attributes
    raise ValueError(f"caption {text!r} is not of the micro world's form; a caption reads like {EXAMPLE!r}.")


def _pick(rng: np.random.Generator, options):
    options = list(options)
    return options[int(rng.integers(len(options)))]
