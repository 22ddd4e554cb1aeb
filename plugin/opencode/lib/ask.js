//! Puts questions to the person through OpenCode, and finds out who answered.
//!
//! Owns the watching of OpenCode's permission events. Invariant: an operation
//! counts as granted only if the question was seen to be shown and its own
//! answer was seen, or the person's rule outside the workspace grants it, or
//! the person said "always" to this very text. OpenCode passes a request
//! silently when any earlier "always" or foreign rule covers it; such a
//! silence is not an answer here.

import { confirmKey, remoteVerdict } from "./rules.js"
import { plainWording, wording } from "./question.js"
import { forbiddable, namesAccount, rulesMayAnswer, wholesOf } from "./subjects.js"
import { fitsTitle } from "./title.js"

/** How long an event may lag behind the end of its request, in ms. */
const EVENT_GRACE = 300
/** No person reads a question and answers it within this time, in ms. */
const FASTER_THAN_PEOPLE = 40

const AUTO_FLAGS = ["--auto", "--yolo", "--dangerously-skip-permissions"]

/** Whether nobody is there to ask: OpenCode then answers every question itself. */
export function unattended(argv) {
  const words = argv.slice(2)
  const says = (...flags) => words.some((word) => flags.includes(word))
  return says(...AUTO_FLAGS) || (words.find((word) => !word.startsWith("-")) === "run" && !says("-i", "--interactive"))
}

/**
 * Nobody answered, which is no rejection: the helper remembers what a person
 * rejected and does not ask it again. The message is the rest of a sentence.
 */
export class Unanswered extends Error {
  name = "Unanswered"
}

export class Asker {
  #nonce
  #trusted
  #withdraw
  #merged
  #watches = new Set()
  // Of questions that nobody waits for any more and that were not shown yet.
  #abandoned = new Set()
  #open = new Map()
  #remembered = new Set()
  #auto = unattended(process.argv)

  /**
   * @param nonce see `addFloors`.
   * @param trusted returns the person's own configuration.
   * @param withdraw takes a question away that nobody needs to answer any more:
   *   (sessionID, requestID) -> void.
   */
  constructor({ nonce, trusted, withdraw = () => {} }) {
    this.#nonce = nonce
    this.#trusted = trusted
    this.#withdraw = withdraw
  }

  /** Takes note of the merged configuration as it was before any floor. */
  useConfig(merged) {
    this.#merged = merged
  }

  /** Feeds an event of OpenCode's bus. */
  event({ type, properties }) {
    if (type === "permission.asked") this.#asked(properties)
    if (type === "permission.replied") this.#replied(properties)
  }

  #asked({ id, sessionID, permission, tool }) {
    this.#open.set(id, permission)
    const ours = (watch) => watch.sessionID === sessionID && watch.callID === tool?.callID && watch.permission === permission
    // Questions are shown in the order in which they were put. A call id may come
    // again in another message, whose question somebody waits for.
    for (const watch of this.#abandoned) {
      if (!ours(watch) || watch.messageID !== tool?.messageID) continue
      this.#abandoned.delete(watch)
      this.#withdraw(sessionID, id)
      return
    }
    for (const watch of this.#watches) {
      if (ours(watch) && !watch.requestID) Object.assign(watch, { requestID: id, askedAt: performance.now() })
    }
  }

  #replied({ requestID, reply }) {
    const permission = this.#open.get(requestID)
    this.#open.delete(requestID)
    for (const watch of this.#watches) {
      if (watch.requestID === requestID) {
        watch.reply = reply
        watch.repliedAfter = performance.now() - watch.askedAt
        watch.settle?.()
      } else if (reply === "always" && permission === watch.permission && watch.requestID && !watch.reply) {
        // OpenCode answers whatever else an "always" covers in the same breath.
        watch.swept = true
      }
    }
  }

  /**
   * Answers a question of the helper.
   * @param signal fires when the helper takes the question back.
   * @returns {{answer: "granted"|"rejected"|"denied", by: string, rule?: string, feedback?: string, error?: unknown}}
   *   `error` is what OpenCode threw, to be thrown on once the call is settled.
   * @throws Unanswered when there is no answer to pass on.
   */
  async answer(question, { ctx, planning, signal }) {
    if (planning && question.kind !== "read") {
      return denied("plan mode", "This session is in plan mode, in which nothing on a server may be changed.")
    }
    const trusted = this.#trusted()
    const saidOf = (form) => remoteVerdict({ kind: question.kind, ...form, agent: ctx.agent, merged: this.#merged, trusted })
    const forbidden = forbiddable(question)
      .map(saidOf)
      .find(({ decision }) => decision === "deny")
    if (forbidden) {
      const rule = written(forbidden)
      return denied(rule, `The permission rule ${rule} forbids this.`)
    }
    // The helper takes this yes for nothing more than that nothing here forbids it.
    if (question.presence) return { answer: "granted", by: "presence" }
    // The whole on every server; the commands in it could only make it worse.
    const wholes = wholesOf(question).map((subject) => saidOf({ subject }))
    const allows = ({ decision, rule }) => decision === "allow" && namesAccount(question, rule.pattern)
    if (rulesMayAnswer(question) && wholes.every(allows)) {
      return { answer: "granted", by: "rule", rule: [...new Set(wholes.map(written))].join(" ") }
    }

    const request = wording(question)
    if (request.permission !== "edit" && !fitsTitle(request.permission)) throw tooLong(question)
    const first = await this.#put(ctx, request, signal)
    if (first.answer) return first

    const plain = plainWording(question)
    const permission = confirmKey(plain.permission, this.#nonce)
    if (!fitsTitle(permission)) {
      if (request.permission !== "edit") throw tooLong(question)
      throw new Unanswered(
        'an earlier "Allow always" covers every edit, so OpenCode would not show this change, and it is too long for a plain question; ' +
          "restarting OpenCode forgets that answer",
      )
    }
    const second = await this.#put(ctx, { ...plain, permission, always: [] }, signal)
    if (second.answer) return second
    throw new Unanswered("OpenCode passed the question without showing it to anyone")
  }

  // Resolves without `answer` when nobody can be said to have answered.
  async #put(ctx, request, signal) {
    const { permission, patterns, always } = request
    const memory = JSON.stringify([permission, patterns])
    const stops = [
      [ctx.abort, "the session was interrupted"],
      [signal, "the question was taken back"],
    ]
    for (const [stop, why] of stops) if (stop?.aborted) throw stopped(why)
    const watch = { sessionID: ctx.sessionID, messageID: ctx.messageID, callID: ctx.callID, permission }
    this.#watches.add(watch)
    const asking = ctx.ask(request)
    try {
      await unlessStopped(stops, asking)
      if (!watch.reply && !this.#remembered.has(memory)) await this.#grace(watch)
    } catch (error) {
      if (error instanceof Unanswered) {
        this.#takeBack(watch, asking)
        throw error
      }
      return { ...rejection(error, this.#answerer(watch)), error }
    } finally {
      this.#watches.delete(watch)
    }
    if (!watch.requestID) return this.#remembered.has(memory) ? { answer: "granted", by: "always" } : {}
    if (!watch.reply || watch.reply === "reject" || watch.swept) return {}
    if (watch.reply === "always" && always.length > 0) this.#remembered.add(memory)
    return { answer: "granted", by: this.#answerer(watch) }
  }

  // OpenCode leaves a question standing when the session is interrupted, and shows one
  // that was on its way.
  #takeBack(watch, asking) {
    if (watch.requestID) return this.#withdraw(watch.sessionID, watch.requestID)
    this.#abandoned.add(watch)
    const forget = () => setTimeout(() => this.#abandoned.delete(watch), EVENT_GRACE).unref?.()
    asking.then(forget, forget)
  }

  #answerer({ askedAt, repliedAfter = performance.now() - askedAt }) {
    return this.#auto || repliedAfter < FASTER_THAN_PEOPLE ? "auto" : "person"
  }

  #grace(watch) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, EVENT_GRACE)
      watch.settle = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}

function written({ decision, rule }) {
  return JSON.stringify({ [rule.key]: { [rule.pattern]: decision } })
}

function denied(rule, feedback) {
  return { answer: "denied", by: "rule", rule, feedback }
}

function tooLong({ kind, servers }) {
  if (servers?.length) return new Unanswered("the question is too long to be shown whole, and nothing is granted unseen; call for fewer servers at a time")
  const instead = kind === "exec" ? "; write it into a file on the server, then run that file" : ""
  return new Unanswered(`the question is too long to be shown whole, and nothing is granted unseen${instead}`)
}

/** What an error of `ctx.ask` says. OpenCode's own classes cannot be imported. */
function rejection(error, by) {
  const tag = String(error?._tag ?? error?.name ?? "")
  if (tag.includes("Corrected")) return { answer: "rejected", by, feedback: String(error.feedback ?? error.message) }
  if (tag.includes("Rejected")) return { answer: "rejected", by }
  if (tag.includes("Denied")) return { answer: "denied", by: "rule", feedback: String(error.message) }
  return { answer: "rejected", by: "unknown", feedback: String(error?.message ?? error) }
}

function stopped(why) {
  return new Unanswered(`${why} before anyone answered`)
}

// Settles as the promise does, or rejects as soon as one of the signals fires.
async function unlessStopped(stops, promise) {
  const ends = []
  try {
    await new Promise((resolve, reject) => {
      promise.then(resolve, reject)
      for (const [signal, why] of stops) {
        if (!signal) continue
        const stop = () => reject(stopped(why))
        // It may have fired while the question was put.
        if (signal.aborted) return stop()
        signal.addEventListener("abort", stop, { once: true })
        ends.push(() => signal.removeEventListener("abort", stop))
      }
    })
  } finally {
    for (const end of ends) end()
  }
}
