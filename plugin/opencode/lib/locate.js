//! Finds the helper program.
//!
//! Owns the order of the places where the helper may be. Invariant: nothing a
//! repository can write chooses or supplies the program, since it is the
//! program that holds the keys and enforces the rules.
//! It does not check what it found; the first exchange with the helper does.

import { accessSync, constants, statSync } from "node:fs"
import { createRequire } from "node:module"
import { delimiter, dirname, isAbsolute, join } from "node:path"
import { commandIsTrusted, isInside } from "./trusted.js"

const PROGRAM = process.platform === "win32" ? "openshell.exe" : "openshell"

/** Why there is no helper to run; the message says what to do. */
export class NoHelper extends Error {
  name = "NoHelper"
}

/**
 * The helper's argv without its verb.
 * @param command the plugin's `options.command`: a program or an argv array.
 * @param documents the person's own configuration, see `trustedConfigs`.
 * @throws NoHelper
 */
export function locateHelper({ command, env, roots, documents }) {
  if (command !== undefined) return configured(command, documents)
  if (env.OPENSHELL_BIN) {
    if (runnable(env.OPENSHELL_BIN)) return [env.OPENSHELL_BIN]
    throw new NoHelper(`OPENSHELL_BIN names ${env.OPENSHELL_BIN}, which is not an executable file. Correct it, then restart OpenCode.`)
  }
  const found = packaged() ?? onPath(env.PATH ?? "", roots)
  if (found) return [found]
  throw new NoHelper(
    "The openshell helper was not found: neither OPENSHELL_BIN, nor an installed " +
      `${packageName} package, nor a program openshell on PATH outside this project. ` +
      "Install openshell, or set OPENSHELL_BIN to its absolute path, then restart OpenCode.",
  )
}

function configured(command, documents) {
  const argv = typeof command === "string" ? [command] : command
  const wellFormed = Array.isArray(argv) && argv.length > 0 && argv.every((word) => typeof word === "string" && word)
  if (!wellFormed) {
    throw new NoHelper("The plugin option command must be a program or a list of words. Correct it in your OpenCode configuration.")
  }
  if (!commandIsTrusted(command, documents)) {
    throw new NoHelper(
      `The plugin option command (${argv[0]}) does not stand in your own OpenCode configuration, ` +
        "and a project cannot choose the program that holds your keys. " +
        "Move it to the global opencode.json, or set OPENSHELL_BIN.",
    )
  }
  return argv
}

/** The package that holds the helper for this platform. */
export const packageName = `@openshell/${process.platform}-${process.arch}`

/**
 * The helper of the package for this platform; undefined where it is not installed.
 * It is an optional dependency, put beside the adapter by the package manager.
 */
export function packaged() {
  try {
    const require = createRequire(import.meta.url)
    const manifest = require.resolve(`${packageName}/package.json`)
    const program = join(dirname(manifest), "bin", PROGRAM)
    return runnable(program) ? program : undefined
  } catch {
    return undefined
  }
}

function onPath(path, roots) {
  return path
    .split(delimiter)
    .filter((dir) => isAbsolute(dir))
    .map((dir) => join(dir, PROGRAM))
    .find((program) => runnable(program) && !isInside(program, roots))
}

function runnable(program) {
  try {
    accessSync(program, constants.X_OK)
    return statSync(program).isFile()
  } catch {
    return false
  }
}
