"""Networks over sequences of items: recurrent (GRU, LSTM) and causal self-attention; every state sees the past alone.

All take rows of item places filled up at the end: items int64 (b, L), sizes int64 (b,). Whatever stands behind the end
of a row changes nothing before it.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from recsys_desktop.toolkit.torch_training import SeededDropout

_SPREAD = 0.02


def _normal(generator: torch.Generator, *shape: int, spread: float = _SPREAD) -> torch.nn.Parameter:
    return torch.nn.Parameter(torch.empty(*shape).normal_(0, spread, generator=generator))


def _linear(before: int, after: int, generator: torch.Generator) -> torch.nn.Linear:
    """A linear layer with Glorot's uniform weights (2010), drawn from the generator, and biases of 0."""
    layer = torch.nn.Linear(before, after, device="meta").to_empty(device="cpu")
    bound = (6 / (before + after)) ** 0.5
    with torch.no_grad():
        layer.weight.uniform_(-bound, bound, generator=generator)
        layer.bias.zero_()
    return layer


class SequenceNetwork(torch.nn.Module):
    """Item vectors, which serve as input and as output, and an item bias; subclasses turn histories into states.

    The logit of item i after a state is state · item_vectors[i] + item_bias[i].
    """

    def __init__(self, n_items: int, factors: int, dropout: float, generator: torch.Generator) -> None:
        super().__init__()
        self.item_vectors = _normal(generator, n_items, factors)
        self.item_bias = torch.nn.Parameter(torch.zeros(n_items))
        self.dropout = SeededDropout(dropout)

    def states(self, items: torch.Tensor, sizes: torch.Tensor) -> torch.Tensor:
        """The state after each entry: float32 (b, L, factors)."""
        raise NotImplementedError

    def last_states(self, items: torch.Tensor, sizes: torch.Tensor) -> torch.Tensor:
        """The state after the last entry of each row: float32 (b, factors)."""
        return self.states(items, sizes)[torch.arange(len(items), device=items.device), sizes - 1]


class RecurrentNetwork(SequenceNetwork):
    """Layers of GRU (Cho et al. 2014, as in GRU4Rec, Hidasi et al. 2016) or LSTM cells over the item vectors."""

    def __init__(
        self,
        cell: type[torch.nn.GRU] | type[torch.nn.LSTM],
        n_items: int,
        factors: int,
        hidden: int,
        layers: int,
        dropout: float,
        generator: torch.Generator,
    ) -> None:
        super().__init__(n_items, factors, dropout, generator)
        self.layers = torch.nn.ModuleList()
        for level in range(layers):
            # The cells draw their first weights from torch's global generator, which is given back as it was.
            with torch.random.fork_rng(devices=[]):
                layer = cell(factors if level == 0 else hidden, hidden, batch_first=True)
            with torch.no_grad():
                for parameter in layer.parameters():
                    parameter.uniform_(-(hidden**-0.5), hidden**-0.5, generator=generator)
            self.layers.append(layer)
        self.into_vectors = _linear(hidden, factors, generator)
        self.scale = factors**0.5

    def states(self, items: torch.Tensor, sizes: torch.Tensor) -> torch.Tensor:
        """As `SequenceNetwork.states`."""
        values = self.dropout(functional.embedding(items, self.item_vectors) * self.scale)
        for layer in self.layers:
            values = self.dropout(layer(values)[0])
        found: torch.Tensor = self.into_vectors(values)
        return found


class _Block(torch.nn.Module):
    """One block: causal self-attention, then two layers at each entry, each behind a normalisation and added."""

    def __init__(self, width: int, heads: int, dropout: SeededDropout, generator: torch.Generator) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention = torch.nn.LayerNorm(width)
        self.into_queries = _linear(width, width, generator)
        self.into_keys_and_values = _linear(width, 2 * width, generator)
        self.from_heads = _linear(width, width, generator)
        self.before_layers = torch.nn.LayerNorm(width)
        self.wider = _linear(width, 4 * width, generator)
        self.back = _linear(4 * width, width, generator)
        self.dropout = dropout

    def forward(self, values: torch.Tensor, last: torch.Tensor | None = None) -> torch.Tensor:
        """values: (b, L, width). last: int64 (b,), the one wanted entry of each row: (b, 1, width) comes back."""
        normal = self.before_attention(values)
        keys, entries = self.into_keys_and_values(normal).chunk(2, -1)
        if last is None:
            queries, visible = self.into_queries(normal), None
        else:
            rows = torch.arange(len(values), device=values.device)
            values, queries = values[rows, last, None], self.into_queries(normal[rows, last, None])
            visible = (torch.arange(keys.shape[1], device=keys.device) <= last[:, None])[:, None, None]
        seen = functional.scaled_dot_product_attention(
            self._divided(queries), self._divided(keys), self._divided(entries), visible, is_causal=last is None
        )
        values = values + self.dropout(self.from_heads(seen.transpose(1, 2).flatten(2)))
        inner = self.dropout(functional.gelu(self.wider(self.before_layers(values))))
        result: torch.Tensor = values + self.dropout(self.back(inner))
        return result

    def _divided(self, values: torch.Tensor) -> torch.Tensor:
        return values.view(*values.shape[:2], self.heads, -1).transpose(1, 2)


class SelfAttentionNetwork(SequenceNetwork):
    """SASRec's network (Kang and McAuley 2018), with normalisation before each part and a last one before the output.

    Positions are learnt and counted from the end of the row, so that the latest entry always has the same.
    """

    def __init__(
        self,
        n_items: int,
        factors: int,
        blocks: int,
        heads: int,
        length: int,
        dropout: float,
        generator: torch.Generator,
    ) -> None:
        super().__init__(n_items, factors, dropout, generator)
        self.positions = _normal(generator, length, factors)
        self.blocks = torch.nn.ModuleList(_Block(factors, heads, self.dropout, generator) for _ in range(blocks))
        self.last_normal = torch.nn.LayerNorm(factors)
        self.scale = factors**0.5

    def states(self, items: torch.Tensor, sizes: torch.Tensor) -> torch.Tensor:
        """As `SequenceNetwork.states`."""
        values = self._input(items, sizes)
        for block in self.blocks:
            values = block(values)
        found: torch.Tensor = self.last_normal(values)
        return found

    def last_states(self, items: torch.Tensor, sizes: torch.Tensor) -> torch.Tensor:
        """As `SequenceNetwork.last_states`; the last block is computed for the last entries alone."""
        values = self._input(items, sizes)
        for block in self.blocks[:-1]:
            values = block(values)
        found: torch.Tensor = self.last_normal(self.blocks[-1](values, sizes - 1))[:, 0]
        return found

    def _input(self, items: torch.Tensor, sizes: torch.Tensor) -> torch.Tensor:
        from_end = (sizes[:, None] - 1 - torch.arange(items.shape[1], device=items.device)).clamp(min=0)
        values = functional.embedding(items, self.item_vectors) * self.scale
        dropped: torch.Tensor = self.dropout(values + functional.embedding(from_end, self.positions))
        return dropped
