"""Losses that hold the voices of different speakers apart by a margin."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Margin = Literal["aam", "am"]


class MarginSoftmax(nn.Module):
    """Cross-entropy over the cosines to one vector a speaker, the right one made harder.

    aam adds the margin to the angle (Deng et al., "ArcFace", 2018, https://arxiv.org/abs/1801.07698),
    am takes it from the cosine (Wang et al., "Additive Margin Softmax", 2018,
    https://arxiv.org/abs/1801.05599).
    """

    def __init__(
        self, kind: Margin, dimension: int, speakers: int, *, margin: float, scale: float
    ) -> None:
        super().__init__()
        self.kind, self.margin, self.scale = kind, margin, scale
        self.speakers = nn.Parameter(torch.empty(speakers, dimension))
        nn.init.xavier_normal_(self.speakers)

    def cosines(self, embeddings: Tensor) -> Tensor:
        """(n, speakers), of (n, d) embeddings."""
        return functional.linear(
            functional.normalize(embeddings), functional.normalize(self.speakers)
        )

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        cosines = self.cosines(embeddings.float())
        rows = torch.arange(len(labels), device=labels.device)
        right = cosines[rows, labels].clamp(-1 + 1e-6, 1 - 1e-6)
        if self.kind == "am":
            harder = right - self.margin
        else:
            harder = torch.cos(torch.clamp(torch.acos(right) + self.margin, max=torch.pi))
        logits = cosines.index_put((rows, labels), harder)
        return functional.cross_entropy(self.scale * logits, labels)
