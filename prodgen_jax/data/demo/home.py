"""Things for the home: mug, lamp, armchair."""

from prodgen_jax.data.demo.shapes import Part, both, box, ellipse, half, line, ribbon, smooth


def mug_body(wide: float, tall: float, foot: float) -> list[Part]:
    wall = half((0, -tall), (wide, -tall), (wide, -tall), (wide, 0), (wide * (0.5 + foot / 2), tall * 0.86),
                (wide * foot, tall * 1.02), (0, tall * 1.1))  # fmt: skip
    rim = wide * 0.24
    return [
        Part((wall,), "body", "ceramic", pattern=True),
        Part((ellipse(0, -tall, wide, rim),), "light", "ceramic"),
        Part((ellipse(0, -tall + 0.015, wide * 0.9, rim * 0.82),), "shade", "flat"),
        Part((ellipse(0, -tall + rim * 0.32, wide * 0.76, rim * 0.52),), "lining", "flat", 0.55),
        line(
            (-wide * 0.72, -tall * 0.55),
            (-wide * 0.74, 0.1),
            (-wide * 0.68, tall * 0.6),
            width=0.06,
            ink="white",
            alpha=0.3,
        ),  # fmt: skip
    ]


def mug_side(u) -> list[Part]:
    wide, tall, foot, loop = u(0.46, 0.58), u(0.5, 0.72), u(0.62, 0.95), u(0.26, 0.36)
    ear = smooth([(wide - 0.06, -tall * 0.55), (wide + loop * 0.8, -tall * 0.55), (wide + loop, 0.0),
                  (wide + loop * 0.6, tall * 0.45), (wide * (0.4 + foot / 2), tall * 0.62)], False)  # fmt: skip
    return [Part((ribbon(ear, 0.13),), "body", "ceramic"), *mug_body(wide, tall, foot)]


def mug_front(u) -> list[Part]:
    wide, tall, foot, loop = u(0.46, 0.58), u(0.5, 0.72), u(0.62, 0.95), u(0.26, 0.36)
    ear = box(0.05, tall * 0.05, 0.075, 0.26 + loop * 0.6, 0.07)
    return [*mug_body(wide, tall, foot), Part((ear,), "body", "ceramic")]


def shade(x: float, y: float, top: float, wide: float, tall: float) -> list[Part]:
    cloth = half((0, -tall), (top, -tall), (top, -tall), (wide, tall), (wide, tall), (wide * 0.5, tall + 0.045),
                 (0, tall + 0.06)) + (x, y)  # fmt: skip
    return [
        Part((ellipse(x, y + tall, wide * 0.96, 0.07),), "glow", "flat"),
        Part((cloth,), pattern=True),
        Part((ribbon([(x - top, y - tall + 0.01), (x + top, y - tall + 0.01)], 0.035),), "trim", "flat"),
        Part(
            (
                ribbon(
                    smooth([(x - wide, y + tall - 0.01), (x, y + tall + 0.045), (x + wide, y + tall - 0.01)], False),
                    0.04,
                ),
            ),
            "trim",
            "flat",
        ),  # fmt: skip
    ]


def lamp_side(u) -> list[Part]:
    top, wide, tall, foot = u(0.16, 0.34), u(0.4, 0.52), u(0.2, 0.28), u(0.24, 0.34)
    stem = smooth([(-0.42, 0.86), (-0.46, 0.3), (-0.4, -0.4), (-0.18, -0.82), (0.12, -0.88), (0.3, -0.66),
                   (0.32, -0.4)], False)  # fmt: skip
    return [
        Part((ribbon(stem, 0.055),), "metal", "metal"),
        Part((half((0, -0.04), (foot * 0.8, -0.03), (foot, 0.05), (0, 0.08)) + (-0.42, 0.86),), "metal", "metal"),
        *shade(0.32, -0.24, top, wide, tall),
    ]


def lamp_front(u) -> list[Part]:
    top, wide, tall, foot = u(0.16, 0.34), u(0.4, 0.52), u(0.2, 0.28), u(0.24, 0.34)
    return [
        Part((ribbon([(0, 0.86), (0, 0.0), (0, -0.88)], 0.055),), "metal", "metal"),
        Part((half((0, -0.05), (foot * 0.8, -0.03), (foot, 0.06), (0, 0.1)) + (0, 0.86),), "metal", "metal"),
        *shade(0.0, -0.24, top, wide, tall),
    ]


def armchair(u) -> list[Part]:
    wide, back, arm, leg, deep = u(0.5, 0.62), u(-0.8, -0.6), u(-0.12, 0.04), u(0.18, 0.3), u(0.25, 0.34)
    curve, floor = u(0.02, 0.12), 0.5
    rest = half((0, back - curve), (wide * 0.6, back - curve * 0.8), (wide, back + 0.1), (wide, 0.45), (wide, 0.45),
                (0, 0.45))  # fmt: skip
    peg = smooth([(wide - 0.02, floor), (wide + 0.1, floor), (wide + 0.12, floor + leg), (wide + 0.12, floor + leg),
                  (wide + 0.06, floor + leg), (wide + 0.06, floor + leg)])  # fmt: skip
    rail = box(wide + 0.06, (arm + floor) / 2 + 0.03, 0.1, (floor - arm) / 2 + 0.03, 0.09)
    return [
        Part(both(peg), "wood", "leather", z=-deep),
        Part((rest,), z=-deep, thick=0.1, pattern=True),
        line((0, back + 0.08), (0.01, -0.2), (0, 0.1), width=0.02, alpha=0.4, z=-deep + 0.1),
        Part((box(0, 0.4, wide + 0.04, 0.13, 0.03),), "shade", thick=deep),
        Part(both(peg), "wood", "leather", z=deep),
        Part((box(0, 0.22, wide - 0.04, 0.11, 0.07),), z=0.04, thick=deep, pattern=True),
        Part(both(rail), thick=deep, pattern=True),
        line((wide + 0.06, arm + 0.1), (wide + 0.06, floor - 0.02), twin=True, width=0.018, alpha=0.35, z=deep),
    ]


HOME = {"mug": (mug_front, mug_side), "lamp": (lamp_front, lamp_side), "armchair": (armchair, None)}
