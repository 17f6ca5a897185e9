"""The package's networks again in PyTorch, for the speed benchmark: the same layers and widths."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SEED = 4


def norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(8, channels)


def widths_of(size: int, width: int) -> list[int]:
    return [width * 2**i for i in range(int(math.log2(size / SEED)))]


class Downs(nn.Module):
    """Strided convolutions to a 4 x 4 map and a linear end: DCGAN's critic, and the VAE's encoder."""

    def __init__(self, size: int, out: int, normalize: bool, width: int = 32):
        super().__init__()
        widths = widths_of(size, width)
        self.downs = nn.ModuleList(nn.Conv2d(a, b, 4, 2, 1) for a, b in zip([3, *widths], widths, strict=False))
        self.norms = nn.ModuleList(norm(w) for w in widths) if normalize else None
        self.out = nn.Linear(SEED * SEED * widths[-1], out)

    def forward(self, x: Tensor) -> Tensor:
        for i, down in enumerate(self.downs):
            x = F.silu(self.norms[i](down(x))) if self.norms else F.leaky_relu(down(x), 0.2)
        return self.out(x.flatten(1))


class Ups(nn.Module):
    """A vector, projected and upsampled to a picture: DCGAN's generator, and the VAE's decoder."""

    def __init__(self, size: int, latent: int, act: Callable, width: int = 32):
        super().__init__()
        widths = widths_of(size, width)[::-1]
        self.first, self.act = widths[0], act
        self.project = nn.Linear(latent, SEED * SEED * widths[0])
        self.norms = nn.ModuleList(norm(w) for w in widths)
        self.ups = nn.ModuleList(
            nn.ConvTranspose2d(a, b, 4, 2, 1) for a, b in zip(widths, [*widths[1:], 3], strict=True)
        )

    def forward(self, z: Tensor) -> Tensor:
        x = self.project(z).view(-1, self.first, SEED, SEED)
        for group_norm, up in zip(self.norms, self.ups, strict=True):
            x = up(self.act(group_norm(x)))
        return torch.tanh(x)


class Flow(nn.Module):
    """Affine couplings, as in prodgen_jax.nets.flow."""

    def __init__(self, size: int, couplings: int = 8, hidden: int = 256):
        super().__init__()
        half, act = size // 2, nn.SiLU()
        self.couplings = nn.ModuleList(
            nn.Sequential(nn.Linear(half, hidden), act, nn.Linear(hidden, hidden), act, nn.Linear(hidden, 2 * half))
            for _ in range(couplings)
        )

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        log_det = torch.zeros(len(z), device=z.device)
        for coupling in self.couplings:
            kept, changed = z.chunk(2, -1)
            log_scale, shift = coupling(kept).chunk(2, -1)
            log_scale = 2 * torch.tanh(log_scale / 2)
            z = torch.cat([(changed - shift) * torch.exp(-log_scale), kept], -1)
            log_det = log_det - log_scale.sum(-1)
        return z, log_det

    def inverse(self, u: Tensor) -> Tensor:
        for coupling in reversed(self.couplings):
            changed, kept = u.chunk(2, -1)
            log_scale, shift = coupling(kept).chunk(2, -1)
            u = torch.cat([kept, changed * torch.exp(2 * torch.tanh(log_scale / 2)) + shift], -1)
        return u


class Time(nn.Module):
    """Sines and cosines of 1000 t through two dense layers."""

    def __init__(self, features: int, size: int):
        super().__init__()
        self.features = features
        self.layers = nn.Sequential(nn.Linear(features, size), nn.SiLU(), nn.Linear(size, size), nn.SiLU())

    def forward(self, t: Tensor) -> Tensor:
        return self.layers(fourier(1000 * t, self.features))


def fourier(t: Tensor, features: int) -> Tensor:
    half = features // 2
    angles = t[:, None] * torch.exp(-math.log(1e4) * torch.arange(half, device=t.device) / half)
    return torch.cat([angles.cos(), angles.sin()], -1)


class ResBlock(nn.Module):
    def __init__(self, cin: int, cout: int, emb: int):
        super().__init__()
        self.norm1, self.conv1 = norm(cin), nn.Conv2d(cin, cout, 3, padding=1)
        self.film = nn.Linear(emb, 2 * cout)
        self.norm2, self.conv2 = norm(cout), nn.Conv2d(cout, cout, 3, padding=1)
        self.skip = nn.Conv2d(cin, cout, 1) if cin != cout else nn.Identity()

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        scale, shift = self.film(emb)[:, :, None, None].chunk(2, 1)
        y = self.conv1(F.silu(self.norm1(x)))
        return self.conv2(F.silu(self.norm2(y) * (1 + scale) + shift)) + self.skip(x)


class Attention(nn.Module):
    def __init__(self, channels: int, head: int = 32):
        super().__init__()
        self.norm, self.heads = norm(channels), max(channels // head, 1)
        self.qkv, self.out = nn.Linear(channels, 3 * channels), nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        qkv = self.qkv(self.norm(x).flatten(2).transpose(1, 2)).view(b, h * w, 3, self.heads, c // self.heads)
        y = F.scaled_dot_product_attention(*qkv.permute(2, 0, 3, 1, 4)).transpose(1, 2).reshape(b, h * w, c)
        return x + self.out(y).transpose(1, 2).reshape(b, c, h, w)


class UNet(nn.Module):
    """prodgen_jax.nets.unet.UNet with its default settings: patches of 2 x 2, levels of 1, 2 and 3 widths."""

    def __init__(self, width: int = 32, multipliers: tuple[int, ...] = (1, 2, 3), attend: tuple[int, ...] = (1,)):
        super().__init__()
        emb, widths = 4 * width, [width * m for m in multipliers]
        self.time = Time(width, emb)
        self.entry = nn.Conv2d(12, width, 3, padding=1)
        c, skips, down, up = width, [width], [], []

        def row(cin: int, cout: int, i: int) -> nn.ModuleList:
            return nn.ModuleList([ResBlock(cin, cout, emb), *([Attention(cout)] if i in attend else [])])

        for i, cout in enumerate(widths):
            down.append(row(c, cout, i))
            c, skips = cout, [*skips, cout, *([cout] if i + 1 < len(widths) else [])]
        self.shrink = nn.ModuleList(nn.Conv2d(w, w, 3, 2, 1) for w in widths[:-1])
        self.middle = ResBlock(c, c, emb)
        for i, cout in reversed(list(enumerate(widths))):
            for j in range(2):
                up.append(row((c if j == 0 else cout) + skips.pop(), cout, i))
            c = cout
        self.down, self.up = nn.ModuleList(down), nn.ModuleList(up)
        self.norm, self.exit = norm(c), nn.Conv2d(c, 12, 3, padding=1)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        emb = self.time(t)
        y = self.entry(F.pixel_unshuffle(x, 2))
        skips = [y]
        for i, layers in enumerate(self.down):
            y = run(layers, y, emb)
            skips.append(y)
            if i + 1 < len(self.down):
                y = self.shrink[i](y)
                skips.append(y)
        y = self.middle(y, emb)
        for i, layers in enumerate(self.up):
            y = run(layers, torch.cat([y, skips.pop()], 1), emb)
            if i % 2 and i + 1 < len(self.up):
                y = F.interpolate(y, scale_factor=2)
        return F.pixel_shuffle(self.exit(F.silu(self.norm(y))), 2)


def run(layers: nn.ModuleList, x: Tensor, emb: Tensor) -> Tensor:
    block, *attention = layers
    x = block(x, emb)
    for layer in attention:
        x = layer(x)
    return x


class DiTBlock(nn.Module):
    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads, self.film = heads, nn.Linear(width, 6 * width)
        self.norm1, self.norm2 = (nn.LayerNorm(width, eps=1e-6, elementwise_affine=False) for _ in range(2))
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        shift1, scale1, gate1, shift2, scale2, gate2 = self.film(emb)[:, None].chunk(6, -1)
        x = x + gate1 * self.attend(self.norm1(x) * (1 + scale1) + shift1)
        hidden = self.wide(self.norm2(x) * (1 + scale2) + shift2)
        return x + gate2 * self.narrow(F.gelu(hidden, approximate="tanh"))

    def attend(self, x: Tensor) -> Tensor:
        b, n, c = x.shape
        qkv = self.qkv(x).view(b, n, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        return self.out(F.scaled_dot_product_attention(*qkv).transpose(1, 2).reshape(b, n, c))


class DiT(nn.Module):
    """prodgen_jax.nets.dit.DiT with the default settings."""

    def __init__(self, width: int = 192, depth: int = 6, heads: int = 3, patch: int = 4):
        super().__init__()
        self.patch, self.time = patch, Time(width, width)
        self.entry = nn.Linear(3 * patch**2, width)
        self.blocks = nn.ModuleList(DiTBlock(width, heads) for _ in range(depth))
        self.film = nn.Linear(width, 2 * width)
        self.norm = nn.LayerNorm(width, eps=1e-6, elementwise_affine=False)
        self.exit = nn.Linear(width, 3 * patch**2)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        emb = self.time(t)
        y = F.pixel_unshuffle(x, self.patch)
        b, _, h, w = y.shape
        y = self.entry(y.flatten(2).transpose(1, 2))
        row, column = (fourier(torch.arange(n, device=x.device), y.shape[-1] // 2) for n in (h, w))
        y = y + torch.cat([row[:, None].expand(h, w, -1), column[None].expand(h, w, -1)], -1).flatten(0, 1)
        for block in self.blocks:
            y = block(y, emb)
        shift, scale = self.film(emb)[:, None].chunk(2, -1)
        y = self.exit(self.norm(y) * (1 + scale) + shift)
        return F.pixel_shuffle(y.transpose(1, 2).reshape(b, -1, h, w), self.patch)
