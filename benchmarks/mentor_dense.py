"""MENTOR's update as its equations stand, for `mentor.py` to race against: dense experts, bilinear shifts, one optimiser per network.

Huang et al. 2024 (arXiv 2410.14972), with DrQ-v2 (arXiv 2107.09645) and DrM (arXiv 2310.19668); full size, one camera with three frames in colour.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["DenseMentor"]

SIDE, PLANES, CODES = 84, 9, 39200
EXPERTS, ACTIVE, WIDTH, HIDDEN, FEATURES = 16, 4, 256, 1024, 50
SHIFT, DORMANT, CLIP, TAU, BALANCE, EXPECTILE = 4, 0.025, 0.3, 0.01, 0.002, 0.9


def _trunk() -> nn.Sequential:
    return nn.Sequential(nn.Linear(CODES, FEATURES), nn.LayerNorm(FEATURES), nn.Tanh())


def _head(inputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 1))


class _Experts(nn.Module):
    """Every expert for every sample; of all of them the chosen ones are weighed."""

    def __init__(self) -> None:
        super().__init__()
        self.router = nn.Sequential(nn.Linear(HIDDEN, WIDTH), nn.ReLU(), nn.Dropout(0.1), nn.Linear(WIDTH, EXPERTS))
        self.experts = nn.ModuleList(nn.Sequential(nn.Linear(HIDDEN, WIDTH), nn.ReLU(), nn.Linear(WIDTH, HIDDEN)) for _ in range(EXPERTS))

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.router(inputs)
        shares, chosen = logits.softmax(-1).topk(ACTIVE)
        outputs = torch.stack([expert(inputs) for expert in self.experts], 1)  # [B, N, H]
        picked = outputs.gather(1, chosen[..., None].expand(-1, -1, HIDDEN))
        return ((shares / shares.sum(-1, keepdim=True))[..., None] * picked).sum(1), logits


class _Actor(nn.Module):
    def __init__(self, actions: int) -> None:
        super().__init__()
        self.trunk, self.first = _trunk(), nn.Sequential(nn.Linear(FEATURES, HIDDEN), nn.ReLU())
        self.middle, self.last = _Experts(), nn.Sequential(nn.ReLU(), nn.Linear(HIDDEN, actions), nn.Tanh())

    def forward(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        values, logits = self.middle(self.first(self.trunk(codes)))
        return self.last(values), logits


class _Critic(nn.Module):
    def __init__(self, actions: int) -> None:
        super().__init__()
        self.trunk, self.one, self.two = _trunk(), _head(FEATURES + actions), _head(FEATURES + actions)

    def forward(self, codes: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        both = torch.cat([self.trunk(codes), action], -1)
        return self.one(both), self.two(both)


class DenseMentor:
    """Networks and optimisers; `update` is one step of all."""

    def __init__(self, actions: int) -> None:
        layers: list[nn.Module] = []
        for inside, stride in ((PLANES, 2), (32, 1), (32, 1), (32, 1)):
            layers += [nn.Conv2d(inside, 32, 3, stride), nn.ReLU()]
        self.encoder = nn.Sequential(*layers, nn.Flatten())
        self.actor, self.critic, self.target = _Actor(actions), _Critic(actions), _Critic(actions)
        self.target.load_state_dict(self.critic.state_dict())
        self.value = nn.Sequential(_trunk(), _head(FEATURES))
        networks = (self.encoder, self.actor, self.critic, self.value)
        self.adams = [torch.optim.Adam(network.parameters(), lr=1e-4) for network in networks]

    def shifted(self, pictures: Tensor) -> Tensor:
        """Padded pictures `[B, C, H, W]`, sampled at grids that are moved by whole pixels."""
        count, _, side, _ = pictures.shape
        padded = functional.pad(pictures, (SHIFT,) * 4, "replicate")
        whole = side + 2 * SHIFT
        line = torch.linspace(-1 + 1 / whole, 1 - 1 / whole, whole)[:side]
        grid = torch.stack([line[None].expand(side, -1), line[:, None].expand(-1, side)], -1)[None].expand(count, -1, -1, -1)
        offsets = torch.randint(0, 2 * SHIFT + 1, (count, 1, 1, 2)) * 2.0 / whole
        return functional.grid_sample(padded, grid + offsets, padding_mode="zeros", align_corners=False)

    def dormant(self, codes: Tensor) -> float:
        """Share of the actor's linear units that hardly do anything, by hooks."""
        outputs: list[Tensor] = []
        hooks = [
            layer.register_forward_hook(lambda _, __, output: outputs.append(output.detach()))
            for layer in self.actor.modules()
            if isinstance(layer, nn.Linear)
        ]
        with torch.no_grad():
            self.actor(codes)
        for hook in hooks:
            hook.remove()
        strength = [output.abs().mean(0) for output in outputs]
        return sum(int((each <= DORMANT * each.mean()).sum()) for each in strength) / sum(each.numel() for each in strength)

    def update(self, now: Tensor, after: Tensor, action: Tensor, reward: Tensor, discount: Tensor) -> None:
        """One step; pictures are `[B, 9, 84, 84]`, 0 … 255, reward and discount `[B, 1]`."""
        codes = self.encoder(self.shifted(now) / 255 - 0.5)
        with torch.no_grad():
            following = self.encoder(self.shifted(after) / 255 - 0.5)
        still = codes.detach()
        beta = self.dormant(still)
        sigma, share = 1 / (1 + 2.718 ** (-(beta - 0.2) / 0.1)), 0.6 / (1 + 2.718 ** ((beta - 0.2) / 0.02))
        with torch.no_grad():
            known = torch.min(*self.critic(still, action))
        above = self.value(still) - known
        value_loss = (torch.where(above > 0, 1 - EXPECTILE, EXPECTILE) * above.square()).mean()
        with torch.no_grad():
            next_action = self.explored(self.actor(following)[0], sigma)
            best = share * self.value(following) + (1 - share) * torch.min(*self.target(following, next_action))
            wanted = reward + discount * best
        one, two = self.critic(codes, action)
        critic_loss = functional.mse_loss(one, wanted) + functional.mse_loss(two, wanted)
        self._step(value_loss + critic_loss, 0, 2, 3)
        mean, logits = self.actor(still)
        routing = logits.softmax(-1).mean(0)
        actor_loss = -torch.min(*self.critic(still, self.explored(mean, sigma))).mean() + BALANCE * (routing * routing.log()).sum()
        self._step(actor_loss, 1)
        for slow, fast in zip(self.target.parameters(), self.critic.parameters(), strict=True):
            slow.data.lerp_(fast.data, TAU)

    def explored(self, mean: Tensor, sigma: float) -> Tensor:
        """Mean actions with clipped noise."""
        return (mean + (sigma * torch.randn_like(mean)).clamp(-CLIP, CLIP)).clamp(-1, 1)

    def _step(self, loss: Tensor, *places: int) -> None:
        for adam in self.adams:
            adam.zero_grad()
        loss.backward()
        for place in places:
            self.adams[place].step()
