//! One helper process and the conversation with it: JSON-RPC 2.0, one JSON
//! value a line, in both directions.
//!
//! Owns the child process and everything outstanding on its pipes. Invariants:
//! every request is answered or fails when the process ends, and the process
//! is told to end by closing its stdin, never by a signal while it may still
//! be recording what it did.
//! It knows nothing of OpenCode and does not restart what died.

import { spawn } from "node:child_process"

/** Longest line accepted or sent, in bytes. */
const MAX_FRAME = 48 * 1024 * 1024
/** How much of the helper's stderr is kept for a message, in characters. */
const STDERR_TAIL = 2000
/** Time for the first answer, in ms. */
const INITIALIZE_TIMEOUT = 15_000
/** Time a stranger's program gets to notice that its stdin was closed, in ms. */
const LINGER = 2_000
const NEWLINE = 0x0a
/** What OpenCode sets for everything it starts. The helper takes it as the sign of
 *  a command the agent runs, and this process is not one. */
const MARKS = ["OPENCODE", "AGENT"]

function withoutMarks(env) {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !MARKS.includes(name)))
}

/** The helper ended, or never became one. `started` tells which. */
export class HelperGone extends Error {
  name = "HelperGone"
  constructor(message, { started }) {
    super(message)
    this.started = started
  }
}

/** The helper answered a request with a JSON-RPC error. */
export class HelperRefused extends Error {
  name = "HelperRefused"
  constructor({ code, message, data }) {
    super(String(message))
    this.code = code
    this.data = data
  }
}

export class Helper {
  // One sequence for all helpers, so that an id names one request for ever.
  static #lastId = 0
  #child
  #pending = new Map()
  #chunks = []
  #buffered = 0
  #stderr = ""
  #handlers
  // Requests of the helper that are being served, by id.
  #serving = new Map()

  /**
   * Starts a helper. Failing to is reported by `ready`, never thrown.
   * @param argv program and words; the verb `bridge` is appended.
   * @param hello parameters of `initialize`.
   * @param handlers JSON-RPC method -> function of its parameters and of a signal
   *   that fires when the helper takes a request back; a returned promise answers
   *   a request.
   */
  constructor(argv, hello, handlers) {
    this.#handlers = handlers
    const options = { env: withoutMarks(process.env), stdio: ["pipe", "pipe", "pipe"], windowsHide: true }
    this.#child = spawn(argv[0], [...argv.slice(1), "bridge"], options)
    this.#child.on("error", (error) => this.#end(`${argv[0]} could not be started: ${error.message}`))
    // `close` comes after the last byte of stdout; `exit` may come before it.
    this.#child.on("close", (code, signal) => this.#end(this.#obituary(code, signal)))
    // A helper that died between two lines makes the next write fail; `close` reports it.
    this.#child.stdin.on("error", () => {})
    this.#child.stdout.on("data", (chunk) => this.#receive(chunk))
    this.#child.stderr.on("data", (chunk) => (this.#stderr = (this.#stderr + chunk).slice(-STDERR_TAIL)))
    this.ready = this.#initialize(argv, hello)
    // Whoever calls a tool awaits `ready` and sees the failure there.
    this.ready.catch(() => {})
  }

  /** Whether the process is still there. */
  alive = true

  async #initialize(argv, hello) {
    let timer
    const overdue = new Promise((_, reject) => {
      timer = setTimeout(
        () => reject(new HelperGone(`${argv[0]} did not answer within ${INITIALIZE_TIMEOUT / 1000} s.`, { started: false })),
        INITIALIZE_TIMEOUT,
      )
    })
    try {
      const answer = await Promise.race([this.request("initialize", hello).answer, overdue])
      if (answer?.server?.kind !== "openshell-helper") {
        throw new HelperGone(
          `${argv[0]} is another program of the name openshell, not this plugin's helper. Set OPENSHELL_BIN to the helper's absolute path.`,
          { started: false },
        )
      }
      if (answer.protocol !== hello.protocol.max) {
        throw new HelperGone(
          `The helper ${argv[0]} (${answer.server.version}) speaks protocol ${answer.protocol}, this plugin ${hello.protocol.max}. Update the older of the two.`,
          { started: false },
        )
      }
      return answer
    } catch (error) {
      this.#dismiss()
      if (error instanceof HelperGone) throw new HelperGone(error.message, { started: false })
      throw new HelperGone(`${argv[0]} refused to start: ${error.message}`, { started: false })
    } finally {
      clearTimeout(timer)
    }
  }

  /** Sends a request. `answer` rejects with `HelperRefused` or `HelperGone`. */
  request(method, params) {
    const id = ++Helper.#lastId
    const answer = new Promise((resolve, reject) => {
      if (!this.alive) return reject(new HelperGone("The openshell helper has ended.", { started: true }))
      this.#pending.set(id, { resolve, reject })
      if (!this.#send({ jsonrpc: "2.0", id, method, params })) {
        this.#pending.delete(id)
        reject(new Error(`The arguments are larger than ${MAX_FRAME / 1024 / 1024} MiB.`))
      }
    })
    return { id, answer }
  }

  /** Sends a notification; nothing comes back. */
  notify(method, params) {
    if (this.alive) this.#send({ jsonrpc: "2.0", method, params })
  }

  /** Tells the helper to end: it finishes or stops what runs, records it, and exits. */
  close() {
    this.#child.stdin.end()
  }

  // What did not introduce itself as our helper records nothing worth waiting
  // for, and may not care about its stdin at all.
  #dismiss() {
    this.close()
    setTimeout(() => this.alive && this.#child.kill(), LINGER).unref?.()
  }

  #send(message) {
    const line = `${JSON.stringify(message)}\n`
    if (Buffer.byteLength(line) > MAX_FRAME) return false
    this.#child.stdin.write(line)
    return true
  }

  #receive(chunk) {
    let rest = chunk
    for (let at = rest.indexOf(NEWLINE); at >= 0; at = rest.indexOf(NEWLINE)) {
      const line = Buffer.concat([...this.#chunks, rest.subarray(0, at)]).toString("utf8")
      this.#chunks = []
      this.#buffered = 0
      rest = rest.subarray(at + 1)
      if (line.trim()) this.#dispatch(line)
    }
    if (rest.length === 0) return
    this.#chunks.push(rest)
    this.#buffered += rest.length
    if (this.#buffered > MAX_FRAME) {
      this.#chunks = []
      this.#end("The helper sent a line longer than 48 MiB.")
      this.close()
    }
  }

  #dispatch(line) {
    let message
    try {
      message = JSON.parse(line)
    } catch {
      // Something printed on stdout by mistake; a lost answer shows as the
      // helper's end, not as a wrong answer.
      return
    }
    if (message?.method !== undefined) this.#serve(message)
    else this.#settle(message)
  }

  #settle({ id, result, error } = {}) {
    const waiting = this.#pending.get(id)
    if (!waiting) return
    this.#pending.delete(id)
    if (error) waiting.reject(new HelperRefused(error))
    else waiting.resolve(result)
  }

  async #serve({ id, method, params }) {
    if (method === "$/cancel") return this.#serving.get(params?.id)?.abort()
    const taken = new AbortController()
    if (id !== undefined) this.#serving.set(id, taken)
    const handler = Object.hasOwn(this.#handlers, method) ? this.#handlers[method] : undefined
    let reply
    try {
      reply = handler
        ? { result: (await handler(params ?? {}, taken.signal)) ?? null }
        : { error: { code: -32601, message: `unknown method ${method}` } }
    } catch (error) {
      reply = { error: { code: -32603, message: String(error?.message ?? error) } }
    }
    this.#serving.delete(id)
    if (id !== undefined && this.alive) this.#send({ jsonrpc: "2.0", id, ...reply })
  }

  #obituary(code, signal) {
    const how = signal ? `was ended by ${signal}` : `exited with status ${code}`
    const said = this.#stderr.trim()
    return `The openshell helper ${how}${said ? `, saying: ${said}` : "."}`
  }

  #end(message) {
    if (!this.alive) return
    this.alive = false
    for (const { reject } of this.#pending.values()) reject(new HelperGone(message, { started: true }))
    this.#pending.clear()
    for (const taken of this.#serving.values()) taken.abort()
  }
}
