"""Writes service_model.json: what the KMS service model says of each operation's input.

Facts alone: names of operations, members and shapes, which members are required, lengths, ranges, patterns, values of
enumerations. Usage: python3 service_model.py > service_model.json, with `botocore` installed.
A test (tests/clients) compares the result with the file.
"""

import json
import sys

import botocore.loaders

CONSTRAINTS = ("min", "max", "pattern", "enum", "sensitive")


def shape_of(model, name, shapes):
    """Collects a shape and all that it is made of."""
    if name in shapes:
        return
    model_shape = model["shapes"][name]
    shape = {"type": model_shape["type"]}
    shapes[name] = shape
    shape.update({key: model_shape[key] for key in CONSTRAINTS if key in model_shape})
    if model_shape["type"] == "structure":
        shape["required"] = model_shape.get("required", [])
        shape["members"] = {key: value["shape"] for key, value in model_shape["members"].items()}
        for member in shape["members"].values():
            shape_of(model, member, shapes)
    for part in ("member", "key", "value"):
        if part in model_shape:
            shape[part] = model_shape[part]["shape"]
            shape_of(model, shape[part], shapes)


model = botocore.loaders.create_loader().load_service_model("kms", "service-2")
shapes = {}
operations = {}
for operation, facts in sorted(model["operations"].items()):
    operations[operation] = facts["input"]["shape"] if "input" in facts else None
    if operations[operation]:
        shape_of(model, operations[operation], shapes)

# One line for each operation and shape, so that a change of the model reads as a difference of lines.
out = sys.stdout
out.write('{"targetPrefix": %s,\n"operations": {\n' % json.dumps(model["metadata"]["targetPrefix"]))
out.write(",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in operations.items()))
out.write('\n},\n"shapes": {\n')
out.write(",\n".join(f"{json.dumps(key)}: {json.dumps(shapes[key])}" for key in sorted(shapes)))
out.write("\n}}\n")
