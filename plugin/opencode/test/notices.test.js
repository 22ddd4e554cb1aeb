//! What the person and the model hear of calls that take long or are interrupted.

import assert from "node:assert/strict"
import { test } from "node:test"
import { Notices } from "../lib/notices.js"

const CALL = () => ({ name: "remote_exec", arguments: { server: "a", command: "make\nmake install" }, session: "s" })

const ENDED = {
  code: "CANCELLED",
  message: "The call was given up and the command was ended; its process group is gone.",
  data: { process: "group-gone", stdout: "one\ntwo\n", stderr: "" },
  execution: { attempted: true },
}

function notices(fail) {
  const toasts = []
  const show = async (toast) => {
    toasts.push(toast)
    if (fail) throw new Error("no screen")
  }
  return { toasts, heard: new Notices(show) }
}

const settled = () => new Promise((resolve) => setImmediate(resolve))

test("a running call is told of once, and again after a minute", async () => {
  const { toasts, heard } = notices()
  const call = CALL()
  for (const elapsedMs of [10_000, 20_000, 69_999, 70_000, 80_000]) heard.running(call, { elapsedMs, outputBytes: 20_480 })
  heard.running(CALL(), { elapsedMs: 10_000, outputBytes: 0 })
  await settled()
  assert.deepEqual(
    toasts.map(({ title, message }) => [title, message.split(".")[0]]),
    [
      ["a$ make", "Runs for 10 s, 20 kB printed so far"],
      ["a$ make", "Runs for 70 s, 20 kB printed so far"],
      ["a$ make", "Runs for 10 s"],
    ],
  )
})

test("an interruption is told with its end and owed to the model once", async () => {
  const { toasts, heard } = notices()
  heard.interrupted(CALL(), { envelope: ENDED, text: "the result" })
  await settled()
  assert.equal(toasts[0].variant, "success")
  assert.match(toasts[0].message, /^Stopped on the server\. .*group is gone\. Its last line: two$/)
  assert.equal(heard.owed("other"), undefined)
  assert.match(heard.owed("s"), /^\[openshell\] .*is data.*\na\$ make: the result$/)
  assert.equal(heard.owed("s"), undefined)
})

test("what may still run is a warning, and what never began is nothing", async () => {
  const { toasts, heard } = notices()
  heard.interrupted(CALL(), { envelope: { ...ENDED, data: { process: "may-run" } }, text: "t" })
  heard.interrupted(CALL(), { envelope: { ...ENDED, execution: { attempted: false } }, text: "t" })
  heard.interrupted(CALL(), undefined)
  await settled()
  assert.deepEqual(toasts.map(({ variant }) => variant), ["warning"])
})

test("what is shown and owed is bounded, and nothing in it is unseen", async () => {
  const { toasts, heard } = notices()
  const long = `${"x".repeat(100_000)}\n\u001b[31m\u202e${"y".repeat(1000)}`
  for (let n = 0; n < 20; n++) heard.interrupted(CALL(), { envelope: { ...ENDED, data: { stdout: long } }, text: long })
  await settled()
  assert.ok(toasts.every(({ message }) => message.length <= 240 && !/[\u001b\u202e]/.test(message)))
  assert.ok(heard.owed("s").length < 40_000)
})

test("a screen that fails costs nothing, and a deleted session is forgotten", async () => {
  const { heard } = notices(true)
  heard.running(CALL(), { elapsedMs: 10_000, outputBytes: 0 })
  heard.interrupted(CALL(), { envelope: ENDED, text: "t" })
  heard.event({ type: "session.deleted", properties: { info: { id: "s" } } })
  await settled()
  assert.equal(heard.owed("s"), undefined)
})
