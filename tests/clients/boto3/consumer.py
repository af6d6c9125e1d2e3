"""A usual consumer of boto3: it polls one shard, and when its iterator has expired it requests another
after its last record. In each stage it puts records, reads them, prints a report, and waits for a line.
See ../README.md.
"""

import json
import sys
import time

import boto3
from botocore.config import Config


def main():
    job = json.loads(sys.stdin.readline())
    kinesis = boto3.client(
        "kinesis",
        region_name=job["region"],
        endpoint_url=job["endpoint_url"],
        aws_access_key_id=job["key"],
        aws_secret_access_key="throw-away",
        config=Config(connect_timeout=10, read_timeout=30),
    )
    shard, seen, iterator, expired = {"StreamName": job["stream"], "ShardId": "shardId-000000000000"}, [], None, 0
    for stage in job["stages"]:
        for data in stage:
            kinesis.put_record(StreamName=job["stream"], PartitionKey="1", Data=data.encode())
        wanted, deadline = len(seen) + len(stage), time.monotonic() + 60
        while len(seen) < wanted and time.monotonic() < deadline:
            if iterator is None:
                iterator = kinesis.get_shard_iterator(**shard, **position_after(seen))["ShardIterator"]
            try:
                response = kinesis.get_records(ShardIterator=iterator)
            except kinesis.exceptions.ExpiredIteratorException:
                iterator, expired = None, expired + 1
                continue
            seen += [(record["SequenceNumber"], record["Data"].decode()) for record in response["Records"]]
            iterator = response["NextShardIterator"]
        print(json.dumps({"seen": [data for _, data in seen], "expired": expired}), flush=True)
        sys.stdin.readline()


def position_after(seen):
    if not seen:
        return {"ShardIteratorType": "TRIM_HORIZON"}
    return {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": seen[-1][0]}


main()
