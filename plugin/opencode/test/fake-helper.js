//! A helper for tests: speaks the bridge protocol, touches no server.
//!
//! Commands that begin with `cat ` run unasked, the rest asks; "running" means
//! a line in the file `FAKE_LOG` (JSON: `{ran}`, `{answer}`, `{cancel}` …).
//! `FAKE_KIND` changes how it introduces itself; a command `die …` ends it
//! before it answers, once; `stale policy`, `stale tools` and `stale journal` are
//! refused as calls of a client that knows no longer what is so; `cat nothing` is
//! answered with nothing. With the word `--mute` it never introduces itself.

import { appendFileSync, existsSync, writeFileSync } from "node:fs"
import { createInterface } from "node:readline"

const log = (entry) => process.env.FAKE_LOG && appendFileSync(process.env.FAKE_LOG, `${JSON.stringify(entry)}\n`)
const send = (message) => process.stdout.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`)
const waiting = new Map()
let lastId = 0

function ask(params) {
  const id = `q${++lastId}`
  send({ id, method: "approvals/ask", params })
  return new Promise((resolve) => waiting.set(id, resolve))
}

function reply(id, { status = "ok", tool, server, code, message, text, completed = true }) {
  const envelope = { status, tool, server, code, message, execution: { attempted: completed, completed }, audit: { logWritten: true, snapshotStatus: "not-applicable", seq: 1 } }
  send({ id, result: { envelope, text: text ?? message, title: `${tool} ${server ?? ""}`.trim(), journalMark: 9 } })
}

// What the helper says is so, by what the command claims to have changed.
const PRESENT = {
  policy: { capabilitySnapshotId: "c1", behaviorFingerprint: "b2" },
  tools: { capabilitySnapshotId: "c2", behaviorFingerprint: "b1" },
  journal: { capabilitySnapshotId: "c1", behaviorFingerprint: "b1" },
}

async function call(id, { name: tool, arguments: args, key, ...stamp }) {
  log({ call: tool, args, key, stamp })
  const { server, command } = args
  if (tool === "list_servers") return reply(id, { tool, text: "prod-a" })
  if (tool === "remote_exec" && command.startsWith("die ")) {
    const once = `${process.env.FAKE_LOG}.died`
    if (!existsSync(once)) {
      writeFileSync(once, "")
      process.exit(7)
    }
    return reply(id, { tool, server, text: "from the record" })
  }
  if (command === "cat nothing") return send({ id, result: {} })
  const present = PRESENT[/^stale (\w+)$/.exec(command ?? "")?.[1]]
  if (present && stamp.behaviorFingerprint !== "b2") {
    return send({ id, error: { code: -32010, message: "the journal ends before record 9; a person must look at it", data: present } })
  }
  const question = { call: id, server, host: "192.0.2.7", user: "deploy", labels: ["test"], scope: "global", rule: "default", digest: "d", expiresInMs: 600000, simple: true }
  let answer = { answer: "granted", by: "policy" }
  if (tool === "remote_exec" && !/^(cat|stale) /.test(command)) {
    answer = await ask({ ...question, kind: "exec", command, rawCommand: command, reason: "it can change the server", simple: !/[;&|]/.test(command), cwd: args.cwd })
  } else if (tool === "remote_write_file") {
    const lines = args.content.split("\n").slice(0, -1)
    const diff = `--- ${args.path}\n+++ ${args.path}\n@@ -0,0 +1,${lines.length} @@\n${lines.map((line) => `+${line}\n`).join("")}`
    answer = await ask({ ...question, kind: "write", path: args.path, diff, created: true, simple: false, summary: `creates the file: ${args.content.length} bytes, mode 0644`, reason: "it writes a file" })
  } else if (tool === "remote_read_file" && args.path.includes("shadow")) {
    answer = await ask({ ...question, kind: "read", path: args.path, what: "content", simple: false, reason: "it may hold secrets" })
  }
  log({ answer })
  if (answer.answer !== "granted") {
    const code = answer.answer === "denied" ? "POLICY_REJECTED" : "APPROVAL_REJECTED"
    return reply(id, { status: "error", tool, server, code, message: answer.feedback ?? code, completed: false })
  }
  log({ ran: tool, command, path: args.path })
  reply(id, { tool, server, text: `done: ${command ?? args.path}` })
}

createInterface({ input: process.stdin })
  .on("line", (line) => {
    const { id, method, params, result, error } = JSON.parse(line)
    if (method === "initialize" && process.argv.includes("--mute")) log({ initialize: params })
    else if (method === "initialize") {
      log({ initialize: params, argv: process.argv.slice(2) })
      send({ id, result: { server: { name: "openshell", kind: process.env.FAKE_KIND ?? "openshell-helper", version: "0.0.0" }, protocol: 1, tools: [], capabilitySnapshotId: "c1", behaviorFingerprint: "b1", journalMark: 8 } })
    } else if (method === "tools/call") call(id, params)
    else if (method === "$/cancel") log({ cancel: params.id })
    else if (method === undefined) waiting.get(id)?.(result ?? { answer: "none", feedback: error.message })
  })
  .on("close", () => {
    log({ end: true })
    process.exit(0)
  })
