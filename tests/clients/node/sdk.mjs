// The AWS SDK and the AWS Encryption SDK for JavaScript.
//
// Arguments: `allowed` or `denied`, by the caller that the environment has; or `seal` or `open`, the key's ARN, the file to
// read, the file to write. The context is project=tour.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

// The packages lie beside the environment's package.json and not beside this file.
const modules = process.argv[2];
const load = (name) => import(pathToFileURL(`${modules}/node_modules/${name}/${entry(name)}`).href);
const entry = (name) => {
  const about = JSON.parse(readFileSync(`${modules}/node_modules/${name}/package.json`, "utf8"));
  return about.main;
};
const [mode, key, source, target] = process.argv.slice(3);
const context = { project: "tour" };

async function refused(code, call) {
  await assert.rejects(call, (error) => {
    assert.equal(error.name, code, String(error));
    return true;
  });
}

async function kms() {
  const sdk = await load("@aws-sdk/client-kms");
  const { KMSClient, CreateKeyCommand, DecryptCommand, DescribeKeyCommand, EncryptCommand, ListKeysCommand } = sdk.default ?? sdk;
  const client = new KMSClient({});
  if (mode === "denied") {
    await refused("AccessDeniedException", () => client.send(new CreateKeyCommand({})));
    await refused("AccessDeniedException", () => client.send(new DescribeKeyCommand({ KeyId: "alias/models" })));
    return;
  }
  const { KeyMetadata } = await client.send(new CreateKeyCommand({ Description: "Größe" }));
  assert.equal(KeyMetadata.Description, "Größe");
  assert.ok(KeyMetadata.CreationDate instanceof Date);
  const KeyId = KeyMetadata.KeyId;
  const Plaintext = new TextEncoder().encode("weights");
  const sealed = await client.send(new EncryptCommand({ KeyId, Plaintext, EncryptionContext: context }));
  const CiphertextBlob = sealed.CiphertextBlob;
  const opened = await client.send(new DecryptCommand({ CiphertextBlob, EncryptionContext: context }));
  assert.equal(new TextDecoder().decode(opened.Plaintext), "weights");
  await refused("InvalidCiphertextException", () => client.send(new DecryptCommand({ CiphertextBlob })));
  await refused("NotFoundException", () => client.send(new DescribeKeyCommand({ KeyId: "alias/none" })));
  await refused("DryRunOperationException", () => client.send(new EncryptCommand({ KeyId, Plaintext, DryRun: true })));
  const { Keys } = await client.send(new ListKeysCommand({ Limit: 1 }));
  assert.equal(Keys.length, 1);
}

async function message() {
  const sdk = await load("@aws-crypto/client-node");
  const { buildClient, CommitmentPolicy, KmsKeyringNode } = sdk.default ?? sdk;
  const { encrypt, decrypt } = buildClient(CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT);
  const keyring = new KmsKeyringNode({ generatorKeyId: key });
  if (mode === "seal") {
    const { result } = await encrypt(keyring, readFileSync(source), { encryptionContext: context });
    writeFileSync(target, result);
  } else {
    const { plaintext, messageHeader } = await decrypt(keyring, readFileSync(source));
    assert.equal(messageHeader.encryptionContext.project, "tour");
    writeFileSync(target, plaintext);
  }
}

await (key ? message() : kms());
