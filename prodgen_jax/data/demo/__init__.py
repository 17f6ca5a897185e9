"""The demo shop: a catalog of procedural product photos, for learning and testing without any data of one's own."""

from prodgen_jax.data.demo.shop import ATTRIBUTES, draw, product, rows

__all__ = ["ATTRIBUTES", "draw", "product", "rows"]
