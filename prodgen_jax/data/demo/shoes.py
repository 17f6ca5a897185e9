"""Shoes: the side shows one shoe with its toe to the right, the front shows the pair from the toes."""

import numpy as np

from prodgen_jax.data.demo.shapes import Part, box, ellipse, line, ribbon, smooth


def sneaker_side(u) -> list[Part]:
    high, toe, sole, dip = u(-0.52, -0.34), u(-0.02, 0.06), u(0.12, 0.19), u(0.08, 0.18)
    tongue = (-0.16, high - 0.06)
    throat = np.linspace((-0.1, high + 0.04), (0.32, toe - 0.1), 5)
    upper = smooth([(-0.84, 0.36), (-0.84, 0.36), (-0.85, 0.05), (-0.8, high), (-0.74, high), (-0.5, high + dip),
                    (-0.3, high), tongue, tongue, (0.1, -0.24 + toe), (0.36, toe - 0.08), (0.66, toe),
                    (0.86, 0.18), (0.88, 0.36), (0.88, 0.36)])  # fmt: skip
    mouth = smooth([(-0.76, high + 0.01), (-0.5, high - 0.04), (-0.18, high - 0.04), (-0.3, high + 0.02),
                    (-0.5, high + dip + 0.02)])  # fmt: skip
    floor = 0.34 + sole
    sole_ = smooth([(-0.88, 0.3), (-0.88, 0.3), (-0.3, 0.3), (0.4, 0.31), (0.9, 0.24), (0.9, 0.24), (0.93, 0.36),
                    (0.8, floor), (0.8, floor), (-0.84, floor), (-0.84, floor), (-0.91, 0.42)])  # fmt: skip
    toecap = smooth([(0.55, 0.34), (0.5, 0.14), (0.62, toe + 0.02), (0.84, 0.17), (0.88, 0.34), (0.88, 0.34)])
    heel = smooth([(-0.84, 0.32), (-0.85, 0.05), (-0.83, -0.08), (-0.83, -0.08), (-0.58, 0.02), (-0.48, 0.32),
                   (-0.48, 0.32)])  # fmt: skip
    flash = [smooth([(-0.32 + d, 0.28), (-0.2 + d, 0.05), (-0.02 + d, -0.1)], False) for d in (0.0, 0.16, 0.32)]
    stripes = tuple(ribbon(f, 0.06) for f in flash[: int(u(1, 3.99))])
    laces = tuple(ribbon([p + (-0.03, 0.0), p + (-0.06, 0.13)], 0.045) for p in throat)
    return [
        Part((mouth,), "lining", "cloth"),
        Part((upper,), "body", "leather", pattern=True),
        Part(stripes, "trim", "flat"),
        Part((toecap,), "trim" if u(0, 1) > 0.6 else "shade", "leather"),
        Part((heel,), "trim" if u(0, 1) > 0.5 else "shade", "leather"),
        line(tongue, (0.12, -0.2 + toe), (0.38, toe - 0.04), width=0.03, alpha=0.4),
        Part(laces, "white", "cloth"),
        Part((sole_,), "rubber", "rubber"),
        line((-0.88, floor - 0.04), (0, floor - 0.035), (0.84, floor - 0.05), width=0.025, ink="trim", alpha=0.7),
    ]


def sneaker_front(u) -> list[Part]:
    high, wide, sole = u(-0.6, -0.4), u(0.33, 0.38), u(0.1, 0.16)
    parts = []
    for x in (-0.44, 0.44):
        at = np.array([x, 0])
        upper = smooth([(-0.2, high), (0.2, high), (0.27, -0.15), (wide, 0.3), (wide, 0.55), (-wide, 0.55),
                        (-wide, 0.3), (-0.27, -0.15)]) + at  # fmt: skip
        cap = smooth([(0, 0.22), (wide - 0.06, 0.32), (wide - 0.02, 0.54), (0, 0.6), (-wide + 0.02, 0.54),
                      (-wide + 0.06, 0.32)]) + at  # fmt: skip
        tongue = smooth([(-0.13, high - 0.06), (0.13, high - 0.06), (0.12, 0.1), (0, 0.18), (-0.12, 0.1)]) + at
        rungs = np.linspace(high + 0.14, 0.08, 5)
        laces = tuple(box(x, y, 0.15, 0.026, 0.02) for y in rungs)
        parts += [
            Part((upper,), "body", "leather", pattern=True),
            Part((ellipse(x, high + 0.01, 0.2, 0.07),), "lining", "flat"),
            Part((tongue,), "shade", "cloth"),
            Part((cap,), "trim" if sole > 0.13 else "shade", "leather"),
            Part(laces, "white", "cloth"),
            Part((box(x, 0.56, wide + 0.02, sole / 2 + 0.02, 0.05),), "rubber", "rubber"),
        ]
    return parts


def heel_side(u) -> list[Part]:
    lift, slim, back, toe, platform = u(0.0, 0.3), u(0.035, 0.08), u(-0.62, -0.5), u(0.84, 0.95), u(0.0, 0.07)
    seat = 0.16 - lift
    upper = smooth([(-0.7, seat), (-0.72, back + 0.12 - lift * 0.5), (-0.66, back - lift * 0.4),
                    (-0.66, back - lift * 0.4), (-0.4, seat - 0.2), (0.0, seat + 0.12), (0.3, 0.26), (0.44, 0.24),
                    (toe - 0.12, 0.4), (toe, 0.52), (toe, 0.52), (0.44, 0.54), (0.1, 0.42), (-0.3, seat + 0.14),
                    (-0.6, seat + 0.06)])  # fmt: skip
    lining = smooth([(-0.64, back - lift * 0.4 + 0.02), (-0.4, seat - 0.2), (0.0, seat + 0.12), (0.4, 0.24),
                     (0.1, seat + 0.02), (-0.3, seat - 0.26)])  # fmt: skip
    spike = smooth([(-0.71, seat - 0.02), (-0.71, seat - 0.02), (-0.68, 0.3), (-0.6 - slim, 0.57), (-0.6 - slim, 0.57),
                    (-0.6 + slim, 0.57), (-0.6 + slim, 0.57), (-0.48, 0.34), (-0.3, seat + 0.1),
                    (-0.3, seat + 0.1)])  # fmt: skip
    sole = ribbon(smooth([(toe, 0.52), (0.44, 0.545 + platform), (0.1, 0.43 + platform), (-0.3, seat + 0.15)], False),
                  0.035 + platform)  # fmt: skip
    bow = [Part((ellipse(0.36, 0.27, 0.05, 0.04), ellipse(0.46, 0.29, 0.05, 0.04)), "trim", "leather")]
    return [
        Part((lining,), "lining", "flat"),
        Part((spike,), "shade", "leather"),
        Part((upper,), "body", "leather", pattern=True),
        Part((sole,), "black" if u(0, 1) > 0.5 else "trim", "flat"),
        *(bow if u(0, 1) > 0.6 else []),
    ]


def heel_front(u) -> list[Part]:
    lift, slim, wide = u(0.0, 0.3), u(0.035, 0.08), u(0.26, 0.32)
    high = -0.5 - lift
    parts = []
    for x in (-0.38, 0.38):
        at = np.array([x, 0])
        quarter = smooth([(-0.2, high), (0.2, high), (0.25, -0.2), (wide, 0.25), (0.12, 0.58), (-0.12, 0.58),
                          (-wide, 0.25), (-0.25, -0.2)]) + at  # fmt: skip
        mouth = smooth([(0, high - 0.03), (0.17, high + 0.05), (0.2, -0.2), (0.17, 0.08), (0, 0.16), (-0.17, 0.08),
                        (-0.2, -0.2), (-0.17, high + 0.05)]) + at  # fmt: skip
        insole = smooth([(0, high + 0.06), (0.12, high + 0.14), (0.14, -0.2), (0, 0.08), (-0.14, -0.2),
                         (-0.12, high + 0.14)]) + at  # fmt: skip
        parts += [
            Part((box(x, 0.35, slim, 0.24),), "shade", "leather"),
            Part((quarter,), "body", "leather", pattern=True),
            Part((mouth,), "lining", "leather"),
            Part((insole,), "thread", "leather", alpha=0.7),
        ]
    return parts


SHOES = {"sneaker": (sneaker_front, sneaker_side), "heel": (heel_front, heel_side)}
