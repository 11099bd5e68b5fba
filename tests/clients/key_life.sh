# The life of a key by the `aws` command, run by `keystead exec`. Any command that fails ends it.
set -eu
key=$(aws kms create-key --description "by the command" --query KeyMetadata.KeyId --output text)
aws kms create-alias --alias-name alias/cli --target-key-id "$key"
aws kms encrypt --key-id alias/cli --plaintext fileb://plain --encryption-context a=b \
    --query CiphertextBlob --output text | base64 --decode > sealed
aws kms rotate-key-on-demand --key-id "$key" --output text > /dev/null
aws kms decrypt --ciphertext-blob fileb://sealed --encryption-context a=b \
    --query Plaintext --output text | base64 --decode > opened
cmp plain opened
if aws kms decrypt --ciphertext-blob fileb://sealed 2> error; then exit 1; fi
grep -q InvalidCiphertextException error
aws kms disable-key --key-id "$key"
if aws kms decrypt --ciphertext-blob fileb://sealed --encryption-context a=b 2> error; then exit 1; fi
grep -q DisabledException error
aws kms enable-key --key-id "$key"
aws kms schedule-key-deletion --key-id "$key" --pending-window-in-days 7 --output text > /dev/null
if aws kms encrypt --key-id alias/cli --plaintext fileb://plain 2> error; then exit 1; fi
grep -q KMSInvalidStateException error
aws kms cancel-key-deletion --key-id "$key" --output text > /dev/null
aws cloudtrail lookup-events --lookup-attributes AttributeKey=ResourceName,AttributeValue="$(
    aws kms describe-key --key-id "$key" --query KeyMetadata.Arn --output text)" \
    --query 'Events[].EventName' --output text > events
grep -q CancelKeyDeletion events && grep -q RotateKeyOnDemand events
aws kms list-aliases --key-id "$key" --query 'Aliases[].AliasName' --output text
