// A session of an official MCP client SDK against a server on stdio.
//
// Takes a plan as its one argument and prints what it saw as JSON:
//   sdk        "v1" (@modelcontextprotocol/sdk), "v2" or "v2-auto"
//              (@modelcontextprotocol/client; "auto" probes for 2026-07-28)
//   modules    the node_modules folder with the SDKs
//   command    argv of the server; env, cwd: its surroundings
//   elicit     null for a client without dialogs, or the answer to every one
//   calls      [{name, arguments}] in sequence, or {parallel: [...]}
import { createRequire } from "node:module"

const plan = JSON.parse(process.argv[2])
const require = createRequire(`${plan.modules}/`)
const seen = { asked: [], results: [], progress: 0 }

const old = plan.sdk === "v1"
const { Client } = require(old ? "@modelcontextprotocol/sdk/client/index.js" : "@modelcontextprotocol/client")
const { StdioClientTransport } = require(
  old ? "@modelcontextprotocol/sdk/client/stdio.js" : "@modelcontextprotocol/client/stdio",
)

const options = { capabilities: plan.elicit ? { elicitation: { form: {} } } : {} }
if (plan.sdk === "v2-auto") options.versionNegotiation = { mode: "auto" }
const client = new Client({ name: `sdk-${plan.sdk}`, version: "1" }, options)
if (plan.elicit) {
  const kind = old ? require("@modelcontextprotocol/sdk/types.js").ElicitRequestSchema : "elicitation/create"
  client.setRequestHandler(kind, async (request) => {
    seen.asked.push(request.params.message)
    return plan.elicit
  })
}

const [command, ...args] = plan.command
await client.connect(new StdioClientTransport({ command, args, env: plan.env, cwd: plan.cwd, stderr: "inherit" }))

const call = async (step) => {
  try {
    const progress = { onprogress: () => (seen.progress += 1) }
    return await (old ? client.callTool(step, undefined, progress) : client.callTool(step, progress))
  } catch (error) {
    return { thrown: String(error) }
  }
}

seen.server = client.getServerVersion()
seen.instructions = client.getInstructions()
seen.protocol = old ? null : client.getNegotiatedProtocolVersion?.()
seen.tools = (await client.listTools()).tools
for (const step of plan.calls ?? []) {
  if (step.parallel) seen.results.push(...(await Promise.all(step.parallel.map(call))))
  else seen.results.push(await call(step))
}
await client.close()
process.stdout.write(JSON.stringify(seen))
