"""The package's methods again in PyTorch, for the speed benchmark: the same turns, losses and draws.

Each family is made by `FAMILIES[name](size, to, wrap)` and returns (parameters, step, draw): `step(i, x)` plays
training step i on pictures x, float [b 3 h w] in [-1, 1]; `draw(n, evaluations)` makes n pictures, and a denoiser is
asked so many times for them. `to` moves a network, `wrap` is torch.compile or the identity.
"""

import math
from collections.abc import Callable
from functools import partial
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_nets import DiT, Downs, Flow, UNet, Ups


class Average:
    """The running average of a network's parameters, as the package keeps it."""

    def __init__(self, net: nn.Module):
        self.now, self.kept = list(net.parameters()), [p.detach().clone() for p in net.parameters()]

    @torch.no_grad()
    def update(self, i: int) -> None:
        torch._foreach_lerp_(self.kept, self.now, 1 - (1 - 1 / (i + 1.0)) ** 7.94)


def adam(net: nn.Module, lr: float, betas: tuple[float, float]) -> torch.optim.Optimizer:
    return torch.optim.Adam(net.parameters(), lr=lr, betas=betas, fused=True)


def device(net: nn.Module) -> torch.device:
    return next(net.parameters()).device


def count(*nets: nn.Module) -> int:
    return sum(p.numel() for net in nets for p in net.parameters())


def dcgan(size: int, to: Callable, wrap: Callable) -> tuple[int, Callable, Callable]:
    g, d = to(Ups(size, 128, F.relu)), to(Downs(size, 1, normalize=False))
    opt_g, opt_d, average = adam(g, 5e-4, (0.5, 0.99)), adam(d, 5e-4, (0.5, 0.99)), Average(g)
    fast_g, fast_d = wrap(g), wrap(d)

    def step(i: int, x: Tensor) -> None:
        with torch.no_grad():
            fake = fast_g(torch.randn(len(x), 128, device=x.device))
        play(opt_d, F.softplus(-fast_d(x)).mean() + F.softplus(fast_d(fake)).mean())
        if i % 16 == 0:  # two derivatives: torch.compile has no such thing, so the network itself
            real = x.detach().requires_grad_()
            (grad,) = torch.autograd.grad(d(real).sum(), real, create_graph=True)
            play(opt_d, 0.2 * 16 * 0.5 * grad.square().sum((1, 2, 3)).mean())
        d.requires_grad_(False)
        play(opt_g, F.softplus(-fast_d(fast_g(torch.randn(len(x), 128, device=x.device)))).mean())
        d.requires_grad_(True)
        average.update(i)

    def draw(n: int, evaluations: int) -> Tensor:
        return fast_g(torch.randn(n, 128, device=device(g)))

    return count(g, d), step, draw


def vae(size: int, to: Callable, wrap: Callable) -> tuple[int, Callable, Callable]:
    class VAE(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder, self.decoder, self.prior = Downs(size, 128, normalize=True), Ups(size, 64, F.silu), Flow(64)
            self.log_scale = nn.Parameter(torch.full((3,), -2.0))

        def forward(self, x: Tensor) -> Tensor:
            mean, logvar = self.encoder(x).chunk(2, -1)
            noise = torch.randn_like(mean)
            z = mean + torch.exp(0.5 * logvar) * noise
            u, log_det = self.prior(z)
            cost = 0.5 * (u.square() - noise.square() - logvar).sum(-1) - log_det
            return (cost - log_likelihood(x, self.decoder(z), self.log_scale)).mean()

    net = to(VAE())
    opt, average, loss = adam(net, 1e-3, (0.9, 0.999)), Average(net), wrap(net)

    decode = wrap(lambda u: net.decoder(net.prior.inverse(u)))

    def step(i: int, x: Tensor) -> None:
        play(opt, loss(x), net, 100.0)
        average.update(i)

    def draw(n: int, evaluations: int) -> Tensor:
        return decode(torch.randn(n, 64, device=device(net)))

    return count(net), step, draw


def log_likelihood(x: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
    """The logistic cut into 256 bins, as in prodgen_jax.methods.vae."""
    rate = torch.exp(-log_scale)[:, None, None]
    upper, lower = (x - mean + 1 / 255) * rate, (x - mean - 1 / 255) * rate
    middle = upper + torch.log(-torch.expm1(lower - upper)) - F.softplus(upper) - F.softplus(lower)
    ends = torch.where(x > 0.999, -F.softplus(lower), middle)
    return torch.where(x < -0.999, -F.softplus(-upper), ends).sum((1, 2, 3))


def ddpm(size: int, to: Callable, wrap: Callable, network: Callable = UNet) -> tuple[int, Callable, Callable]:
    net = to(network())
    opt, average, fast = adam(net, 2e-3, (0.9, 0.99)), Average(net), wrap(net)
    angle = (torch.arange(1001) / 1000 + 0.008) / 1.008 * math.pi / 2
    signal, noise_level = torch.cos(angle), torch.sin(angle)

    def step(i: int, x: Tensor) -> None:
        t = torch.randint(1, 1001, (len(x),), device=x.device)
        a, s = (v.to(x.device)[t][:, None, None, None] for v in (signal, noise_level))
        eps = torch.randn_like(x)
        error = (fast(a * x + s * eps, t / 1000) - (a * eps - s * x)).square().mean((1, 2, 3))
        snr = (a / s).square()[:, 0, 0, 0]
        play(opt, (snr.clamp(max=5) / (snr + 1) * error).mean(), net, 1.0)
        average.update(i)

    def draw(n: int, evaluations: int) -> Tensor:
        """DDIM (Song 2021), eq. 12 with sigma = 0, for a network that predicts v."""
        x = torch.randn(n, 3, size, size, device=device(net))
        times = torch.linspace(1000, 0, evaluations + 1).round().long()
        for now, then in pairwise(times):
            v = fast(x, torch.full((n,), now / 1000, device=x.device))
            a, s = signal[now], noise_level[now]
            x = signal[then] * (a * x - s * v) + noise_level[then] * (s * x + a * v)
        return x

    return count(net), step, draw


def play(opt: torch.optim.Optimizer, loss: Tensor, net: nn.Module | None = None, clip: float = 0.0) -> None:
    """One update; the gradient's norm is held to `clip` where a network is given."""
    opt.zero_grad(set_to_none=True)
    loss.backward()
    if net is not None:
        nn.utils.clip_grad_norm_(net.parameters(), clip)
    opt.step()


FAMILIES = {"dcgan": dcgan, "vae": vae, "ddpm": ddpm, "dit": partial(ddpm, network=DiT)}
