#!/usr/bin/env bash
# Shows, in an AWS account of yours, what no emulator can (docs/DEPLOY.md has the list). Run it once after the first deployment:
#
#   infra/smoke.sh STACK [RECEIVER_URL]
#
# Needs bash, the AWS CLI 2, curl 7.75 or later, jq, python3 and the `redial` command, with credentials that may administer the
# stack's resources. Without RECEIVER_URL, which must answer 500 to every POST, it makes a receiver: a Lambda function with a
# URL and a role. That, an endpoint, an API key and three queues it deletes at the end; a tenant without endpoints stays,
# and two events until their retention ends. It takes some five minutes and costs less than a cent. It must never touch what it
# has not made, and never print a key.
set -euo pipefail

STACK=${1:?usage: infra/smoke.sh STACK [RECEIVER_URL]}
RECEIVER_URL=${2:-}
REDIAL=${REDIAL_BINARY:-redial}
REGION=${AWS_REGION:-${AWS_DEFAULT_REGION:-$(aws configure get region)}}
export AWS_REGION=$REGION AWS_PAGER=
# Eight attempts two seconds apart. `delivery` gives a message away after its third receive: five are made from `retry`.
ATTEMPTS=8
# How long the ladder and a new role may take, in seconds.
LADDER_S=180 ROLE_S=60
# Executions at once that the mappings must leave: one for ingest, one for api.
ROOM=2

MARK=smoke-$(date +%s)
SCRATCH=$(mktemp -d)
STARTED_MS=$(($(date +%s) * 1000))
passed=0 failed=0 tenant='' endpoint='' key_id='' receiver='' role='' queues=()

ok() { passed=$((passed + 1)) && printf 'ok   %s\n' "$1"; }
fail() { failed=$((failed + 1)) && printf 'FAIL %s\n' "$1"; }
note() { printf '     %s\n' "$1"; }
# check SENTENCE GOT EXPECTED
check() { if [ "$2" = "$3" ]; then ok "$1"; else fail "$1: expected $3, got $2"; fi; }
# within SECONDS COMMAND..: looks every two seconds until the command succeeds.
within() {
    local ends=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -lt $ends ] || return 1
        sleep 2
    done
}

output() { jq -r --arg key "$1" '.[] | select(.OutputKey == $key).OutputValue' "$SCRATCH/outputs"; }
resource() {
    aws cloudformation describe-stack-resource --stack-name "$STACK" --logical-resource-id "$1" \
        --query StackResourceDetail.PhysicalResourceId --output text
}
# api METHOD PATH [BODY]: the answer of the management API. The key comes from a file, so that no process list shows it.
api() {
    curl --silent --show-error --fail-with-body --request "$1" --header "@$SCRATCH/key" \
        --header 'content-type: application/json' ${3:+--data-binary "$3"} "${API%/}$2"
}

clean_up() {
    local status=$?
    set +e
    printf -- '-- cleaning up\n'
    [ -z "$endpoint" ] || api DELETE "/v1/tenants/$tenant/endpoints/$endpoint" >/dev/null
    [ -z "$key_id" ] || api DELETE "/v1/keys/$key_id" >/dev/null
    [ -z "$receiver" ] || aws lambda delete-function --function-name "$receiver"
    [ -z "$receiver" ] || aws logs delete-log-group --log-group-name "/aws/lambda/$receiver" 2>/dev/null
    [ -z "$role" ] || aws iam delete-role --role-name "$role"
    for queue in "${queues[@]}"; do aws sqs delete-queue --queue-url "$queue"; done
    rm -rf "$SCRATCH"
    [ "$status" -eq 0 ] || fail "the script broke off with status $status"
    printf 'smoke: %s passed, %s failed\n' "$passed" "$failed"
    [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
    exit $?
}
trap clean_up EXIT

# ---- what CloudFormation made of the template -----------------------------------------------------------------------

aws cloudformation describe-stacks --stack-name "$STACK" --query 'Stacks[0].Outputs' >"$SCRATCH/outputs"
API=$(output Api) INGEST=$(output Ingest) INGEST_IAM=$(output IngestIam)

ttl=$(aws dynamodb describe-time-to-live --table-name "$(output EventsTableName)" \
    --query 'TimeToLiveDescription.[TimeToLiveStatus,AttributeName]' --output text | tr '\t' ' ')
check 'the events table has its TTL' "${ttl/ENABLING/ENABLED}" 'ENABLED ttl'
backups=$(aws dynamodb describe-continuous-backups --table-name "$(output ConfigTableName)" \
    --query ContinuousBackupsDescription.PointInTimeRecoveryDescription.PointInTimeRecoveryStatus --output text)
check 'the config table can be restored to any second' "$backups" ENABLED
for name in Ingest Dispatcher Api Replay Sweeper; do
    reserved=$(aws lambda get-function-concurrency --function-name "$(resource $name)" \
        --query ReservedConcurrentExecutions --output text)
    check "$name has no reserved concurrency: a throttle would burn receives" "$reserved" None
done
# Two of the dispatcher, one of replay, one of the intake.
for name in Dispatcher Replay Sweeper; do
    aws lambda list-event-source-mappings --function-name "$(resource $name)"
done >"$SCRATCH/mappings"
check 'all four mappings are enabled and limited' \
    "$(jq --slurp '[.[].EventSourceMappings[] | select(.State == "Enabled" and .ScalingConfig.MaximumConcurrency > 1)] | length' "$SCRATCH/mappings")" 4
limit=$(aws lambda get-account-settings --query AccountLimit.ConcurrentExecutions --output text)
wanted=$(jq --slurp '[.[].EventSourceMappings[].ScalingConfig.MaximumConcurrency] | add' "$SCRATCH/mappings")
if [ $((wanted + ROOM)) -le "$limit" ]; then
    ok "the account's $limit executions at once leave room for ingest and api beside the mappings' $wanted"
else
    fail "the account allows $limit executions at once, the mappings take $wanted and ingest and api need $ROOM: lower DeliveryConcurrency, RetryConcurrency and ReplayConcurrency"
fi

# ---- the function URLs: whom they let in ------------------------------------------------------------------------------

status() { curl --silent --output /dev/null --write-out '%{http_code}' "$@"; }
check 'anybody reaches the API: both permissions of its URL are there' "$(status "${API%/}/v1")" 200
check 'anybody reaches ingest, which asks for a key' "$(status --request POST --data '{}' "$INGEST")" 401
check 'the IAM URL lets in nobody who does not sign' "$(status --request POST --data '{}' "$INGEST_IAM")" 403

"$REDIAL" keys create --stack "$STACK" --region "$REGION" --name "$MARK" --json >"$SCRATCH/made"
key_id=$(jq -r .id "$SCRATCH/made")
(umask 077 && jq -r '"authorization: Bearer " + .key' "$SCRATCH/made" >"$SCRATCH/key")
rm "$SCRATCH/made"
if within 10 api GET /v1/keys >/dev/null; then
    ok 'a key made with redial keys create --stack opens the API'
else
    fail 'the new key does not open the API'
fi

eval "$(aws configure export-credentials --format env)"
# From a file as well: printf is bash's own, so the credentials are on no command line.
(
    umask 077
    printf 'user = "%s:%s"\n' "$AWS_ACCESS_KEY_ID" "$AWS_SECRET_ACCESS_KEY" >"$SCRATCH/signer"
    [ -z "${AWS_SESSION_TOKEN:-}" ] || printf 'header = "x-amz-security-token: %s"\n' "$AWS_SESSION_TOKEN" >>"$SCRATCH/signer"
)
# signed URL BODY
signed() {
    curl --silent --show-error --fail-with-body --aws-sigv4 "aws:amz:$REGION:lambda" --config "$SCRATCH/signer" \
        --header 'content-type: application/json' --data-binary "$2" "$1"
}

# ---- a receiver that always fails -------------------------------------------------------------------------------------

make_receiver() {
    local name=redial-$MARK policy
    policy='{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}'
    aws iam create-role --role-name "$name" --assume-role-policy-document "$policy" >/dev/null
    role=$name
    printf 'def handler(event, context):\n    return {"statusCode": 500}\n' >"$SCRATCH/receiver.py"
    python3 -m zipfile -c "$SCRATCH/receiver.zip" "$SCRATCH/receiver.py"
    # A role is not known everywhere at once.
    within $ROLE_S aws lambda create-function --function-name "$name" --runtime python3.13 --handler receiver.handler \
        --role "$(aws iam get-role --role-name "$name" --query Role.Arn --output text)" \
        --zip-file "fileb://$SCRATCH/receiver.zip" >/dev/null 2>"$SCRATCH/error" || { cat "$SCRATCH/error" && return 1; }
    receiver=$name
    aws lambda wait function-active-v2 --function-name "$name"
    aws lambda add-permission --function-name "$name" --statement-id url --action lambda:InvokeFunctionUrl \
        --principal '*' --function-url-auth-type NONE >/dev/null
    aws lambda add-permission --function-name "$name" --statement-id invoke --action lambda:InvokeFunction \
        --principal '*' --invoked-via-function-url >/dev/null
    RECEIVER_URL=$(aws lambda create-function-url-config --function-name "$name" --auth-type NONE --query FunctionUrl --output text)
}
answers_500() { [ "$(status --request POST --data '{}' "$RECEIVER_URL")" = 500 ]; }
[ -n "$RECEIVER_URL" ] || make_receiver
if within $ROLE_S answers_500; then ok 'the receiver answers 500'; else fail "$RECEIVER_URL does not answer 500"; fi

# ---- the ladder: three receives in `delivery`, the rest in `retry` -------------------------------------------------------

tenant=$MARK
api PUT "/v1/tenants/$tenant" '{}' >/dev/null
wish=$(jq -n --arg url "$RECEIVER_URL" --argjson attempts $ATTEMPTS \
    '{$url, event_types: ["call.ended"], retry: {$attempts, delays: [range($attempts - 1) | 2]}}')
endpoint=$(api POST "/v1/tenants/$tenant/endpoints" "$wish" | jq -r .id)
# event ID TYPE
event() { jq -n --arg tenant "$tenant" --arg id "$1" --arg type "$2" '{$type, $tenant, $id, data: {call_id: "call_smoke"}}'; }
answer=$(curl --silent --header "@$SCRATCH/key" --header 'content-type: application/json' --data-binary "$(event "$MARK" call.ended)" "$INGEST")
check 'ingest takes an event' "$(jq -c . <<<"$answer")" "{\"id\":\"$MARK\",\"deliveries\":1}"
answer=$(signed "$INGEST_IAM" "$(event "$MARK-signed" call.started)" || true)
check 'the IAM URL takes a signed event without a key' "$(jq -c . <<<"$answer")" "{\"id\":\"$MARK-signed\",\"deliveries\":0}"

is_dead() {
    api GET "/v1/tenants/$tenant/deliveries/$MARK.$endpoint" >"$SCRATCH/delivery" 2>/dev/null &&
        [ "$(jq -r .state "$SCRATCH/delivery")" = dead ]
}
if within $LADDER_S is_dead; then
    check 'the delivery is dead after every attempt' "$(jq '.attempts | length' "$SCRATCH/delivery")" "$ATTEMPTS"
else
    fail "the delivery is not dead after $LADDER_S s: $(jq -c '[.state, (.attempts | length)]' "$SCRATCH/delivery")"
fi

waiting=$(aws sqs get-queue-attributes --queue-url "$(output DeadLetterQueueUrl)" \
    --attribute-names ApproximateNumberOfMessages --query Attributes.ApproximateNumberOfMessages --output text)
check 'nothing lies in the dead-letter queue' "$waiting" 0

# ---- what no page of AWS says: does a redrive policy count receives on, or from one again? -----------------------------------
# Redial is right either way, because it counts attempts itself. Three queues of the script's own, with a chain like Redial's.

# made NAME [NEXT_ARN RECEIVES]: makes a queue and gives its URL and ARN.
made() {
    local attributes='{"VisibilityTimeout":"0"}' url
    [ -z "${2:-}" ] || attributes=$(jq -n --arg next "$2" --argjson most "$3" \
        '{VisibilityTimeout: "0", RedrivePolicy: ({deadLetterTargetArn: $next, maxReceiveCount: $most} | tojson)}')
    url=$(aws sqs create-queue --queue-name "redial-$MARK-$1" --attributes "$attributes" --query QueueUrl --output text)
    printf '%s %s\n' "$url" "$(aws sqs get-queue-attributes --queue-url "$url" --attribute-names QueueArn --query Attributes.QueueArn --output text)"
}
# receives QUEUE..: looks at the queues in turn until the message has come to the last; prints each receive it makes.
receives() {
    local ends=$((SECONDS + LADDER_S)) url count last=''
    while [ $SECONDS -lt $ends ] && [ "$last" != "${!#}" ]; do
        for url in "$@"; do
            count=$(aws sqs receive-message --queue-url "$url" --attribute-names ApproximateReceiveCount --wait-time-seconds 1 \
                --query 'Messages[0].Attributes.ApproximateReceiveCount' --output text)
            [ "$count" = None ] || { printf '%s:%s ' "${url##*-}" "$count" && last=$url; }
        done
    done
}
read -r last last_arn <<<"$(made last)" && queues+=("$last")
read -r second second_arn <<<"$(made second "$last_arn" 5)" && queues+=("$second")
read -r first _ <<<"$(made first "$second_arn" 2)" && queues+=("$first")
aws sqs send-message --queue-url "$first" --message-body smoke >/dev/null
counts=$(receives "$first" "$second" "$last")
note "queue and receive count, receive by receive: $counts"
case $counts in
    *second:1*last:*) ok 'a redriven message is counted from one again' ;;
    *second:3*last:*) ok 'a redriven message is counted on' ;;
    *) fail 'the message did not go down the chain' ;;
esac

# ---- replay, by invocation ------------------------------------------------------------------------------------------------

jq -n --arg tenant "$tenant" --arg event "$MARK" '{$tenant, $event}' >"$SCRATCH/replay.json"
aws lambda invoke --function-name "$(output ReplayFunction)" --payload "fileb://$SCRATCH/replay.json" "$SCRATCH/job" >/dev/null
job=$(jq -r '.id // empty' "$SCRATCH/job")
is_replayed() { [ "$(api GET "/v1/tenants/$tenant/replays/$job" | jq -r .state)" = "done" ]; }
if [ -n "$job" ] && within $LADDER_S is_replayed; then ok 'replay, invoked, has done its job'; else fail "replay: $(cat "$SCRATCH/job")"; fi

# ---- loop detection, throttles, cold starts --------------------------------------------------------------------------------

# log FUNCTION PATTERN: what the function has logged since this began and matches.
log() {
    aws logs filter-log-events --log-group-name "$(resource "$1Logs")" --start-time "$STARTED_MS" --filter-pattern "$2" \
        --query 'events[].message' --output json
}
# sum METRIC FUNCTION: of the last hour.
sum() {
    aws cloudwatch get-metric-statistics --namespace AWS/Lambda --metric-name "$1" \
        --dimensions "Name=FunctionName,Value=$(resource "$2")" --start-time "$(date -u -d '-1 hour' +%FT%TZ)" \
        --end-time "$(date -u +%FT%TZ)" --period 3600 --statistics Sum --output json | jq '[.Datapoints[].Sum] | add // 0 | floor'
}
for name in Dispatcher Replay Sweeper; do
    check "loop detection has not cut the chain at $name" "$(sum RecursiveInvocationsDropped $name)" 0
    check "$name was not throttled" "$(sum Throttles $name)" 0
done
for name in Ingest Dispatcher Api Replay; do
    starts=$(log $name '"Init Duration"' | jq -r '[.[] | capture("Init Duration: (?<ms>[0-9.]+) ms").ms] | join(", ")')
    note "cold starts of $name in ms: ${starts:-none since this began}"
done
