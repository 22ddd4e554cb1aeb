//! Which agent works in which OpenCode session, and for whom.
//!
//! Owns the parentage of sessions. Invariant: a session counts as planning if
//! it or any session it was started from runs the plan agent, so that a
//! planner cannot have a subagent do what it may not.

export class Sessions {
  #parents = new Map()
  #agents = new Map()

  /** Feeds an event of OpenCode's bus. */
  event({ type, properties }) {
    const info = properties?.info
    if (type === "session.created" || type === "session.updated") {
      if (info?.parentID) this.#parents.set(info.id, info.parentID)
    }
    if (type === "session.deleted" && info) {
      this.#parents.delete(info.id)
      this.#agents.delete(info.id)
    }
  }

  /** Notes the agent of the message that a session now works on. */
  message({ sessionID, agent }) {
    if (agent) this.#agents.set(sessionID, agent)
  }

  /** Whether plan mode applies. `agent` is the one that makes the call. */
  planning(sessionID, agent) {
    if (agent === "plan") return true
    const seen = new Set()
    for (let id = this.#parents.get(sessionID); id && !seen.has(id); id = this.#parents.get(id)) {
      if (this.#agents.get(id) === "plan") return true
      seen.add(id)
    }
    return false
  }
}
