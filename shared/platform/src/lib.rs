//! DynamoDB store, SQS queues, keys, configuration, telemetry: what Redial remembers with.
