"""Weights of `gengs-vae export --safetensors` in a PyTorch model of one's own: `python examples/load_in_pytorch.py weights.safetensors '[[2, 0, 3]]'`
prints the images of these latents, as pixel probabilities."""

import json
import sys

from safetensors.torch import load_file
from torch import nn, sigmoid, tensor


def mlp(weights, part):
    """Linear layers with a rectifier between them, in the sizes of the weights."""
    sizes = [weight.shape for name, weight in weights.items() if name.startswith(part) and name.endswith("weight")]
    layers = [layer for outputs, inputs in sizes for layer in (nn.Linear(inputs, outputs), nn.ReLU())]
    return nn.Sequential(*layers[:-1])


weights = load_file(sys.argv[1])
model = nn.ModuleDict({part: mlp(weights, part) for part in ("encoder", "decoder")})
model.load_state_dict(weights)
print(json.dumps(sigmoid(model["decoder"](tensor(json.loads(sys.argv[2])).float())).tolist()))
