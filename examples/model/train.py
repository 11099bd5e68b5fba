#!/usr/bin/env python3
"""Trains tiny-mlp, a model small enough to ship, and writes it as safetensors.

    python3 examples/model/train.py examples/model/tiny-mlp.safetensors

It needs nothing but Python's standard library, and writes the same bytes on every machine: only additions,
multiplications and comparisons of IEEE 754 doubles are used, in one fixed order (no exp, no sum(), whose algorithm
differs between versions), and random.Random(seed).random(), which Python promises never to change.

The task: tell four shapes apart on noisy pictures of 8 x 8 pixels. The pictures are drawn here, from a fixed seed.
"""

import json
import random
import struct
import sys

SIDE = 8
INPUTS = SIDE * SIDE
HIDDEN = 16
CLASSES = ("bar", "column", "cross", "frame")
NOISE = 0.05  # how many pixels are flipped
TRAINING_PICTURES = 480
TEST_PICTURES = 200
EPOCHS = 16
LEARNING_RATE = 0.02
SEED = 20260101


def draw(shape, rng):
    """One picture: the shape, somewhere, with some pixels flipped."""
    row = 2 + int(rng.random() * 4)
    column = 2 + int(rng.random() * 4)
    pixels = []
    for y in range(SIDE):
        for x in range(SIDE):
            bar, upright = y == row, x == column
            edge = y in (row - 2, row + 2) and abs(x - column) <= 2 or x in (column - 2, column + 2) and abs(y - row) <= 2
            lit = {"bar": bar, "column": upright, "cross": bar or upright, "frame": edge}[shape]
            pixels.append(1.0 if lit != (rng.random() < NOISE) else 0.0)
    return pixels


def pictures(count, rng):
    return [(draw(CLASSES[i % len(CLASSES)], rng), i % len(CLASSES)) for i in range(count)]


def weights(rows, columns, rng):
    scale = 2.0 / columns
    return [[(rng.random() - 0.5) * scale * 4.0 for _ in range(columns)] for _ in range(rows)]


def layer(weight, bias, inputs):
    outputs = []
    for row, start in zip(weight, bias):
        total = start
        for w, x in zip(row, inputs):
            total += w * x
        outputs.append(total)
    return outputs


def forward(model, pixels):
    before = layer(model["hidden.weight"], model["hidden.bias"], pixels)
    hidden = [x if x > 0.0 else 0.0 for x in before]
    return hidden, layer(model["output.weight"], model["output.bias"], hidden)


def step(model, pixels, label):
    """One step of gradient descent on the squared error."""
    hidden, output = forward(model, pixels)
    error = [o - (1.0 if i == label else 0.0) for i, o in enumerate(output)]
    back = []
    for j in range(HIDDEN):
        total = 0.0
        for i in range(len(CLASSES)):
            total += error[i] * model["output.weight"][i][j]
        back.append(total if hidden[j] > 0.0 else 0.0)
    for i, e in enumerate(error):
        row = model["output.weight"][i]
        for j in range(HIDDEN):
            row[j] -= LEARNING_RATE * e * hidden[j]
        model["output.bias"][i] -= LEARNING_RATE * e
    for j, e in enumerate(back):
        if e != 0.0:
            row = model["hidden.weight"][j]
            for k in range(INPUTS):
                row[k] -= LEARNING_RATE * e * pixels[k]
            model["hidden.bias"][j] -= LEARNING_RATE * e


def right(model, examples):
    hits = 0
    for pixels, label in examples:
        _, output = forward(model, pixels)
        hits += output.index(max(output)) == label
    return hits


def train():
    rng = random.Random(SEED)
    model = {
        "hidden.weight": weights(HIDDEN, INPUTS, rng),
        "hidden.bias": [0.0] * HIDDEN,
        "output.weight": weights(len(CLASSES), HIDDEN, rng),
        "output.bias": [0.0] * len(CLASSES),
    }
    training, test = pictures(TRAINING_PICTURES, rng), pictures(TEST_PICTURES, rng)
    for _ in range(EPOCHS):
        for pixels, label in training:
            step(model, pixels, label)
    return model, right(model, test)


def safetensors(model, metadata):
    """The format: the header's length (u64, little-endian), the header (JSON, padded to 8 bytes), the tensors' bytes."""
    header, body = {"__metadata__": metadata}, b""
    for name, tensor in model.items():
        rows = tensor if isinstance(tensor[0], list) else [tensor]
        flat = [value for row in rows for value in row]
        data = struct.pack("<%df" % len(flat), *flat)
        shape = [len(tensor), len(tensor[0])] if isinstance(tensor[0], list) else [len(tensor)]
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + body


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: train.py OUT.safetensors")
    model, hits = train()
    metadata = {
        "classes": ",".join(CLASSES),
        "input": "%dx%d pixels, 0 or 1, row by row" % (SIDE, SIDE),
        "license": "MIT OR Apache-2.0",
        "test_accuracy": "%d/%d" % (hits, TEST_PICTURES),
        "trained_by": "examples/model/train.py",
    }
    with open(sys.argv[1], "wb") as out:
        out.write(safetensors(model, metadata))
    print("%d of %d test pictures right" % (hits, TEST_PICTURES))


if __name__ == "__main__":
    main()
