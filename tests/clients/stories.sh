# Two stories by the `aws` command, run by `keystead exec` as the administrator. Any command that fails ends it.
set -eu
admin_id=$AWS_ACCESS_KEY_ID admin_secret=$AWS_SECRET_ACCESS_KEY

# as NAME: the commands that follow are that user's; the admin's when there is no name.
as() {
    if [ "$1" = admin ]; then
        set -- "$admin_id" "$admin_secret"
    else
        set -- $(cat "$1.key")
    fi
    unset AWS_SESSION_TOKEN
    export AWS_ACCESS_KEY_ID="$1" AWS_SECRET_ACCESS_KEY="$2"
}
denied() {
    if "$@" > out 2> error; then echo "allowed: $*"; exit 1; fi
    grep -q "$code" error || { cat error; exit 1; }
}
user() {
    aws iam create-user --user-name "$1" --output text > /dev/null
    aws iam create-access-key --user-name "$1" --query 'AccessKey.[AccessKeyId,SecretAccessKey]' --output text > "$1.key"
}
allow() {
    aws iam put-user-policy --user-name "$1" --policy-name p --policy-document "$2"
}
code=AccessDeniedException

# Bob has the ciphertext, and every permission but on the key: he reads nothing until a grant lets him.
user alice && user bob
key=$(aws kms create-key --query KeyMetadata.Arn --output text)
allow alice '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kms:*","Resource":"*"}]}'
allow bob '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:*","kms:List*"],"Resource":"*"}]}'
as alice
aws kms encrypt --key-id "$key" --plaintext fileb://plain --query CiphertextBlob --output text | base64 --decode > sealed
as bob
denied aws kms decrypt --ciphertext-blob fileb://sealed
grep -q "user/bob is not authorized to perform: kms:Decrypt" error
as alice
grant=$(aws kms create-grant --key-id "$key" --operations Decrypt \
    --grantee-principal arn:aws:iam::111122223333:user/bob --query GrantId --output text)
as bob
aws kms decrypt --ciphertext-blob fileb://sealed --query Plaintext --output text | base64 --decode | cmp - plain
denied aws kms encrypt --key-id "$key" --plaintext fileb://plain
as alice
aws kms revoke-grant --key-id "$key" --grant-id "$grant"
as bob
denied aws kms decrypt --ciphertext-blob fileb://sealed
as admin
aws kms list-grants --key-id "$key" --query 'length(Grants)' | grep -qx 0
aws cloudtrail lookup-events --lookup-attributes AttributeKey=Username,AttributeValue=bob \
    --query 'Events[].CloudTrailEvent' --output text | grep -q '"errorCode":"AccessDenied"'

# Carol may delete keys with a second factor alone.
user carol
allow carol '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kms:ScheduleKeyDeletion","Resource":"*",
    "Condition":{"Bool":{"aws:MultiFactorAuthPresent":"true"}}}]}'
device=$(aws iam create-virtual-mfa-device --virtual-mfa-device-name carol --bootstrap-method Base32StringSeed \
    --outfile seed --query VirtualMFADevice.SerialNumber --output text)
# The code of a time step, counted from now (RFC 6238).
otp() {
    python3 -c '
import base64, hmac, struct, sys, time
seed = base64.b32decode(open("seed").read().strip())
digest = hmac.digest(seed, struct.pack(">Q", int(sys.argv[2]) + int(sys.argv[1])), "sha1")
at = digest[-1] & 15
print("%06d" % ((struct.unpack(">I", digest[at : at + 4])[0] & 0x7FFFFFFF) % 1000000))
' "$1" "$now"
}
now=$(($(date +%s) / 30))
aws iam enable-mfa-device --user-name carol --serial-number "$device" \
    --authentication-code1 "$(otp -1)" --authentication-code2 "$(otp 0)"
as carol
denied aws kms schedule-key-deletion --key-id "$key"
code=AccessDenied
denied aws sts get-session-token --serial-number "$device" --token-code "$(otp 0)"
set -- $(aws sts get-session-token --serial-number "$device" --token-code "$(otp 1)" \
    --query 'Credentials.[AccessKeyId,SecretAccessKey,SessionToken]' --output text)
export AWS_ACCESS_KEY_ID="$1" AWS_SECRET_ACCESS_KEY="$2" AWS_SESSION_TOKEN="$3"
aws kms schedule-key-deletion --key-id "$key" --query KeyState --output text
