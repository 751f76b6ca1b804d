"""Train an autoencoder on normal readings: what it cannot rebuild is odd.

Plain PyTorch. Outside: python train.py --data ./readings --out ./model --checkpoint ./checkpoint
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

EPOCHS, BATCH = 12, 512


def read(folder):
    """All readings and whether each is odd, from CSV files with a header."""
    files = sorted(folder.glob("*.csv"))
    table = np.concatenate([np.loadtxt(file, delimiter=",", skiprows=1, dtype=np.float32) for file in files])
    return torch.from_numpy(table[:, :-1]), torch.from_numpy(table[:, -1] > 0)


def main():
    arguments = argparse.ArgumentParser()
    for name in ("--data", "--out", "--checkpoint"):
        arguments.add_argument(name, type=Path, required=True)
    options = arguments.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(7)

    readings, odd = read(options.data)
    # Medians and quantiles, because a few readings are far out.
    middle = readings.median(dim=0).values
    spread = readings.quantile(0.9, dim=0) - readings.quantile(0.1, dim=0) + 1
    scaled = ((readings - middle) / spread).clamp(-10, 10)
    normal = scaled[~odd].to(device)
    print(f"{len(readings):,} readings of {readings.shape[1]} sensors, on {device}, torch {torch.__version__}")

    width = readings.shape[1]
    network = nn.Sequential(
        nn.Linear(width, 32),
        nn.ReLU(),
        nn.Linear(32, 4),
        nn.ReLU(),
        nn.Linear(4, 32),
        nn.ReLU(),
        nn.Linear(32, width),
    ).to(device)
    optimiser = torch.optim.Adam(network.parameters(), lr=2e-3)
    state = options.checkpoint / "state.pt"
    first = 0
    if state.exists():
        saved = torch.load(state, weights_only=True)
        network.load_state_dict(saved["network"])
        optimiser.load_state_dict(saved["optimiser"])
        first = saved["epoch"]
        print(f"going on after epoch {first}")

    for epoch in range(first + 1, EPOCHS + 1):
        order = torch.randperm(len(normal), device=device)
        total = 0.0
        for at in range(0, len(order), BATCH):
            batch = normal[order[at : at + BATCH]]
            loss = nn.functional.mse_loss(network(batch), batch)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            total += loss.item() * len(batch)
        print(f"epoch {epoch:2}  loss {total / len(normal):.4f}", flush=True)
        options.checkpoint.mkdir(parents=True, exist_ok=True)
        partial = state.with_suffix(".partial")
        torch.save({"network": network.state_dict(), "optimiser": optimiser.state_dict(), "epoch": epoch}, partial)
        partial.replace(state)

    with torch.no_grad():
        errors = (network(scaled.to(device)).cpu() - scaled).square().mean(dim=1)
    ranks = errors.argsort().argsort().double() + 1
    positives = odd.sum().item()
    area = (ranks[odd].sum() - positives * (positives + 1) / 2) / (positives * (len(odd) - positives))
    print(f"AUC of the reconstruction error: {area:.4f}")
    options.out.mkdir(parents=True, exist_ok=True)
    weights = {name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()}
    save_file(weights | {"middle": middle, "spread": spread}, options.out / "network.safetensors")


if __name__ == "__main__":
    main()
