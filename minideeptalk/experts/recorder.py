"""Which experts work for which modality: a recorder of expert load for our model and for any transformers MoE.

The paper selects audio experts from the load of every expert on audio and on text, but its recorder was never
published; this one is written from the description.  It listens where tokens enter the experts, so it sees what was
executed: after top-k, after masks, after biases and groups, whatever the router's scoring is.
Axes: B batch, T steps, N = B * T tokens, E experts, K chosen experts, L layers with experts.
"""

from __future__ import annotations

from enum import IntEnum

import torch
from torch import nn

from minideeptalk.errors import LearnerError
from minideeptalk.experts.loads import ExpertLoads


class Modality(IntEnum):
    """What a token is. PADDING is never counted; the other four are counted apart, and added up later."""

    PADDING = -1
    TEXT_PROMPT = 0
    AUDIO_PROMPT = 1
    TEXT_ANSWER = 2
    SPOKEN_ANSWER = 3


COUNTED = tuple(kind for kind in Modality if kind != Modality.PADDING)


def find_experts(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """The modules that hold routed experts, first layer first, with their names.

    They are known by what they have, not by class: a number `num_experts` and stacked 3-D weights `down_proj` and
    `gate_up_proj` (`up_proj` in the families without a gate).  That is the layout of transformers' experts modules,
    and of `minideeptalk.model.Experts`.  A talker beside the model (`talker.`) reads other tokens and is passed over.

    Raises:
        LearnerError: if there is none, or if their numbers of experts differ.
    """
    found = [(name, module) for name, module in model.named_modules()
             if _is_experts(module) and not name.startswith("talker.")]
    if not found:
        raise LearnerError("a model with mixture-of-experts layers", type(model).__name__,
                           "the model is dense, or was written for transformers below 5, where each expert is a module of its own",
                           "take a MoE model (for instance Olmoe, Qwen2Moe or Mixtral) from transformers 5.15 or newer")
    sizes = sorted({module.num_experts for _, module in found})
    if len(sizes) > 1:
        raise LearnerError("the same number of experts in every layer", f"{sizes}",
                           "the model has several stacks of experts, for instance one for images",
                           "give the recorder one stack, such as model.language_model")
    return found


def _is_experts(module: nn.Module) -> bool:
    def stacked(name: str) -> bool:
        weight = getattr(module, name, None)
        return isinstance(weight, torch.Tensor) and weight.dim() == 3

    return isinstance(getattr(module, "num_experts", None), int) and stacked("down_proj") and (
        stacked("gate_up_proj") or stacked("up_proj"))


def same_modality(attention_mask: torch.Tensor, modality: Modality) -> torch.Tensor:
    """Modality (B, T) of a batch that is all of one kind: `modality` where the mask (B, T) is set, PADDING elsewhere."""
    kinds = torch.full(attention_mask.shape, int(modality), device=attention_mask.device)
    return kinds.masked_fill(~attention_mask.bool(), int(Modality.PADDING))


class LoadRecorder:
    """Counts, while the `with` block lasts, how many tokens of each modality every expert receives.

    Tell it before each forward what its tokens are; a forward that was not announced is an error, so that no batch is
    counted under the modality of the one before.

    Args:
        model: a `DeepTalkModel` or any MoE model of transformers 5.15 or newer, also one with LoRA.
        count_prompts: whether the load of a modality includes prompts, or only answers (see `ExpertLoads.share`).

    Example:
        >>> import torch
        >>> from minideeptalk.experts import LoadRecorder, Modality, same_modality
        >>> from minideeptalk.model import DeepTalkConfig, DeepTalkModel
        >>> model = DeepTalkModel(DeepTalkConfig(width=16, heads=2, layers=3, experts=4, expert_hidden=8)).eval()
        >>> text = torch.ones(2, 5, dtype=torch.long)
        >>> with LoadRecorder(model) as recorder, torch.no_grad():
        ...     recorder.modality(same_modality(text, Modality.TEXT_PROMPT))
        ...     output = model(text)
        >>> recorder.loads().counts.sum()  # 2 * 5 tokens, 2 experts each, 2 layers with experts
        np.float64(40.0)

    Source: paper section on adaptive expert selection (the recorder itself is ours); chapter 07.
    """

    def __init__(self, model: nn.Module, count_prompts: bool = True):
        found = find_experts(model)
        self.count_prompts = count_prompts
        self.layers = tuple(name for name, _ in found)
        self.experts = found[0][1].num_experts
        self._modules = [module for _, module in found]
        self._rows: torch.Tensor | None = None  # (N,) row of `_counts` for each token of the announced forward
        self._heard: set[int] = set()  # layers that have run in the announced forward
        self._counts: list[torch.Tensor | None] = [None] * len(found)
        self._tokens: list[torch.Tensor | None] = [None] * len(found)
        self._handles: list = []

    def __enter__(self):
        for layer, module in enumerate(self._modules):
            self._handles.append(module.register_forward_pre_hook(self._hook(layer), with_kwargs=True))
        return self

    def __exit__(self, *_) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def modality(self, kinds: torch.Tensor) -> None:
        """Announce the next forward.

        Args:
            kinds: (B, T) integers of `Modality`, in the order of the tokens that the model will see.

        Raises:
            LearnerError: for a number that is no modality.
        """
        kinds = torch.as_tensor(kinds)
        if kinds.is_floating_point() or kinds.dtype == torch.bool or not _all_known(kinds):
            raise LearnerError(f"integers of Modality, {int(Modality.PADDING)} to {len(COUNTED) - 1}",
                               f"{kinds.dtype} with values {sorted(set(kinds.flatten().tolist()))[:8]}",
                               "an attention mask or token ids were given instead of modalities",
                               "build it with same_modality(attention_mask, Modality.TEXT_PROMPT), or take it from the batch")
        self._rows = kinds.reshape(-1).long().masked_fill(kinds.reshape(-1) < 0, len(COUNTED))  # (N,) padding: the row after the last
        self._heard = set()

    def _hook(self, layer: int):
        def before_experts(module, args, kwargs):
            index = _chosen_experts(args, kwargs)  # (N, K)
            self._check_announced(layer, index.shape[0])
            self._count(layer, index.detach())

        return before_experts

    def _check_announced(self, layer: int, tokens: int) -> None:
        if self._rows is None or layer in self._heard:
            raise LearnerError("recorder.modality(...) before each forward", f"a forward of {tokens} tokens that was not announced",
                               "the modality was given once for several forwards, or activation checkpointing ran the layer again",
                               "call recorder.modality(kinds) right before model(...), and record under torch.no_grad()")
        if self._rows.shape[0] != tokens:
            raise LearnerError(f"modalities of {tokens} tokens, as many as {self.layers[layer]} received", f"{self._rows.shape[0]}",
                               "the batch was padded, cut or cached after its modality was built",
                               "give one integer for each token of this very forward")
        self._heard.add(layer)

    def _count(self, layer: int, index: torch.Tensor) -> None:
        rows = self._rows.to(index.device)  # (N,)
        columns = self.experts + 1  # the last column takes indices that no expert here owns
        cells = (rows[:, None] * columns + index.clamp(max=self.experts)).reshape(-1)  # (N*K,)
        if self._counts[layer] is None:
            self._counts[layer] = torch.zeros((len(COUNTED) + 1) * columns, dtype=torch.long, device=index.device)
            self._tokens[layer] = torch.zeros(len(COUNTED) + 1, dtype=torch.long, device=index.device)
        self._counts[layer].scatter_add_(0, cells, torch.ones_like(cells))
        self._tokens[layer].scatter_add_(0, rows, torch.ones_like(rows))

    def loads(self) -> ExpertLoads:
        """What has been counted so far.

        Raises:
            LearnerError: if some layer has not run at all.
        """
        silent = [name for name, counts in zip(self.layers, self._counts) if counts is None]
        if silent:
            raise LearnerError("at least one forward inside the with block", f"no tokens in {', '.join(silent[:3])}",
                               "the model ran before the block began, or another copy of it ran",
                               "run the model that was given to LoadRecorder inside the block")
        counts = [layer.view(len(COUNTED) + 1, -1)[:-1, :-1].cpu() for layer in self._counts]  # (modality, E) each
        tokens = [layer[:-1].cpu() for layer in self._tokens]  # (modality,) each
        return ExpertLoads(
            counts=torch.stack(counts, dim=1).double().numpy(),  # (modality, L, E)
            tokens=torch.stack(tokens, dim=1).double().numpy(),  # (modality, L)
            layers=self.layers,
            count_prompts=self.count_prompts,
        )


def _all_known(kinds: torch.Tensor) -> bool:
    return bool(((kinds >= int(Modality.PADDING)) & (kinds < len(COUNTED))).all())


def _chosen_experts(args: tuple, kwargs: dict) -> torch.Tensor:
    """The (N, K) integers among the inputs of an experts module: families name this argument differently."""
    for value in (*args, *kwargs.values()):
        if isinstance(value, torch.Tensor) and not value.is_floating_point() and value.dim() == 2:
            return value
    raise LearnerError("an experts module that receives the chosen experts (N, K) as integers", "no such tensor",
                       "this MoE family routes inside the experts", "open an issue that names the model class")
