"""Files of weights as Python writes them, for tests/formats/weights.rs: `python tests/oracles/weights.py tests/fixtures/weights`
(torch 2.11.0, safetensors 0.8)."""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn


class Net(nn.Module):
    """Layers in layers, one of them twice, a buffer, and a tensor that is neither parameter nor buffer."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
        self.shared = nn.ModuleList([self.encoder, nn.Linear(2, 1)])
        self.register_buffer("offset", torch.linspace(-1, 1, 2))
        self.neither = torch.ones(2)

    def forward(self, x):
        return self.encoder(x) + self.offset + self.neither


def main(folder):
    torch.manual_seed(0)
    net = Net()
    weights = net.state_dict()
    save_file({k: v.clone() for k, v in weights.items()}, folder / "state_dict.safetensors")
    kinds = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16]
    kinds = {str(kind)[6:]: (torch.randn(2, 3) * 9).to(kind) for kind in kinds + [torch.int8, torch.uint8, torch.bool]}
    save_file(kinds, folder / "kinds.safetensors")
    torch.save(kinds, folder / "kinds.pt")
    # Views of one storage: a slice, a transpose, an expanded number, nothing, a scalar.
    base = torch.randn(4, 6)
    views = {"slice": base[1:3, 2:], "t": base.t(), "wide": base[0, :1].expand(3, 1), "none": base[:0], "one": base[3, 3]}
    torch.save(views, folder / "views.pt")

    torch.save(dict(weights), folder / "dict.pt")
    torch.save(weights, folder / "state_dict.pt")
    torch.save(weights, folder / "protocol4.pt", pickle_protocol=4)
    torch.save(dict(net.named_parameters()), folder / "parameters.pt")
    torch.save(weights, folder / "legacy.pt", _use_new_zipfile_serialization=False)
    adam = torch.optim.Adam(net.parameters())
    checkpoint = {"epoch": 3, "model": weights, "optimizer": adam.state_dict()}
    torch.save(checkpoint, folder / "nested.pt")
    torch.save(checkpoint, folder / "legacy-nested.pt", _use_new_zipfile_serialization=False)
    torch.save({**weights, "epoch": 3}, folder / "mixed.pt")
    torch.save(net, folder / "whole.pt")
    torch.save(nn.Sequential(nn.Linear(2, 1)), folder / "whole-sequential.pt")
    torch.save(torch.ones(2), folder / "tensor.pt")
    torch.jit.script(net).save(folder / "scripted.pt")
    torch.jit.trace(net, torch.zeros(1, 4)).save(folder / "traced.pt")

    numbers = lambda tensors: {k: [list(v.shape), v.double().flatten().tolist()] for k, v in tensors.items()}
    expected = {"weights": numbers(weights), "kinds": numbers(kinds), "views": numbers(views)}
    (folder / "expected.json").write_text(json.dumps(expected))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
