"""Things to wear that are not cloth: watch, sunglasses; and the cap."""

import numpy as np

from prodgen_jax.data.demo.shapes import Part, both, box, ellipse, half, line, ribbon, smooth


def watch(u) -> list[Part]:
    r, band, taper, square = u(0.33, 0.42), u(0.2, 0.26), u(0.7, 0.95), u(0, 1) > 0.7
    dark, hour = u(0, 1) > 0.5, u(0, 2 * np.pi)

    def disc(radius):
        return box(0, 0, radius * 0.9, radius, radius * 0.3) if square else ellipse(0, 0, radius, radius)

    def hand(angle, near, far, width):
        way = np.array([np.sin(angle), -np.cos(angle)])
        return ribbon([near * way, far * way], width)

    strap = half((0, 0.2), (band, 0.2), (band, 0.2), (band * taper, 0.85), (band * taper * 0.8, 0.98), (0, 1.0))
    ticks = tuple(hand(a, r * 0.66, r * 0.66 + 0.06, 0.03) for a in np.arange(12) * np.pi / 6)
    hands = hand(hour, -0.07 * r, r * 0.45, 0.05), hand(hour * 12, -0.1 * r, r * 0.68, 0.035)
    holes = tuple(ellipse(0, y, 0.02, 0.02, 12) for y in (0.62, 0.72, 0.82))
    mark = "white" if dark else "black"
    return [
        Part((strap, strap * (1, -1)), "body", "leather", pattern=True),
        line((band * 0.82, 0.4), (band * taper * 0.8, 0.9), twin=True, width=0.014, ink="light", alpha=0.5),
        line((band * 0.82, -0.4), (band * taper * 0.8, -0.9), twin=True, width=0.014, ink="light", alpha=0.5),
        Part(holes, "lining", "flat"),
        Part(
            tuple(box(x, y, 0.04, 0.09, 0.02) for x in (-band, band) for y in (-r * 0.92, r * 0.92)), "metal", "metal"
        ),  # fmt: skip
        Part((box(r + 0.04, 0, 0.05, 0.05, 0.02),), "metal", "metal"),
        Part((disc(r + 0.03),), "metal", "metal", thick=0.07),
        Part((disc(r * 0.86),), "seam" if u(0, 1) > 0.7 else ("black" if dark else "white"), "rubber", z=0.07),
        Part(ticks, mark, "flat", z=0.07),
        Part(hands, mark, "flat", z=0.07),
        Part((ellipse(0, 0, 0.035, 0.035),), "metal", "metal", z=0.07),
    ]


def sunglasses(u) -> list[Part]:
    wide, tall, gap, lift, drop = u(0.36, 0.42), u(0.24, 0.34), u(0.07, 0.11), u(0.0, 0.12), u(0.55, 1.0)
    rim, x = u(0.07, 0.11), u(0.48, 0.5)
    lens = smooth([(x - wide + gap, -tall * 0.7), (x, -tall), (x + wide - 0.04, -tall - lift), (x + wide, -tall * 0.3),
                   (x + wide * 0.7, tall * drop * 0.8), (x, tall * drop), (x - wide * 0.7, tall * 0.7 * drop),
                   (x - wide + gap * 0.6, 0)])  # fmt: skip
    bridge = smooth([(-0.12, -tall * 0.45), (0, -tall * 0.62), (0.12, -tall * 0.45)], False)
    hinge = (x + wide, -tall * 0.75 - lift * 0.6)
    arms = tuple(smooth([hinge, (x + wide + 0.05, hinge[1] + 0.02), (x + wide + 0.03, hinge[1] + 0.13),
                         (x + wide - 0.04, hinge[1] + 0.12)]) * s for s in ((1, 1), (-1, 1)))  # fmt: skip
    temple = smooth([hinge, (x + wide * 0.85, hinge[1] + 0.02), (x + wide * 0.6, hinge[1] + 0.12),
                     (x + wide * 0.52, hinge[1] + 0.3)], False)  # fmt: skip
    glint = ribbon([(x - wide * 0.45, tall * 0.35 * drop), (x - wide * 0.05, -tall * 0.75)], 0.09)
    frame = tuple(ribbon(o, rim, closed=True) for o in both(lens))
    return [
        Part(both(ribbon(temple, 0.04)), "shade", "leather", z=-0.3),
        Part(both(lens), "lens", "ceramic", alpha=0.9),
        Part((glint, glint + (-2 * x, 0)), "white", "flat", alpha=0.16),
        Part((ribbon(bridge, rim * 0.9),), "body", "ceramic", z=0.06, pattern=True),
        Part(frame, "body", "ceramic", z=0.02, thick=0.03, pattern=True),
        Part(arms, "shade", "ceramic"),
        Part(both(ellipse(hinge[0] - 0.03, hinge[1] + 0.06, 0.025, 0.025)), "metal", "metal", z=0.04),
    ]


def cap_front(u) -> list[Part]:
    wide, tall, brim = u(0.62, 0.7), u(0.72, 0.88), u(0.24, 0.36)
    dome = half((0, -tall), (wide * 0.55, -tall * 0.9), (wide * 0.95, -tall * 0.42), (wide, 0.12), (wide, 0.12),
                (wide * 0.5, 0.05), (0, 0.03))  # fmt: skip
    peak = half((0, 0.0), (wide * 0.6, 0.04), (wide + 0.02, 0.14), (wide + 0.02, 0.14),
                (wide * 1.02, 0.14 + brim * 0.5), (wide * 0.5, 0.1 + brim), (0, 0.08 + brim))  # fmt: skip
    badge = u(0.12, 0.19)
    return [
        Part((dome,), pattern=True),
        line((0, -tall), (0, -0.4), (0, 0.0), width=0.018, alpha=0.5),
        line((0.06, -tall + 0.02), (wide * 0.5, -tall * 0.55), (wide * 0.62, 0.06), twin=True, width=0.018, alpha=0.5),
        Part((ellipse(0, -tall * 0.42, badge, badge * 0.8),), "trim", "rubber"),
        Part((peak,), "trim" if u(0, 1) > 0.6 else "body", "cloth"),
        line((-wide * 0.9, 0.1 + brim * 0.55), (0, brim), (wide * 0.9, 0.1 + brim * 0.55), width=0.014, alpha=0.5),
        Part((ellipse(0, -tall, 0.06, 0.035),), "shade", "cloth"),
    ]


def cap_side(u) -> list[Part]:
    wide, tall, brim = u(0.62, 0.7), u(0.72, 0.88), u(0.24, 0.36)
    dome = smooth([(-wide, 0.16), (-wide, 0.16), (-wide * 1.02, -0.2), (-wide * 0.6, -tall * 0.88), (0, -tall),
                   (wide * 0.55, -tall * 0.8), (wide * 0.86, -0.3), (wide * 0.9, 0.08), (wide * 0.9, 0.08),
                   (0.1, 0.2)])  # fmt: skip
    peak = smooth([(wide * 0.3, 0.14), (wide * 0.86, -0.02), (wide + 0.25, 0.02), (wide + 0.3 + brim, 0.2),
                   (wide + 0.3 + brim, 0.2), (wide + 0.2, 0.2), (wide * 0.8, 0.22), (wide * 0.3, 0.22)])  # fmt: skip
    slot = smooth([(-wide * 1.01, 0.15), (-wide * 0.98, -0.1), (-wide * 0.8, -0.02), (-wide * 0.72, 0.16)])
    return [
        Part((dome,), pattern=True),
        line((0, -tall), (-0.06, -0.4), (0.0, 0.18), width=0.018, alpha=0.5),
        line((0.03, -tall), (wide * 0.5, -tall * 0.5), (wide * 0.55, 0.12), width=0.018, alpha=0.5),
        line((-wide * 0.95, 0.08), (0, 0.14), (wide * 0.8, 0.03), width=0.014, alpha=0.45),
        Part((slot,), "lining", "flat", 0.6),
        Part((ellipse(wide * 0.72, -tall * 0.4, 0.07, 0.14),), "trim", "rubber"),
        Part((peak,), "trim" if u(0, 1) > 0.6 else "body"),
        Part((ellipse(0, -tall, 0.06, 0.035),), "shade"),
    ]


WEAR = {"watch": (watch, None), "sunglasses": (sunglasses, None), "cap": (cap_front, cap_side)}
