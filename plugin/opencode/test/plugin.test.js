//! The plugin as OpenCode holds it: that loading it neither waits nor throws, that a
//! call has an output whatever the helper says, and that nothing of a call is left
//! behind when it is over.

import assert from "node:assert/strict"
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { fileURLToPath } from "node:url"
import plugin from "../index.js"

const FAKE_HELPER = fileURLToPath(new URL("fake-helper.js", import.meta.url))
const CLIENT = { tui: { showToast: async () => {} } }

/** A loaded plugin whose helper is the pretending one, started with these words. */
async function loaded(t, words = []) {
  const dir = mkdtempSync(join(tmpdir(), "openshell-plugin-"))
  const helper = join(dir, "helper")
  writeFileSync(helper, `#!/bin/sh\nexec "${process.execPath}" "${FAKE_HELPER}" ${words.join(" ")} "$@"\n`)
  chmodSync(helper, 0o755)
  const before = { ...process.env }
  Object.assign(process.env, { OPENSHELL_BIN: helper, FAKE_LOG: join(dir, "log") })
  const hooks = await plugin.server({ directory: dir, worktree: dir, client: CLIENT })
  t.after(async () => {
    await hooks.dispose()
    process.env = before
    rmSync(dir, { recursive: true, force: true })
  })
  const entries = () => readFileSync(join(dir, "log"), "utf8").trim().split("\n").map((line) => JSON.parse(line))
  return { hooks, entries }
}

/** A signal that counts who listens to it. */
function counted() {
  const listeners = new Set()
  return {
    aborted: false,
    listeners,
    addEventListener: (_, listener) => listeners.add(listener),
    removeEventListener: (_, listener) => listeners.delete(listener),
  }
}

function context(more = {}) {
  return { sessionID: "s", messageID: "m", callID: "c", agent: "build", abort: counted(), ...more }
}

// OpenCode shows an empty screen until `server()` has returned.
test("loading does not wait for the helper", { timeout: 10_000 }, async (t) => {
  const { hooks } = await loaded(t, ["--mute"])
  assert.equal(Object.keys(hooks.tool).length, 8)
})

test("loading does not throw where there is no helper; the call says what is wrong", async (t) => {
  const before = process.env.OPENSHELL_BIN
  process.env.OPENSHELL_BIN = "/nonexistent/openshell"
  t.after(() => (before === undefined ? delete process.env.OPENSHELL_BIN : (process.env.OPENSHELL_BIN = before)))
  const hooks = await plugin.server({ directory: "/", worktree: "/", client: CLIENT })
  await assert.rejects(hooks.tool.list_servers.execute({}, context()), /OPENSHELL_BIN names/)
})

// OpenCode fails on a result that has no `output`.
test("a result has an output, even where the helper's answer has none", async (t) => {
  const { hooks } = await loaded(t)
  for (const command of ["cat text", "cat nothing"]) {
    const { output, title } = await hooks.tool.remote_exec.execute({ server: "a", command }, context())
    assert.equal(typeof output, "string", command)
    assert.ok(output.length > 0, command)
    assert.equal(title, `a$ ${command}`)
  }
})

// OpenCode fires the signal of a call at the end of every step, too.
test("nobody listens to the signal of a call that is over", async (t) => {
  const { hooks, entries } = await loaded(t)
  const ctx = context()
  await hooks.tool.remote_exec.execute({ server: "a", command: "cat x" }, ctx)
  assert.equal(ctx.abort.listeners.size, 0)
  // The same where a question was put.
  ctx.ask = async () => {
    assert.ok(ctx.abort.listeners.size > 0)
    throw Object.assign(new Error("no"), { _tag: "PermissionRejectedError" })
  }
  await assert.rejects(hooks.tool.remote_exec.execute({ server: "a", command: "touch x" }, ctx), /no/)
  assert.equal(ctx.abort.listeners.size, 0)
  assert.ok(!entries().some((entry) => entry.cancel))
})

// Some providers call every call of an answer the same.
test("the key of a call names session and message, and a change says what it goes by", async (t) => {
  const { hooks, entries } = await loaded(t)
  for (const more of [{}, { messageID: "n" }, { sessionID: "t" }, { callID: "d" }]) {
    await hooks.tool.remote_exec.execute({ server: "a", command: "cat x" }, context(more))
  }
  const calls = entries().filter((entry) => entry.call)
  assert.equal(new Set(calls.map(({ key }) => key)).size, 4)
  for (const { stamp } of calls) {
    assert.equal(stamp.capabilitySnapshotId, "c1")
    assert.equal(stamp.behaviorFingerprint, "b1")
    assert.ok(Number.isSafeInteger(stamp.journalMark))
  }
})

test("a planner's call says so, and so does that of an agent it started", async (t) => {
  const { hooks, entries } = await loaded(t)
  await hooks["chat.message"]({ sessionID: "plan", agent: "plan" })
  await hooks.event({ event: { type: "session.created", properties: { info: { id: "child", parentID: "plan" } } } })
  for (const more of [{ agent: "plan" }, { sessionID: "child", agent: "worker" }, {}]) {
    await hooks.tool.remote_exec.execute({ server: "a", command: "cat x" }, context(more))
  }
  const calls = entries().filter((entry) => entry.call)
  assert.deepEqual(calls.map(({ stamp }) => stamp.planning), [true, true, undefined])
})
