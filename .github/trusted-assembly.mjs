// Makes a cloud assembly out of templates that a stranger synthesized, for a CDK CLI that has AWS credentials: the
// templates are copied, and the manifest is ours. A stranger's manifest may name files outside its folder and roles to
// assume; this one asks for the lookup role of the CDK bootstrap and nothing else.
//
// Usage: node trusted-assembly.mjs <folder with *.template.json> <folder to make>
import { copyFileSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const [from, to] = process.argv.slice(2);
const suffix = ".template.json";
const lookupRole = {
  arn: "arn:${AWS::Partition}:iam::${AWS::AccountId}:role/cdk-hnb659fds-lookup-role-${AWS::AccountId}-${AWS::Region}",
};

mkdirSync(to);
const artifacts = {};
for (const file of readdirSync(from, { withFileTypes: true })) {
  const stack = file.name.slice(0, -suffix.length);
  if (!file.isFile() || !file.name.endsWith(suffix) || !/^[A-Za-z][A-Za-z0-9-]*$/.test(stack)) {
    throw new Error(`the folder must hold files <stack>${suffix} only, got ${JSON.stringify(file.name)}`);
  }
  copyFileSync(join(from, file.name), join(to, file.name));
  artifacts[stack] = {
    type: "aws:cloudformation:stack",
    environment: "aws://unknown-account/unknown-region",
    properties: { templateFile: file.name, lookupRole },
  };
}
writeFileSync(join(to, "manifest.json"), JSON.stringify({ version: "36.0.0", artifacts }, null, 2));
