#!/usr/bin/env node
//! The command `openshell` as npm installs it: starts the program of the package
//! for this platform, which is a dependency of this one.
//!
//! Invariant: nothing but that package is ever started, and it ends as its program
//! ends. OpenCode does not use this file.

import { spawn } from "node:child_process"
import { constants } from "node:os"
import { packaged, packageName } from "../lib/locate.js"

/** Signals for this process alone; what a terminal sends reaches the program too. */
const FORWARDED = ["SIGTERM", "SIGHUP"]
const FROM_TERMINAL = ["SIGINT", "SIGQUIT"]
/** Exit code of a program that could not be started, as in sysexits.h. */
const UNAVAILABLE = 69

const program = packaged()
if (program === undefined) {
  console.error(
    `error: the package ${packageName} is not installed, which has the program for this platform.\n` +
      "next: install again without --omit=optional, or build openshell from its source.",
  )
  process.exit(UNAVAILABLE)
}
const child = spawn(program, process.argv.slice(2), { stdio: "inherit" })
for (const signal of FORWARDED) process.on(signal, () => child.kill(signal))
for (const signal of FROM_TERMINAL) process.on(signal, () => {})
child.on("error", (error) => {
  console.error(`error: ${program} could not be started: ${error.message}`)
  process.exit(UNAVAILABLE)
})
child.on("exit", (code, signal) => process.exit(code ?? 128 + constants.signals[signal]))
