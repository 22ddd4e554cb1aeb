//! Who is taken to have answered, when OpenCode behaves in every way it can.

import assert from "node:assert/strict"
import { test } from "node:test"
import { Asker, Unanswered, unattended } from "../lib/ask.js"
import { wording } from "../lib/question.js"

const EXEC = { kind: "exec", server: "a", command: "touch x", rawCommand: "touch x", simple: true }
const WRITE = { kind: "write", server: "a", path: "/x", simple: false, diff: "--- a:/x\n+++ a:/x\n@@ -1 +1 @@\n-1\n+2\n" }

/** An OpenCode whose `ask` does what `behave` says; every request is noted. */
function opencode(behave, { merged = {}, trusted = [], signal = new AbortController().signal } = {}) {
  const withdrawn = []
  const asker = new Asker({ nonce: "n0nce", trusted: () => trusted.map((config) => ({ config })), withdraw: (...ids) => withdrawn.push(ids) })
  asker.useConfig(merged)
  const requests = []
  const event = (type, properties) => asker.event({ type, properties })
  const ctx = {
    sessionID: "s",
    callID: "c",
    agent: "build",
    abort: signal,
    ask: async (request) => {
      requests.push(request)
      const id = `per_${requests.length}`
      await behave({ request, id, event, shown: () => event("permission.asked", { id, sessionID: "s", permission: request.permission, tool: { callID: "c" } }), turn: requests.length })
    },
  }
  const answer = async (question, planning = false, signal = undefined) => {
    const { error, ...said } = await asker.answer(question, { ctx, planning, signal })
    return { ...said, error: error?.message }
  }
  return { requests, answer, withdrawn, event }
}

const later = () => new Promise((resolve) => setTimeout(resolve, 60))
const answered = (reply) => async ({ id, event, shown }) => {
  shown()
  await later()
  event("permission.replied", { requestID: id, reply })
}

test("shown and allowed is granted by a person", async () => {
  const { answer, requests } = opencode(answered("once"))
  assert.deepEqual(await answer(EXEC), { answer: "granted", by: "person", error: undefined })
  assert.equal(requests.length, 1)
})

test("an answer faster than people read is not a person's", async () => {
  const { answer } = opencode(async ({ id, event, shown }) => {
    shown()
    event("permission.replied", { requestID: id, reply: "once" })
  })
  assert.equal((await answer(EXEC)).by, "auto")
})

test("nobody's answer is a person's where OpenCode answers everything itself", async (t) => {
  const before = process.argv
  t.after(() => (process.argv = before))
  process.argv = [...before.slice(0, 2), "--auto"]
  const { answer } = opencode(answered("once"))
  assert.equal((await answer(EXEC)).by, "auto")
})

test("passed silently twice is refused", async () => {
  const { answer, requests } = opencode(async () => {})
  await assert.rejects(answer(EXEC), /without showing it/)
  assert.equal(requests.length, 2)
  assert.ok(requests[1].permission.endsWith("\n[confirmation n0nce]"))
  assert.deepEqual(requests[1].always, [])
})

test("a silent pass is asked again, and that answer counts", async () => {
  const { answer, requests } = opencode((call) => (call.turn === 1 ? undefined : answered("once")(call)))
  assert.equal((await answer(WRITE)).answer, "granted")
  assert.deepEqual(requests.map(({ permission }) => permission.split(/[\s\n]/)[0]), ["edit", "remote_write"])
})

test("an event of another call, session or key is not this question's", async () => {
  for (const change of [{ tool: { callID: "other" } }, { sessionID: "other" }, { permission: "edit" }]) {
    const { answer } = opencode(async ({ id, request, event }) => {
      event("permission.asked", { id, sessionID: "s", permission: request.permission, tool: { callID: "c" }, ...change })
      event("permission.replied", { requestID: id, reply: "once" })
    })
    await assert.rejects(answer(EXEC), Unanswered, JSON.stringify(change))
  }
})

test("an event that lags behind its request still counts", async () => {
  const { answer, requests } = opencode(async (call) => void setTimeout(() => answered("once")(call), 5))
  assert.equal((await answer(EXEC)).answer, "granted")
  assert.equal(requests.length, 1)
})

test("an always for something else sweeps nothing in", async () => {
  const { answer, requests } = opencode(async (call) => {
    call.shown()
    await later()
    if (call.turn === 1) {
      call.event("permission.asked", { id: "local", sessionID: "s", permission: "edit", tool: { callID: "l" } })
      call.event("permission.replied", { requestID: "local", reply: "always" })
    }
    call.event("permission.replied", { requestID: call.id, reply: "always" })
  })
  assert.equal((await answer(WRITE)).answer, "granted")
  assert.equal(requests.length, 2)
})

test("always is remembered for the text it was given to", async () => {
  let silent = false
  const { answer } = opencode((call) => (silent ? undefined : answered("always")(call)))
  assert.equal((await answer(EXEC)).by, "person")
  silent = true
  assert.deepEqual(await answer(EXEC), { answer: "granted", by: "always", error: undefined })
  await assert.rejects(answer({ ...EXEC, command: "touch y", rawCommand: "touch y" }), Unanswered)
})

test("OpenCode's errors keep their meaning and are handed on", async () => {
  const table = [
    [{ _tag: "PermissionRejectedError", message: "no" }, { answer: "rejected", by: "person" }],
    [{ _tag: "PermissionCorrectedError", message: "no", feedback: "use b" }, { answer: "rejected", by: "person", feedback: "use b" }],
    [{ _tag: "PermissionDeniedError", message: "rule" }, { answer: "denied", by: "rule", feedback: "rule" }],
    [{ name: "Whatever", message: "odd" }, { answer: "rejected", by: "unknown", feedback: "odd" }],
  ]
  for (const [error, expected] of table) {
    const { answer } = opencode(async ({ shown }) => {
      shown()
      await later()
      throw Object.assign(new Error(error.message), error)
    })
    assert.deepEqual(await answer(EXEC), { ...expected, error: error.message })
  }
})

test("a rejection faster than people read is not a person's", async () => {
  const { answer } = opencode(async ({ shown }) => {
    shown()
    throw Object.assign(new Error("no"), { _tag: "PermissionRejectedError" })
  })
  assert.deepEqual(await answer(EXEC), { answer: "rejected", by: "auto", error: "no" })
})

test("a person's rule answers for a simple command only", async () => {
  const rules = { permission: { remote_exec: { "a: touch *": "allow" } } }
  const { answer, requests } = opencode(answered("once"), { merged: rules, trusted: [rules] })
  assert.deepEqual(await answer(EXEC), { answer: "granted", by: "rule", rule: '{"remote_exec":{"a: touch *":"allow"}}', error: undefined })
  assert.equal(requests.length, 0)
  await answer({ ...EXEC, simple: false })
  assert.ok(requests.length > 0)
})

test("a rule that forbids one command of a line forbids the line", async () => {
  const rules = { permission: { remote_exec: { "a: rm *": "deny" } } }
  const { answer, requests } = opencode(answered("once"), { merged: rules, trusted: [rules] })
  const found = await answer({ ...EXEC, command: "ls && rm x", simple: false, segments: ["ls", "rm x"] })
  assert.equal(found.answer, "denied")
  assert.equal(requests.length, 0)
})

test("a person's rule answers for paths, in which nothing more can stand", async () => {
  const rules = { permission: { remote_read: { "a:/var/*": "allow" }, edit: { "ssh://a/srv/*": "allow" } } }
  const { answer, requests } = opencode(answered("reject"), { merged: rules, trusted: [rules] })
  assert.equal((await answer({ kind: "read", server: "a", path: "/var/x", simple: false })).by, "rule")
  assert.equal((await answer({ ...WRITE, path: "/srv/x" })).by, "rule")
  assert.equal(requests.length, 0)
})

test("who may be at the keyboard is told from the command line", () => {
  const table = [
    ["serve --port 1", false],
    ["", false],
    ["--auto", true],
    ["run text", true],
    ["--print-logs run text", true],
    ["run -i text", false],
    ["run -i --auto", true],
    ["/some/run", false],
  ]
  for (const [words, expected] of table) assert.equal(unattended(["bun", "opencode", ...words.split(" ").filter(Boolean)]), expected, words)
})

test("an interruption is not a rejection, and takes the question away", async () => {
  const interrupted = new AbortController()
  const { answer, withdrawn } = opencode(async ({ shown }) => {
    shown()
    interrupted.abort()
    await new Promise(() => {})
  }, { signal: interrupted.signal })
  await assert.rejects(answer(EXEC), Unanswered)
  assert.deepEqual(withdrawn, [["s", "per_1"]])
})

test("what was stopped before it was asked is not asked", async () => {
  const stopped = AbortSignal.abort()
  const interrupted = opencode(answered("once"), { signal: stopped })
  await assert.rejects(interrupted.answer(EXEC), /the session was interrupted/)
  assert.equal(interrupted.requests.length, 0)
  const taken = opencode(answered("once"))
  await assert.rejects(taken.answer(EXEC, false, stopped), /the question was taken back/)
  assert.equal(taken.requests.length, 0)
})

test("a question that is shown when nobody waits for it any more is taken away", async () => {
  const stops = new AbortController()
  let late
  const { answer, withdrawn, event } = opencode(async ({ shown }) => {
    late = shown
    stops.abort()
    await new Promise(() => {})
  })
  await assert.rejects(answer(EXEC, false, stops.signal), Unanswered)
  assert.deepEqual(withdrawn, [])
  // One of the same text in another message is somebody else's.
  event("permission.asked", { id: "other", sessionID: "s", permission: wording(EXEC).permission, tool: { callID: "c", messageID: "n" } })
  assert.deepEqual(withdrawn, [])
  late()
  late()
  assert.deepEqual(withdrawn, [["s", "per_1"]])
})

test("what OpenCode says of a question that was taken back troubles nobody", async (t) => {
  const unheard = []
  const hear = (error) => unheard.push(error)
  process.on("unhandledRejection", hear)
  t.after(() => process.off("unhandledRejection", hear))
  const stops = new AbortController()
  const { answer } = opencode(async () => {
    stops.abort()
    throw Object.assign(new Error("no"), { _tag: "PermissionRejectedError" })
  }, { signal: stops.signal })
  await assert.rejects(answer(EXEC, false, stops.signal), Unanswered)
  await later()
  assert.deepEqual(unheard, [])
})

test("planning refuses without asking, but may ask to read", async () => {
  const { answer, requests } = opencode(answered("once"))
  assert.equal((await answer(EXEC, true)).answer, "denied")
  assert.equal((await answer(WRITE, true)).answer, "denied")
  assert.equal(requests.length, 0)
  assert.equal((await answer({ kind: "read", server: "a", path: "/x" }, true)).answer, "granted")
})

test("what takes the passphrase is not asked here, and can be forbidden here", async () => {
  const rules = { permission: { remote_exec: { "a: rm *": "deny" } } }
  const { answer, requests } = opencode(answered("once"), { merged: rules, trusted: [rules] })
  const EXACTING = { ...EXEC, presence: true }
  assert.deepEqual(await answer(EXACTING), { answer: "granted", by: "presence", error: undefined })
  assert.equal((await answer(EXACTING, true)).answer, "denied")
  assert.equal((await answer({ ...EXACTING, command: "rm x", rawCommand: "rm x" })).answer, "denied")
  assert.equal(requests.length, 0)
})

test("what does not fit a plain question is refused, not cut", async () => {
  const diff = `@@ -0,0 +1,40 @@\n${"+line\n".repeat(40)}`
  const { answer, requests } = opencode(async () => {})
  await assert.rejects(answer({ ...WRITE, diff }), /too long/)
  assert.equal(requests.length, 1)
})

test("only a rule that names sudo spares the question about what runs as root", async () => {
  const exec = { ...EXEC, command: "sudo -n id", rawCommand: "sudo -n id", as: ["root"] }
  for (const [pattern, by] of [["a: *", "person"], ["a: sudo -n id", "rule"]]) {
    const config = { permission: { remote_exec: { [pattern]: "allow" } } }
    const { answer } = opencode(answered("once"), { merged: config, trusted: [config] })
    assert.equal((await answer(exec)).by, by, pattern)
  }
})

test("a question about several servers is answered by rules only where they speak of each", async () => {
  const FLEET = { ...EXEC, server: "web-[1-2]", servers: [{ server: "web-1" }, { server: "web-2" }] }
  const permission = (rules) => ({ permission: { remote_exec: rules } })
  const both = permission({ "web-1: touch x": "allow", "web-2: touch *": "allow" })
  const granted = await opencode(async () => {}, { merged: both, trusted: [both] }).answer(FLEET)
  assert.equal(granted.answer, "granted")
  assert.equal(granted.rule, '{"remote_exec":{"web-1: touch x":"allow"}} {"remote_exec":{"web-2: touch *":"allow"}}')

  const one = permission({ "web-1: touch x": "allow" })
  const asked = opencode(answered("once"), { merged: one, trusted: [one] })
  assert.equal((await asked.answer(FLEET)).by, "person")
  assert.deepEqual(asked.requests[0].patterns, ["web-1: touch x", "web-2: touch x"])

  const never = permission({ "*": "allow", "web-2: *": "deny" })
  const denied = opencode(async () => {}, { merged: never, trusted: [never] })
  assert.equal((await denied.answer(FLEET)).answer, "denied")
  assert.equal(denied.requests.length, 0)
})

test("more servers than a title shows are not asked about", async () => {
  const names = Array.from({ length: 90 }, (_, at) => `server-${String.fromCharCode(97 + (at % 26))}${at}x`)
  const many = { ...EXEC, server: names.join(","), servers: names.map((server) => ({ server })) }
  await assert.rejects(opencode(answered("once")).answer(many), /call for fewer servers/)
})

test("a rule that forbids holds for every account and every directory", async () => {
  const rules = { permission: { remote_exec: { "a: rm *": "deny" }, remote_read: { "a:/etc/*": "deny" }, edit: { "ssh://a/etc/*": "deny" } } }
  const root = { as: ["root"] }
  const table = [
    { ...EXEC, ...root, command: "sudo -n rm x", rawCommand: "sudo -n rm x" },
    { ...EXEC, cwd: "/srv", command: "rm x", rawCommand: "rm x" },
    { kind: "read", server: "a", path: "/etc/x", ...root },
    { ...WRITE, path: "/etc/x", ...root },
  ]
  for (const question of table) {
    const { answer, requests } = opencode(answered("once"), { merged: rules, trusted: [rules] })
    assert.equal((await answer(question)).answer, "denied", JSON.stringify(question))
    assert.equal(requests.length, 0)
  }
})

test("a rule that allows what says all stands behind one that forbids everything", async () => {
  const rules = { permission: { remote_exec: { "*": "deny", "a: sudo -n id": "allow" } } }
  const { answer } = opencode(answered("once"), { merged: rules, trusted: [rules] })
  const found = await answer({ ...EXEC, as: ["root"], command: "sudo -n id", rawCommand: "sudo -n id" })
  assert.equal(found.by, "rule")
  assert.equal(found.answer, "granted")
})

test("a rule that allows a command allows it in the directory it names and no other", async () => {
  const rules = { permission: { remote_exec: { "a: ./x *": "allow", "a: cd /srv && ./y *": "allow" } } }
  const by = async (command, cwd) => {
    const { answer } = opencode(answered("once"), { merged: rules, trusted: [rules] })
    return (await answer({ ...EXEC, command, rawCommand: command, cwd })).by
  }
  const table = [
    ["./x z", null, "rule"],
    ["./x z", "/srv", "person"],
    ["./y z", "/srv", "rule"],
    ["./y z", "/tmp", "person"],
    ["./y z", null, "person"],
    ["rm -r z", "/srv && ./y", "person"],
  ]
  for (const [command, cwd, expected] of table) assert.equal(await by(command, cwd), expected, `${cwd} ${command}`)
})

test("always is for the directory it was given in", async () => {
  let silent = false
  const { answer } = opencode((call) => (silent ? undefined : answered("always")(call)))
  assert.equal((await answer({ ...EXEC, cwd: "/srv" })).by, "person")
  silent = true
  assert.equal((await answer({ ...EXEC, cwd: "/srv" })).by, "always")
  for (const cwd of [null, "/tmp"]) await assert.rejects(answer({ ...EXEC, cwd }), Unanswered)
})
