//! Tool calls over a helper that may die.
//!
//! Owns the helper's life and what every call must echo: which registry and
//! policy it was made under, and how far the journal was last seen.
//! Invariant: a call is sent a second time only if the helper that was asked is
//! gone without an answer, or refused it unread because the policy is another
//! one by now; always under the same key, so that the helper answers from its
//! record instead of acting twice.

import { Helper, HelperGone, HelperRefused } from "./helper.js"

const PROTOCOL = { min: 1, max: 1 }
/** How long a call may go on without this process saying that it still wants it,
 *  and how often it says so, in ms. */
const LEASE = 120_000
const RENEW_EVERY = 30_000
/** What the call was made under is no longer so; the helper has done nothing. */
const STALE_CLIENT = -32010

export class Bridge {
  #locate
  #hello
  #answer
  #progress
  #helper
  #calls = new Map()
  #stamps = new WeakMap()
  #journalMark

  /**
   * @param locate returns the helper's argv or throws what to tell the person.
   * @param answer answers a question put during a call: (question, call, signal) ->
   *   answer; the signal fires when the helper no longer wants to know.
   * @param progress hears that a call takes long: (call, note) -> void.
   */
  constructor({ locate, client, workspace, answer, progress = () => {} }) {
    this.#locate = locate
    this.#hello = { client, protocol: PROTOCOL, workspace, host: { name: "opencode" } }
    this.#answer = answer
    this.#progress = progress
  }

  /** Starts the helper ahead of its first use; what goes wrong shows in the first call. */
  warm() {
    try {
      this.#current()
    } catch {
      // Tried again, and reported, by the call.
    }
  }

  /** The helper's own tool definitions, once it has introduced itself. */
  definitions

  /** Ends the helper, which records how its work ended. */
  close() {
    this.#helper?.close()
  }

  /**
   * Runs a tool call.
   * @param call `{name, arguments, session, agent, key, readOnly, planning, signal, ...}`;
   *   passed to `answer` as it is. `planning` is true where nothing may be changed.
   * @returns {{result: object, note?: string}} `note` tells of a restart or of
   *   another policy.
   * @throws Error whose message is meant for the model and the person.
   */
  async run(call) {
    const first = this.#current()
    await first.ready
    const stamp = this.#stamp(first)
    try {
      return await this.#present(first, call, stamp)
    } catch (error) {
      if (!(error instanceof HelperGone) || call.signal?.aborted) throw error
      return this.#again(call, stamp, error)
    }
  }

  async #again(call, stamp, cause) {
    const helper = this.#current()
    try {
      await helper.ready
      const { result, note } = await this.#present(helper, call, call.readOnly ? this.#stamp(helper) : stamp)
      const restarted = `[openshell] ${cause.message} It was started again and answered under the same key.`
      return { result, note: note ? `${restarted}\n${note}` : restarted }
    } catch (error) {
      if (!(error instanceof HelperGone)) throw error
      const outcome = call.readOnly ? "" : " Whether the server was changed is not known: look before you repeat anything."
      throw new Error(`${error.message} It had been started again once for this call.${outcome}`, { cause: error })
    }
  }

  // Sends a call, and once more if the helper refused it for the policy's sake.
  async #present(helper, call, stamp) {
    try {
      return { result: await this.#send(helper, call, stamp) }
    } catch (error) {
      if (!(error instanceof HelperRefused) || error.code !== STALE_CLIENT) throw error
      await this.#adopt(helper, stamp, error)
      if (call.signal?.aborted) throw error
      const result = await this.#send(helper, call, this.#stamp(helper))
      return { result, note: "[openshell] The policy has changed since the last call; this one was judged by the present one." }
    }
  }

  /**
   * Learns what is so now. Returns only if nothing but the policy is another
   * one: new tools are for the model to read first, and a journal that lost
   * records is for a person to look at, so its mark is never adopted.
   */
  async #adopt(helper, stamp, { data, message }) {
    const known = this.#stamps.get(helper)
    const present = pick(data ?? {})
    if (present.capabilitySnapshotId && present.capabilitySnapshotId !== stamp.capabilitySnapshotId) {
      const hello = await helper.request("initialize", this.#hello).answer
      this.definitions = hello.tools
      this.#stamps.set(helper, pick(hello))
      throw new Error(
        "Nothing was done: the openshell helper was replaced by one whose tools differ from those this call was made for. " +
          "You are given the new descriptions with this result; make the call again if it is still what you want.",
      )
    }
    if (present.behaviorFingerprint && present.behaviorFingerprint !== stamp.behaviorFingerprint) {
      this.#stamps.set(helper, { ...known, ...present })
      return
    }
    throw new Error(
      `Nothing was done: ${message}. Until then no server can be changed from here; looking still works. Do not try again, tell the person.`,
    )
  }

  #current() {
    if (this.#helper?.alive) return this.#helper
    const helper = new Helper(this.#locate(), this.#hello, {
      "approvals/ask": (question, signal) => this.#ask(question, signal),
      "tools/progress": (note) => this.#hear(note),
    })
    this.#helper = helper
    helper.ready.then(
      (hello) => {
        if (hello.tools?.length) this.definitions = hello.tools
        this.#stamps.set(helper, pick(hello))
        this.#mark(hello)
      },
      () => {},
    )
    return helper
  }

  #stamp(helper) {
    return { ...this.#stamps.get(helper), journalMark: this.#journalMark }
  }

  async #send(helper, call, stamp) {
    const { name, session, agent, key, signal } = call
    const params = { name, arguments: call.arguments, session, agent, key, leaseMs: LEASE, ...stamp }
    // The helper refuses what would change something, also where its rules allow it
    // without a question that could be refused here.
    if (call.planning) params.planning = true
    const { id, answer } = helper.request("tools/call", params)
    const cancel = () => helper.notify("$/cancel", { id })
    const renewing = setInterval(() => helper.notify("$/renew", { id }), RENEW_EVERY)
    renewing.unref?.()
    this.#calls.set(id, call)
    signal?.addEventListener("abort", cancel, { once: true })
    if (signal?.aborted) cancel()
    try {
      const result = await answer
      this.#mark(result)
      return result
    } finally {
      clearInterval(renewing)
      signal?.removeEventListener("abort", cancel)
      this.#calls.delete(id)
    }
  }

  // Answers may overtake each other, and what a helper says after a restart does
  // not lower what was seen.
  #mark({ journalMark } = {}) {
    if (Number.isSafeInteger(journalMark)) this.#journalMark = Math.max(journalMark, this.#journalMark ?? 0)
  }

  #hear(note) {
    const call = this.#calls.get(note.call)
    if (call) this.#progress(call, note)
  }

  async #ask(question, signal) {
    const call = this.#calls.get(question.call)
    if (!call) throw new Error(`no call ${question.call} is running`)
    return this.#answer(question, call, signal)
  }
}

function pick({ capabilitySnapshotId, behaviorFingerprint }) {
  return { capabilitySnapshotId, behaviorFingerprint }
}
