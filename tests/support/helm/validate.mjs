// Checks custom resources, given as a JSON array on standard input, against their own schemas.
import { readFileSync } from "node:fs";

const homes = { "keda.sh": "keda", "monitoring.coreos.com": "prometheus-operator" };
for (const document of JSON.parse(readFileSync(0))) {
  const [group, version] = document.apiVersion.split("/");
  const kinds = await import(`@kubernetes-models/${homes[group]}/${group}/${version}`);
  new kinds[document.kind](document).validate();
  console.log(document.kind);
}
