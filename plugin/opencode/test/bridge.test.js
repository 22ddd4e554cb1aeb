//! What a call that was made under something that is no longer so comes to.

import assert from "node:assert/strict"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { fileURLToPath } from "node:url"
import { Bridge } from "../lib/bridge.js"

const FAKE_HELPER = fileURLToPath(new URL("fake-helper.js", import.meta.url))

/** Makes one call and returns how it ended, and every stamp the helper saw. */
async function made(command, more) {
  const dir = mkdtempSync(join(tmpdir(), "openshell-bridge-"))
  process.env.FAKE_LOG = join(dir, "log")
  const bridge = new Bridge({ locate: () => ["node", FAKE_HELPER], client: {}, workspace: "/", answer: () => assert.fail("nothing asks") })
  const call = () => bridge.run({ name: "remote_exec", arguments: { server: "a", command }, key: "k", readOnly: false, ...more })
  const ended = await call().then(
    ({ note, result }) => ({ note, text: result.text }),
    (error) => ({ error: error.message }),
  )
  bridge.close()
  const entries = readFileSync(join(dir, "log"), "utf8").trim().split("\n").map((line) => JSON.parse(line))
  rmSync(dir, { recursive: true })
  return { ...ended, calls: entries.filter((entry) => entry.call), ran: entries.some((entry) => entry.ran) }
}

test("another policy is adopted, said, and the call made once more under its key", async () => {
  const { note, text, calls } = await made("stale policy")
  assert.equal(text, "done: stale policy")
  assert.match(note, /policy has changed/)
  assert.deepEqual(calls.map(({ key, stamp }) => [key, stamp.behaviorFingerprint]), [["k", "b1"], ["k", "b2"]])
})

test("other tools are for the model to read before anything is sent again", async () => {
  const { error, calls, ran } = await made("stale tools")
  assert.match(error, /^Nothing was done: .*new descriptions/)
  assert.equal(calls.length, 1)
  assert.equal(ran, false)
})

test("a journal that lost records is never taken for the present one", async () => {
  const { error, calls, ran } = await made("stale journal")
  assert.match(error, /^Nothing was done: the journal ends before record 9/)
  assert.match(error, /Do not try again/)
  assert.equal(calls.length, 1)
  assert.equal(ran, false)
})

test("nothing is said where nothing changed", async () => {
  const { note, text } = await made("cat /x")
  assert.equal(text, "done: cat /x")
  assert.equal(note, undefined)
})

test("a call says that nothing may be changed, again where it is made again", async () => {
  const planning = async (more) => (await made("stale policy", more)).calls.map(({ stamp }) => stamp.planning)
  assert.deepEqual(await planning({ planning: true }), [true, true])
  assert.deepEqual(await planning({ planning: false }), [undefined, undefined])
})
